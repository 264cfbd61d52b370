// SPDX-License-Identifier: BSD-3-Clause
#include "support/engine_fixture.h"

#include "base/assert.h"

namespace daxpin::test {

namespace {

template <typename T> T must(Result<T> result) {
    DAXPIN_ASSERT(result.has_value());
    return *std::move(result);
}
void must(Result<void> result) {
    DAXPIN_ASSERT(result.has_value());
}

// Device 0: label, tail cells, ring, bitmaps of all devices, root, free space, label.
format::Superblock plan(const EngineShape &shape, const std::vector<std::uint64_t> &sizes) {
    format::Superblock superblock{};
    superblock.format_version = format::version;
    superblock.block_bytes = block_size;
    superblock.device_count = static_cast<std::uint16_t>(sizes.size());
    superblock.tail_cell_a = 1;
    superblock.tail_cell_b = 2;
    superblock.ring_start = 3;
    superblock.ring_blocks = shape.journal_bytes / block_size;
    std::uint64_t next = 3 + shape.journal_bytes / block_size;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        format::DeviceEntry &entry = superblock.devices[i];
        entry.block_count = sizes[i] / block_size;
        entry.mapping_unit = block_size;
        const bool metadata_only = i == 0 && sizes.size() > 1;
        entry.role = static_cast<std::uint32_t>(metadata_only ? format::Role::metadata
                                                : i == 0      ? format::Role::both
                                                              : format::Role::data);
        entry.group_count = alloc::Allocator::group_count(entry.block_count);
        entry.bitmap_start = next;
        next += entry.group_count;
    }
    superblock.root = next;
    return superblock;
}

} // namespace

EngineFixture::EngineFixture(const EngineShape &shape) {
    std::vector<std::uint64_t> sizes{shape.device_bytes};
    sizes.insert(sizes.end(), shape.data_devices, shape.data_bytes);
    for (const std::uint64_t size : sizes) {
        SimOptions options;
        options.size = size;
        media_.push_back(SimMedia::create(options));
    }
    superblock_ = plan(shape, sizes);
    in_use_.push_back({MediaBlock::at(0, 0), {superblock_.root + 1}});
    for (unsigned i = 0; i < sizes.size(); ++i) {
        if (i > 0)
            in_use_.push_back({MediaBlock::at(i, 0), {1}});
        in_use_.push_back({MediaBlock::at(i, sizes[i] / block_size - 1), {1}});
    }
    format();
    open();
}

EngineFixture::~EngineFixture() = default;

void EngineFixture::format() {
    auto devices = open_table(media_);
    must(alloc::Allocator::format(devices, superblock_, in_use_));
    must(btree::Tree::format(devices, MediaBlock::at(0, superblock_.root)));
    must(journal::Journal::format(devices, journal::geometry_of(superblock_), env_));
}

void EngineFixture::open() {
    layers_ = std::make_unique<Layers>(Layers{open_table(media_), {}, {}, {}});
    layers_->journal =
        must(journal::Journal::open(layers_->devices, journal::geometry_of(superblock_), env_));
    layers_->allocator = must(alloc::Allocator::open(*layers_->journal, superblock_));
    layers_->tree =
        std::make_unique<btree::Tree>(*layers_->journal, MediaBlock::at(0, superblock_.root));
}

void EngineFixture::reopen() {
    layers_.reset();
    open();
}

} // namespace daxpin::test
