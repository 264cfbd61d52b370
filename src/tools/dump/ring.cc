// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/commands.h"
#include "tools/dump/text.h"

namespace daxpin::dump {
namespace {

void list_records(const Context &context, const reader::Walk &walk) {
    context.out.begin_table("records",
                            {{"sequence", 20}, {"seat", 12}, {"bytes", 10}, {"entries", 8}});
    for (const auto &record : walk.records)
        context.out.row({record.sequence, record.sequence % context.view.ring().bytes(),
                         std::uint64_t{record.length}, std::uint64_t{record.entry_count}});
    context.out.end_table();
}

Result<void> entry_rows(const Context &context, const reader::Walk &walk) {
    std::size_t next = 0;
    std::vector<std::byte> bytes;
    for (const auto &record : walk.records) {
        for (std::uint32_t i = 0; i < record.entry_count && next < walk.patches.size(); ++i) {
            const auto &patch = walk.patches[next++];
            bytes.resize(patch.length);
            DAXPIN_TRY(context.view.ring().read(patch.seat, bytes));
            context.out.row({record.sequence, block_text(patch.block), std::uint64_t{patch.offset},
                             std::uint64_t{patch.length}, hex_text(bytes)});
        }
    }
    return {};
}

Result<void> list_entries(const Context &context, const reader::Walk &walk) {
    context.out.begin_table(
        "entries", {{"sequence", 20}, {"block", -16}, {"offset", 6}, {"length", 6}, {"bytes", -1}});
    auto listed = entry_rows(context, walk);
    context.out.end_table();
    return listed;
}

} // namespace

Result<void> dump_ring(const Context &context, bool entries) {
    const auto &walk = context.view.walk();
    const auto *cell = reader::ruling_cell(context.view.tail_cells());
    if (cell == nullptr)
        return Error{Errc::corrupt, "both tail cells are damaged: the ring cannot be read"};
    context.out.field("ring_bytes", context.view.ring().bytes());
    context.out.field("tail", cell->tail.get());
    context.out.field("stop", walk.stop);
    context.out.field("used_bytes", walk.stop - cell->tail);
    context.out.field("damaged", !walk.damage.empty() || !walk.unreadable.empty());
    list_records(context, walk);
    if (entries)
        DAXPIN_TRY(list_entries(context, walk));
    if (walk.unknown_type)
        return Error{Errc::unsupported, "the journal holds a record of unknown type " +
                                            std::to_string(*walk.unknown_type)};
    if (!walk.damage.empty())
        return Error{Errc::corrupt, "the journal is damaged: " + walk.damage.front()};
    if (!walk.unreadable.empty())
        return Error{Errc::corrupt, "the journal is damaged: " + walk.unreadable.front()};
    return {};
}

} // namespace daxpin::dump
