// SPDX-License-Identifier: BSD-3-Clause
//
// fsx: random operations on one file, through two descriptors and a mapping in each of two
// processes, against a model of its bytes in memory.
//
//   fsx [--seed N] [--operations N] [--seconds S] [--size-max BYTES] [--from K] [-v] FILE
//
// The same seed does the same operations. With --seconds it goes on with the next seed until the
// time is over; each finished one is printed, so that a later run can go on behind it. What the
// filesystem does not know (EOPNOTSUPP) is counted and left out. Exit status 1: the file is not
// what it must be.
#include "fsx_session.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <getopt.h>
#include <sys/mman.h>

namespace stress {
namespace {

[[noreturn]] void usage(int status) {
    std::fprintf(status ? stderr : stdout,
                 "usage: fsx [OPTION...] FILE\n"
                 "  --seed N          the first seed (1)\n"
                 "  --operations N    of each seed (5000)\n"
                 "  --seconds S       seed after seed until then; without it, one\n"
                 "  --size-max BYTES  of the file (262144)\n"
                 "  --from K          print the operations from K on\n"
                 "  --no-direct       never open with O_DIRECT\n"
                 "  --pollute         mapped writes also fill the page behind the end of file,\n"
                 "                    which nobody may ever see\n"
                 "  -v, --verbose     print every operation\n");
    std::exit(status);
}

std::uint64_t number(const char *text) {
    char *end = nullptr;
    const auto value = std::strtoull(text, &end, 0);
    if (end == text || *end != '\0')
        usage(2);
    return value;
}

FsxOptions parse(int argc, char **argv) {
    static const option known[] = {{"seed", required_argument, nullptr, 's'},
                                   {"operations", required_argument, nullptr, 'n'},
                                   {"seconds", required_argument, nullptr, 't'},
                                   {"size-max", required_argument, nullptr, 'l'},
                                   {"from", required_argument, nullptr, 'f'},
                                   {"no-direct", no_argument, nullptr, 'd'},
                                   {"pollute", no_argument, nullptr, 'p'},
                                   {"verbose", no_argument, nullptr, 'v'},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};
    FsxOptions options;
    for (int letter; (letter = getopt_long(argc, argv, "vh", known, nullptr)) != -1;) {
        switch (letter) {
        case 's':
            options.seed = number(optarg);
            break;
        case 'n':
            options.operations = number(optarg);
            break;
        case 't':
            options.seconds = std::atof(optarg);
            break;
        case 'l':
            options.size_max = number(optarg);
            break;
        case 'f':
            options.print_from = number(optarg);
            break;
        case 'd':
            options.direct = false;
            break;
        case 'p':
            options.pollute = true;
            break;
        case 'v':
            options.print_from = 1;
            break;
        default:
            usage(letter == 'h' ? 0 : 2);
        }
    }
    if (optind + 1 != argc || options.size_max < 4 * block_size)
        usage(2);
    // Direct reads and writes reach whole blocks.
    options.size_max = options.size_max / block_size * block_size;
    options.file = argv[optind];
    return options;
}

// Shared with the second process; a block longer than the file, to see what is behind its end.
std::span<std::uint8_t> shared_buffer(std::uint64_t size_max) {
    const auto length = size_max + block_size;
    void *made = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) {
        std::perror("mmap");
        std::exit(2);
    }
    return {static_cast<std::uint8_t *>(made), length};
}

void print(const Counts &counts) {
    for (std::uint32_t kind = 0; kind < kind_count; ++kind) {
        std::printf("%-12s %9lu", name_of(static_cast<Kind>(kind)), counts[kind].done);
        if (counts[kind].unsupported != 0)
            std::printf("  (%lu unsupported)", counts[kind].unsupported);
        std::printf("\n");
    }
}

int run(const FsxOptions &options) {
    const auto buffer = shared_buffer(options.size_max);
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
    Counts counts{};
    auto seed = options.seed;
    do {
        Session(options, seed, buffer, counts).run();
        std::printf("seed %lu: %lu operations\n", seed, options.operations);
        std::fflush(stdout);
        ++seed;
    } while (std::chrono::steady_clock::now() < end);
    print(counts);
    return 0;
}

} // namespace
} // namespace stress

int main(int argc, char **argv) {
    try {
        return stress::run(stress::parse(argc, argv));
    } catch (const std::exception &error) {
        std::fflush(stdout);
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
