// SPDX-License-Identifier: BSD-3-Clause
#include "faults/survey.h"

#include "base/assert.h"
#include "device/label.h"
#include "tools/reader/tree_walk.h"

#include <algorithm>
#include <cstring>

namespace daxpin::faults {

namespace {

using format::ItemType;

class Surveyor : public reader::TreeVisitor {
  public:
    explicit Surveyor(const reader::View &view) : view_(view) {}

    Survey survey;

    void fixed_regions() {
        const auto &superblock = view_.superblock();
        for (unsigned device = 0; device < superblock.device_count; ++device) {
            const auto &entry = superblock.devices[device];
            for (const std::uint64_t block : {std::uint64_t{0}, entry.block_count - 1}) {
                add(Place::label, device, block * block_size, sizeof(format::DeviceLabel));
                if (device == 0)
                    add(Place::superblock, 0, block * block_size + format::superblock_offset,
                        sizeof(format::Superblock));
            }
            for (std::uint64_t i = 0; i < entry.group_count; ++i)
                add(Place::bitmap, 0, (entry.bitmap_start + i) * block_size, block_size);
        }
        for (const std::uint64_t block : {superblock.tail_cell_a, superblock.tail_cell_b})
            add(Place::tail_cell, 0, block * block_size, sizeof(format::TailCell));
    }

    // REQUIRES: the tree was walked.
    void records() {
        const std::uint64_t ring = view_.superblock().ring_start * block_size;
        const auto &patches = view_.walk().patches;
        for (const auto &record : view_.walk().records) {
            const std::uint64_t seat = record.sequence % view_.ring().bytes();
            Span span{Place::record, 0, ring + seat, record.length};
            for (const auto &patch : patches)
                if (patch.seat >= seat && patch.seat < seat + record.length)
                    span.inodes.merge(std::set(inodes_in_[MediaBlock{patch.block}.block()]));
            survey.in_use.push_back(span);
            survey.newest = span;
        }
        if (survey.newest.length != 0)
            survey.in_use.pop_back();
    }

    // What was found about blocks becomes part of their spans.
    void finish() {
        for (Span &span : survey.in_use)
            if (span.place == Place::node || span.place == Place::blob)
                span.inodes = inodes_in_[span.offset / block_size];
        std::ranges::sort(survey.in_use, {},
                          [](const Span &span) { return std::pair(span.device, span.offset); });
    }

    bool enter(const reader::NodePlace &, double) override { return true; }

    void node(MediaBlock block, const reader::Node &node) override {
        while (!path_.empty() && path_.back().level <= node.level())
            path_.pop_back();
        path_.push_back({block.block(), node.level()});
        add(Place::node, 0, block.block() * block_size, block_size);
    }

    void item(const reader::Item &item, MediaBlock) override {
        const bool unfinished = item.key.inode == format::unfinished_table;
        const std::uint64_t inode = unfinished ? item.key.offset() : item.key.inode;
        for (const Step &step : path_)
            inodes_in_[step.block].insert(inode);
        const auto type = static_cast<ItemType>(item.key.type());
        if (type == ItemType::xattr || type == ItemType::symlink)
            blob(inode, item.value);
    }

    void broken(const reader::NodePlace &, bool, const std::string &) override {
        DAXPIN_ASSERT(false);
    }

  private:
    struct Step {
        std::uint64_t block;
        unsigned level;
    };

    void add(Place place, unsigned device, std::uint64_t offset, std::uint64_t length) {
        survey.in_use.push_back({place, device, offset, length});
    }

    void blob(std::uint64_t inode, std::span<const std::byte> value) {
        format::BlobItem item;
        std::memcpy(&item, value.data(), sizeof item);
        const std::size_t addresses = sizeof item + (item.name_length + 7U) / 8 * 8;
        for (std::size_t i = 0; i < item.block_count; ++i) {
            le64 address;
            std::memcpy(&address, value.data() + addresses + i * sizeof address, sizeof address);
            // Behind the content nothing has a meaning.
            const std::uint64_t left = item.length - i * block_size;
            add(Place::blob, 0, address * block_size, std::min<std::uint64_t>(left, block_size));
            inodes_in_[address].insert(inode);
        }
    }

    const reader::View &view_;
    std::vector<Step> path_;                                     // from the root
    std::map<std::uint64_t, std::set<std::uint64_t>> inodes_in_; // by block of device 0
};

} // namespace

Survey survey(const std::vector<std::shared_ptr<test::SimMedia>> &media) {
    const auto table = test::open_table(media);
    const auto superblock = device::read_superblock(table.metadata());
    DAXPIN_ASSERT(superblock);
    const reader::View view(table, *superblock, true);
    Surveyor surveyor(view);
    surveyor.fixed_regions();
    reader::walk_tree(view, surveyor);
    surveyor.records();
    surveyor.finish();
    return std::move(surveyor.survey);
}

} // namespace daxpin::faults
