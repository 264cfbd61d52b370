// SPDX-License-Identifier: BSD-3-Clause
#include "support/volume_fixture.h"

#include "base/assert.h"
#include "device/label.h"
#include "journal/journal.h"

#include <algorithm>
#include <cstdio>

namespace daxpin::test {

namespace {

void require(const Result<void> &result, const char *what) {
    if (result)
        return;
    std::fprintf(stderr, "volume fixture: %s: %s\n", what, describe(result.error()).c_str());
    DAXPIN_ASSERT(false);
}

Result<void> format_media(const std::vector<std::shared_ptr<SimMedia>> &media,
                          const VolumeShape &shape, Env &env) {
    auto devices = open_table(media);
    volume::FormatOptions options;
    options.journal_bytes = shape.journal_bytes;
    DAXPIN_TRY_ASSIGN(const auto superblock, volume::format_volume(devices, options, env));
    if (shape.bytes_before_wrap == 0)
        return {};
    const auto geometry = journal::geometry_of(superblock);
    return journal::Journal::format(devices, geometry, env,
                                    geometry.ring_bytes() - shape.bytes_before_wrap);
}

} // namespace

std::vector<std::shared_ptr<SimMedia>> make_media(const VolumeShape &shape, Env &env) {
    std::vector<std::shared_ptr<SimMedia>> media;
    media.push_back(SimMedia::create({shape.device_bytes, shape.domain, shape.mapping_unit}));
    for (unsigned i = 0; i < shape.data_devices; ++i)
        media.push_back(SimMedia::create({shape.data_bytes, shape.domain, shape.mapping_unit}));
    require(format_media(media, shape, env), "format");
    return media;
}

void fill_free_blocks(const std::vector<std::shared_ptr<SimMedia>> &media) {
    constexpr std::byte garbage{0xa5};
    const auto superblock = device::read_superblock(*media[0]->open());
    DAXPIN_ASSERT(superblock.has_value());
    for (std::size_t device = 0; device < media.size(); ++device) {
        const auto bytes = media[device]->bytes();
        for (std::uint64_t block = 0; block < bytes.size() / block_size; ++block) {
            const std::uint64_t chunk =
                superblock->devices[device].bitmap_start + block / format::blocks_per_group;
            const std::uint64_t bit = block % format::blocks_per_group;
            const std::byte bits =
                media[0]->bytes()[chunk * block_size + format::bitmap_header_bytes + bit / 8];
            if ((bits >> (bit % 8) & std::byte{1}) == std::byte{0})
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block * block_size),
                            block_size, garbage);
        }
    }
}

VolumeFixture::VolumeFixture(const VolumeShape &shape, const volume::Options &options)
    : env_(shape.seed), options_(options), media_(make_media(shape, env_)) {
    require(mount(), "mount");
}

Result<void> VolumeFixture::mount() {
    DAXPIN_ASSERT(!volume_);
    DAXPIN_TRY_ASSIGN(volume_, volume::Volume::open(open_table(media_), env_, options_));
    return {};
}

void VolumeFixture::remount() {
    unmount();
    require(mount(), "mount");
}

Result<void> VolumeFixture::kill_and_mount() {
    std::vector<std::shared_ptr<SimMedia>> copies;
    for (const auto &one : media_)
        copies.push_back(one->clone());
    volume_.reset(); // its last writes go to media that nobody looks at any more
    media_ = std::move(copies);
    return mount();
}

} // namespace daxpin::test
