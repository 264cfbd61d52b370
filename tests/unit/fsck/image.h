// SPDX-License-Identifier: BSD-3-Clause
//
// Image: a small volume written by hand from docs/format.md, so that tests can break one rule at
// a time. Shares no code with the engine or with the reader that is tested.
//
// Change `items` or `superblock` before write(), or the media's bytes after it.
#pragma once

#include "base/checksum.h"
#include "format/layout.h"
#include "support/sim_device.h"
#include "tools/fsck/check.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daxpin::test {

using ImageBytes = std::vector<std::byte>;

template <typename T> ImageBytes bytes_of(const T &object) {
    const auto *bytes = reinterpret_cast<const std::byte *>(&object);
    return {bytes, bytes + sizeof object};
}

class Image {
  public:
    // One device of 256 blocks, or a metadata device and `data_devices` for data.
    explicit Image(unsigned data_devices = 0);

    // --- content, before write() ---
    using ItemKey = std::pair<std::uint64_t, std::uint64_t>; // inode, place
    std::map<ItemKey, ImageBytes> items;
    format::Superblock superblock{};

    static ItemKey key(std::uint64_t inode, format::ItemType type, std::uint64_t offset = 0);
    ItemKey name_key(std::uint64_t inode, format::ItemType type, std::string_view name) const;

    // Changes a structure in an item.
    template <typename T, typename Change> void change(const ItemKey &where, Change &&change) {
        auto &bytes = items.at(where);
        T object;
        std::memcpy(&object, bytes.data(), sizeof object);
        change(object);
        std::memcpy(bytes.data(), &object, sizeof object);
    }
    template <typename Change> void change_inode(std::uint64_t number, Change &&how) {
        change<format::InodeItem>(key(number, format::ItemType::inode), how);
    }

    void put_inode(std::uint64_t number, std::uint32_t mode, std::uint32_t links,
                   std::uint64_t size);
    void put_entry(std::uint64_t directory, std::string_view name, std::uint64_t target,
                   std::uint32_t mode);
    void put_extent(std::uint64_t inode, std::uint64_t first, std::uint64_t media_block,
                    std::uint32_t count, bool unwritten = false);
    void put_blob(const ItemKey &where, std::string_view name, const ImageBytes &content);

    // Blocks marked in use on a device; the first of a run of free ones.
    std::uint64_t allocate(unsigned device, std::uint64_t count = 1);
    void set_used(unsigned device, std::uint64_t block, bool used) { used_[device][block] = used; }

    // The shape of the tree: few items a leaf make many nodes.
    std::size_t leaf_items_max = 4;
    std::size_t children_max = 3;

    // --- media ---
    void write();
    std::span<std::byte> block(std::uint64_t number, unsigned device = 0);
    template <typename T> T &at(std::uint64_t number, std::size_t offset = 0, unsigned device = 0) {
        return *reinterpret_cast<T *>(block(number, device).data() + offset);
    }
    SimMedia &media(unsigned device = 0) { return *media_[device]; }
    const std::vector<std::shared_ptr<SimMedia>> &all_media() const { return media_; }
    static void seal_unit(std::span<std::byte> unit);
    void write_labels();
    void write_superblocks();
    void write_cell(std::uint64_t number, std::uint64_t counter, std::uint64_t tail);

    struct Entry {
        std::uint64_t block; // MediaBlock
        std::uint16_t offset;
        ImageBytes bytes;
    };
    // Writes a record behind the last one (or where `skip_to_next_lap`, at the ring's start);
    // returns its sequence. Use head to begin elsewhere.
    std::uint64_t append_record(const std::vector<Entry> &entries,
                                const format::RecordHeader &overrides = {});
    std::uint64_t seat(std::uint64_t sequence) const;
    format::RecordHeader &record(std::uint64_t sequence);
    void seal_record(std::uint64_t sequence);
    std::uint64_t head = 0;
    std::uint64_t previous_end = 0;

    // Tree nodes by level, in key order, once written. nodes[0] are leaves.
    std::vector<std::vector<std::uint64_t>> nodes;
    // Where an item stands: leaf block and slot.
    std::pair<std::uint64_t, unsigned> find(const ItemKey &where);

    fsck::Report check(const fsck::CheckOptions &options = {});

    static constexpr std::uint64_t blocks = 256;
    static constexpr std::uint64_t cell_a = 1;
    static constexpr std::uint64_t ring_start = 2;
    static constexpr std::uint64_t ring_blocks = 32;
    static constexpr std::uint64_t cell_b = 34;
    static constexpr std::uint64_t ring_bytes = ring_blocks * block_size;

    // What the default content holds.
    static constexpr std::uint64_t file = 16;    // "file" and "sub/other", 3 blocks and a hole
    static constexpr std::uint64_t sub = 17;     // "sub"
    static constexpr std::uint64_t link = 18;    // "sub/link", a symbolic link
    static constexpr std::uint64_t pinned = 19;  // "pinned", wholly pinned
    static constexpr std::uint64_t removed = 20; // unlinked, to be removed
    static constexpr std::uint64_t cut = 21;     // "cut", to be truncated
    static constexpr std::uint64_t deep = 22;    // "sub/deep", an empty directory

    std::uint64_t data_device() const { return media_.size() > 1 ? 1 : 0; }
    std::uint64_t file_blocks = 0; // media block of the file's first extent

  private:
    void plan(unsigned device_count);
    void fill();
    void write_tree();
    void write_leaves(std::vector<ItemKey> &first_keys);
    std::vector<ItemKey> write_level(unsigned level, const std::vector<ItemKey> &keys);
    void write_bitmaps();

    std::vector<std::shared_ptr<SimMedia>> media_;
    std::vector<std::vector<bool>> used_;
    HashKey hash_key_{};
    HashKey epoch_{};
};

// True if the report has an error (or note) of this subject whose text contains `part`.
bool has(const fsck::Report &report, fsck::Subject subject, std::string_view part,
         fsck::Severity severity = fsck::Severity::error);
// All findings, a line each, for a failed test.
std::string text_of(const fsck::Report &report);

} // namespace daxpin::test
