// SPDX-License-Identifier: BSD-3-Clause
//
// A volume whose metadata somebody changed. Built twice: fuzz-image as the bytes came out, where
// checksums find most of it, and fuzz-image-mended with every checksum made right again, as
// somebody does who means harm.
//
// Input: which image (images.h), then patches of 12 bytes.
#include "fuzz/input.h"
#include "fuzz/mutate.h"
#include "fuzz/use.h"

namespace {

using namespace daxpin;
using namespace daxpin::fuzz;

struct Patch {
    std::uint16_t place; // word of the live metadata
    std::uint8_t what;
    std::uint8_t width;
    std::uint64_t value;
};
constexpr std::size_t patch_bytes = 12;

Patch take_patch(Input &input) {
    Patch patch{};
    patch.place = input.take<std::uint16_t>();
    patch.what = input.take<std::uint8_t>();
    patch.width = input.take<std::uint8_t>();
    patch.value = input.take<std::uint64_t>();
    return patch;
}

std::uint64_t changed_value(const Patch &patch, std::uint64_t old) {
    switch (patch.what % 8) {
    case 0:
        return old + patch.value % 16 + 1;
    case 1:
        return old - patch.value % 16 - 1;
    case 2:
        return old ^ std::uint64_t{1} << patch.value % 64;
    case 3:
        return 0;
    default:
        return patch.value;
    }
}

void apply(const Image &image, const MediaList &media, const Patch &patch) {
    const std::uint64_t words = image.piece_bytes() / 4;
    const auto to = image.locate(patch.place % words * 4);
    const auto target = media[to.device]->bytes().subspan(to.offset, to.length);
    if (patch.what % 8 == 7) { // something else that is metadata, or a block of zeros
        const auto from = image.locate(patch.value % words * 4);
        const auto source = media[from.device]->bytes().subspan(from.offset, from.length);
        const std::size_t length =
            std::min({target.size(), source.size(), std::size_t{patch.width} + 8});
        std::memmove(target.data(), source.data(), length);
        return;
    }
    const std::size_t width =
        std::min<std::size_t>(std::size_t{1} << patch.width % 4, target.size());
    std::uint64_t value = 0;
    std::memcpy(&value, target.data(), width);
    value = changed_value(patch, value);
    std::memcpy(target.data(), &value, width);
}

} // namespace

DAXPIN_MUTATE_RECORDS(1, patch_bytes);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size) {
    Input input(bytes, size);
    const Image &image = images()[input.take<std::uint8_t>() % images().size()];
    const MediaList media = image.clone();
    while (!input.empty())
        apply(image, media, take_patch(input));
    if (DAXPIN_MEND)
        mend(image, media);
    check_and_use(media);
    return 0;
}
