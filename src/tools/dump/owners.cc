// SPDX-License-Identifier: BSD-3-Clause
//
// Who owns the blocks: the proof that data and metadata stay on devices of their own.
#include "base/uuid.h"
#include "tools/dump/commands.h"
#include "tools/dump/item_walk.h"
#include "tools/dump/text.h"

#include <bit>

namespace daxpin::dump {
namespace {

using format::ItemType;

enum class Use { label, metadata, data };

// Counts what every device holds and lists the runs if asked to.
class Owners {
  public:
    Owners(const Context &context, bool list) : context_(context), list_(list) {}

    Result<void> collect() {
        if (list_)
            context_.out.begin_table(
                "runs", {{"device", 6}, {"block", 15}, {"blocks", 12}, {"use", -8}, {"owner", -1}});
        fixed_regions();
        auto walked = walk_items(
            context_.view, {}, {}, [&](const reader::Item &item) { blocks_of(item); },
            [&](MediaBlock block, const reader::Node &node) {
                add(block, 1, Use::metadata, "tree node, level " + std::to_string(node.level()));
            });
        if (list_)
            context_.out.end_table();
        return walked;
    }

    void summarize() const {
        const auto &superblock = context_.view.superblock();
        std::uint64_t data_among_metadata = 0;
        std::uint64_t metadata_among_data = 0;
        context_.out.begin_table("devices", {{"device", 6},
                                             {"role", -8},
                                             {"blocks", 12},
                                             {"label", 6},
                                             {"metadata", 12},
                                             {"data", 12}});
        for (unsigned i = 0; i < superblock.device_count; ++i) {
            const auto &entry = superblock.devices[i];
            const auto &count = counts_[i];
            context_.out.row({std::uint64_t{i}, role_text(entry.role), entry.block_count.get(),
                              count.label, count.metadata, count.data});
            if (entry.role == static_cast<std::uint32_t>(format::Role::metadata))
                data_among_metadata += count.data;
            if (entry.role == static_cast<std::uint32_t>(format::Role::data))
                metadata_among_data += count.metadata;
        }
        context_.out.end_table();
        context_.out.field("data_blocks_on_metadata_devices", data_among_metadata);
        context_.out.field("metadata_blocks_on_data_devices", metadata_among_data);
    }

  private:
    struct Count {
        std::uint64_t label = 0;
        std::uint64_t metadata = 0;
        std::uint64_t data = 0;
    };

    void add(MediaBlock start, std::uint64_t count, Use use, const std::string &owner) {
        if (start.device() >= format::devices_max)
            return;
        Count &counts = counts_[start.device()];
        (use == Use::label  ? counts.label
         : use == Use::data ? counts.data
                            : counts.metadata) += count;
        static constexpr const char *names[] = {"label", "metadata", "data"};
        if (list_)
            context_.out.row({std::uint64_t{start.device()}, start.block(), count,
                              std::string(names[static_cast<int>(use)]), owner});
    }

    void fixed_regions() {
        const auto &superblock = context_.view.superblock();
        for (unsigned i = 0; i < superblock.device_count; ++i) {
            add(MediaBlock::at(i, 0), 1, Use::label, "label");
            add(MediaBlock::at(i, superblock.devices[i].block_count - 1), 1, Use::label,
                "second label");
        }
        add(MediaBlock::at(0, superblock.ring_start), superblock.ring_blocks, Use::metadata,
            "journal ring");
        add(MediaBlock::at(0, superblock.tail_cell_a), 1, Use::metadata, "tail cell");
        add(MediaBlock::at(0, superblock.tail_cell_b), 1, Use::metadata, "second tail cell");
        for (unsigned i = 0; i < superblock.device_count; ++i)
            add(MediaBlock::at(0, superblock.devices[i].bitmap_start),
                superblock.devices[i].group_count, Use::metadata,
                "bitmap chunks of device " + std::to_string(i));
    }

    void blocks_of(const reader::Item &item) {
        const std::string owner = "inode " + std::to_string(item.key.inode);
        switch (static_cast<ItemType>(item.key.type())) {
        case ItemType::extent: {
            const auto extent = load<format::ExtentItem>(item.value);
            return add(MediaBlock{extent.media_block}, extent.block_count, Use::data, owner);
        }
        case ItemType::quarantine: {
            const auto entry = load<format::QuarantineItem>(item.value);
            return add(MediaBlock{item.key.offset()}, entry.block_count, Use::data,
                       "quarantine, from inode " + std::to_string(entry.inode));
        }
        case ItemType::xattr:
        case ItemType::symlink:
            return blob_blocks(item.value, owner);
        default:
            return;
        }
    }

    void blob_blocks(std::span<const std::byte> value, const std::string &owner) {
        const auto blob = load<format::BlobItem>(value);
        const std::size_t begin = sizeof blob + (blob.name_length + 7U) / 8 * 8;
        for (std::size_t i = 0; i < blob.block_count; ++i) {
            const std::size_t at = begin + i * sizeof(le64);
            if (at + sizeof(le64) > value.size())
                return;
            add(MediaBlock{load<le64>(value.subspan(at))}, 1, Use::metadata, owner + ", blob");
        }
    }

    const Context &context_;
    bool list_;
    Count counts_[format::devices_max];
};

} // namespace

Result<void> dump_owners(const Context &context, bool list) {
    Owners owners(context, list);
    DAXPIN_TRY(owners.collect());
    owners.summarize();
    return {};
}

Result<void> dump_bad_blocks(const Context &context) {
    const reader::Key first{format::bad_block_table, 0};
    context.out.begin_table(
        "bad_blocks",
        {{"device", 6}, {"block", 15}, {"found", -30}, {"source", -8}, {"unowned", -7}});
    auto walked = walk_items(
        context.view, first, reader::Key{first.inode + 1, 0}, [&](const reader::Item &item) {
            const auto bad = load<format::BadBlockItem>(item.value);
            const MediaBlock block{item.key.offset()};
            context.out.row({std::uint64_t{block.device()}, block.block(), time_text(bad.found_ns),
                             bad_source_text(bad.source),
                             (bad.flags & format::bad_block_flag_unowned) != 0});
        });
    context.out.end_table();
    return walked;
}

Result<void> dump_quarantine(const Context &context) {
    const reader::Key first{format::quarantine_table, 0};
    context.out.begin_table("quarantine", {{"device", 6},
                                           {"block", 15},
                                           {"blocks", 12},
                                           {"inode", 12},
                                           {"generation", -18},
                                           {"boot", -36}});
    auto walked = walk_items(
        context.view, first, reader::Key{first.inode + 1, 0}, [&](const reader::Item &item) {
            const auto entry = load<format::QuarantineItem>(item.value);
            const MediaBlock block{item.key.offset()};
            context.out.row({std::uint64_t{block.device()}, block.block(),
                             std::uint64_t{entry.block_count}, entry.inode.get(),
                             hex_text(entry.generation), uuid_text(entry.boot_id)});
        });
    context.out.end_table();
    return walked;
}

Result<void> dump_bitmaps(const Context &context) {
    const auto &superblock = context.view.superblock();
    Result<void> result;
    context.out.begin_table("chunks", {{"device", 6},
                                       {"group", 8},
                                       {"block", -16},
                                       {"checksum", -8},
                                       {"free_count", 10},
                                       {"clear_bits", 10}});
    for (unsigned i = 0; i < superblock.device_count; ++i) {
        const auto &entry = superblock.devices[i];
        for (std::uint64_t group = 0; group < entry.group_count; ++group) {
            const auto block = MediaBlock::at(0, entry.bitmap_start + group);
            reader::UnitBytes bytes;
            if (const auto read = context.view.read(block, bytes); !read) {
                result = read;
                continue;
            }
            std::uint64_t clear = 0;
            for (const std::byte byte : std::span(bytes).subspan(format::bitmap_header_bytes))
                clear += 8 - std::popcount(std::to_integer<unsigned>(byte));
            const bool sound = reader::unit_checksum_holds(bytes);
            context.out.row({std::uint64_t{i}, group, block_text(block.value),
                             std::string(sound ? "holds" : "WRONG"),
                             std::uint64_t{load<format::BitmapHeader>(bytes).free_count}, clear});
        }
    }
    context.out.end_table();
    return result;
}

} // namespace daxpin::dump
