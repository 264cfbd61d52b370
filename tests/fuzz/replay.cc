// SPDX-License-Identifier: BSD-3-Clause
//
// Runs a fuzzer's target without libFuzzer, so that every compiler can: each file of a corpus
// once, then a number of inputs made from them by the target's own mutator, always the same.
//
//   replay-TARGET CORPUS [RUNS]
//
// Ends by an assertion or a signal if the target finds something; the input is then in
// ./finding-TARGET... (the environment's DAXPIN_FINDING, if set).
#include "fuzz/mutate.h"

#include "support/test_env.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t *data, std::size_t size,
                                               std::size_t size_max, unsigned seed);

namespace {

constexpr std::size_t input_bytes_max = 4096;
std::uint64_t mutation_state = 1;

std::vector<std::uint8_t> read_file(const std::filesystem::path &path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void run(const std::vector<std::uint8_t> &bytes) {
    if (const char *path = std::getenv("DAXPIN_FINDING")) // overwritten by the next run
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char *>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

} // namespace

// What libFuzzer offers to custom mutators, in its simplest form.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t *data, std::size_t size, std::size_t) {
    const std::size_t at = daxpin::test::split_mix(mutation_state) % size;
    data[at] = static_cast<std::uint8_t>(daxpin::test::split_mix(mutation_state));
    return size;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s CORPUS [RUNS]\n", argv[0]);
        return 2;
    }
    std::vector<std::filesystem::path> files;
    for (const auto &entry : std::filesystem::directory_iterator(argv[1]))
        files.push_back(entry.path());
    std::ranges::sort(files);
    std::vector<std::vector<std::uint8_t>> corpus;
    for (const auto &path : files) {
        std::printf("%s\n", path.filename().c_str());
        std::fflush(stdout); // the last one told is the one that failed
        corpus.push_back(read_file(path));
        run(corpus.back());
    }
    if (corpus.empty()) {
        std::fprintf(stderr, "the corpus is empty\n");
        return 1;
    }
    const unsigned runs = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 0;
    for (unsigned i = 0; i < runs; ++i) {
        auto bytes = corpus[i % corpus.size()];
        const std::size_t size = bytes.size();
        bytes.resize(std::max(size, input_bytes_max));
        bytes.resize(LLVMFuzzerCustomMutator(bytes.data(), size, bytes.size(), i + 1));
        run(bytes);
    }
    std::printf("%zu passed, 0 failed, 0 skipped\n", corpus.size() + runs);
    return 0;
}
