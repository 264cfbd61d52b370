// SPDX-License-Identifier: BSD-3-Clause
#include "base/uuid.h"
#include "tools/dump/commands.h"
#include "tools/dump/item_walk.h"
#include "tools/dump/text.h"

#include <algorithm>
#include <optional>

namespace daxpin::dump {
namespace {

using format::ItemType;

std::string name_in(std::span<const std::byte> value, std::size_t offset, std::size_t length) {
    if (offset > value.size())
        return "";
    const auto bytes = value.subspan(offset, std::min(length, value.size() - offset));
    return reader::printable({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

bool is(const reader::Item &item, ItemType type) {
    return item.key.type() == static_cast<unsigned>(type);
}

void dump_attributes(Output &out, std::uint64_t number, const format::InodeItem &inode) {
    out.field("inode", number);
    out.field("generation", inode.generation.get());
    out.field("mode", mode_text(inode.mode));
    out.field("uid", std::uint64_t{inode.uid});
    out.field("gid", std::uint64_t{inode.gid});
    out.field("link_count", std::uint64_t{inode.link_count});
    out.field("size", inode.size.get());
    out.field("block_count", inode.block_count.get());
    out.field("atime", time_text(inode.atime_ns));
    out.field("mtime", time_text(inode.mtime_ns));
    out.field("ctime", time_text(inode.ctime_ns));
    out.field("btime", time_text(inode.btime_ns));
    out.field("rdev", std::uint64_t{inode.rdev});
    out.field("flags", flags_text(inode.flags));
    out.field("parent", inode.parent.get());
    out.field("align_hint", inode.align_hint.get());
    out.field("lease_boot", uuid_text(inode.lease_boot));
}

void dump_xattr(Output &out, const reader::Item &item) {
    const auto blob = load<format::BlobItem>(item.value);
    out.row({name_in(item.value, sizeof blob, blob.name_length), std::uint64_t{blob.length},
             std::uint64_t{blob.block_count}});
}

// An inode may have lost its own item and still have others.
Result<void> check_there(const Context &context, std::uint64_t number) {
    bool found = false;
    const auto note = [&](const reader::Item &) { found = true; };
    const reader::Key key{number, std::uint64_t{static_cast<unsigned>(ItemType::inode)} << 60};
    DAXPIN_TRY(walk_items(context.view, key, reader::Key{key.inode, key.place + 1}, note));
    if (!found)
        DAXPIN_TRY(walk_inode(context.view, number, note));
    if (!found)
        return Error{Errc::not_found, "there is no inode " + std::to_string(number)};
    return {};
}

// Each kind of item as a table of its own; `row` prints one.
Result<void> dump_items(const Context &context, std::uint64_t number, ItemType type,
                        const char *table, std::initializer_list<Column> columns,
                        const ItemVisitor &row) {
    context.out.begin_table(table, columns);
    auto walked = walk_inode(context.view, number, [&](const reader::Item &item) {
        if (is(item, type))
            row(item);
    });
    context.out.end_table();
    return walked;
}

Result<void> dump_unfinished(const Context &context, std::uint64_t number) {
    const std::uint64_t place =
        std::uint64_t{static_cast<unsigned>(ItemType::unfinished)} << 60 | number;
    const reader::Key key{format::unfinished_table, place};
    return walk_items(
        context.view, key, reader::Key{key.inode, key.place + 1}, [&](const reader::Item &item) {
            const auto work = load<format::UnfinishedItem>(item.value);
            const bool remove =
                work.kind == static_cast<std::uint32_t>(format::UnfinishedKind::remove);
            context.out.field("unfinished", std::string(remove ? "remove" : "truncate"));
            if (!remove)
                context.out.field("unfinished_from_block", work.from_block.get());
        });
}

} // namespace

Result<void> dump_inode(const Context &context, std::uint64_t number) {
    Output &out = context.out;
    bool found = false;
    DAXPIN_TRY(walk_inode(context.view, number, [&](const reader::Item &item) {
        if (is(item, ItemType::inode)) {
            found = true;
            dump_attributes(out, number, load<format::InodeItem>(item.value));
        } else if (is(item, ItemType::symlink)) {
            const auto blob = load<format::BlobItem>(item.value);
            if (blob.block_count == 0)
                out.field("target", name_in(item.value, sizeof blob, blob.length));
        }
    }));
    if (!found)
        return Error{Errc::not_found, "there is no inode " + std::to_string(number)};
    DAXPIN_TRY(dump_unfinished(context, number));
    DAXPIN_TRY(dump_items(context, number, ItemType::xattr, "extended_attributes",
                          {{"name", -32}, {"bytes", 8}, {"blocks", 6}},
                          [&](const reader::Item &item) { dump_xattr(out, item); }));
    return dump_items(context, number, ItemType::pin, "pins", {{"file_block", 20}, {"blocks", 20}},
                      [&](const reader::Item &item) {
                          const auto pin = load<format::PinItem>(item.value);
                          out.row({item.key.offset(), pin.block_count.get()});
                      });
}

Result<void> dump_directory(const Context &context, std::uint64_t number) {
    DAXPIN_TRY(check_there(context, number));
    context.out.field("directory", number);
    return dump_items(
        context, number, ItemType::dirent, "entries",
        {{"cookie", 20}, {"inode", 12}, {"generation", 20}, {"type", -16}, {"name", -1}},
        [&](const reader::Item &item) {
            const auto entry = load<format::DirentItem>(item.value);
            context.out.row({item.key.offset(), entry.inode.get(), entry.generation.get(),
                             type_text(entry.type),
                             name_in(item.value, sizeof entry, entry.name_length)});
        });
}

Result<void> dump_extents(const Context &context, std::uint64_t number) {
    DAXPIN_TRY(check_there(context, number));
    context.out.field("inode", number);
    return dump_items(context, number, ItemType::extent, "extents",
                      {{"file_block", 20},
                       {"device", 6},
                       {"media_block", 15},
                       {"device_offset", 20},
                       {"blocks", 10},
                       {"unwritten", -9}},
                      [&](const reader::Item &item) {
                          const auto extent = load<format::ExtentItem>(item.value);
                          const MediaBlock start{extent.media_block};
                          context.out.row({item.key.offset(), std::uint64_t{start.device()},
                                           start.block(), start.block() * block_size,
                                           std::uint64_t{extent.block_count},
                                           (extent.flags & format::extent_flag_unwritten) != 0});
                      });
}

} // namespace daxpin::dump
