// SPDX-License-Identifier: BSD-3-Clause
#include "base/uuid.h"
#include "tools/dump/commands.h"
#include "tools/dump/text.h"

namespace daxpin::dump {
namespace {

constexpr const char *hidden = "hidden (--secrets shows it)";

std::string secret(const Context &context, std::span<const std::byte> bytes) {
    return context.secrets ? hex_text(bytes) : hidden;
}

void dump_device_entries(const Context &context, const format::Superblock &superblock) {
    context.out.begin_table("devices", {{"device", 6},
                                        {"uuid", -36},
                                        {"role", -8},
                                        {"blocks", 12},
                                        {"mapping_unit", 12},
                                        {"bitmap_start", 12},
                                        {"bitmap_chunks", 13}});
    for (unsigned i = 0; i < superblock.device_count; ++i) {
        const auto &entry = superblock.devices[i];
        context.out.row({std::uint64_t{i}, uuid_text(entry.device_uuid), role_text(entry.role),
                         entry.block_count.get(), entry.mapping_unit.get(),
                         entry.bitmap_start.get(), std::uint64_t{entry.group_count}});
    }
    context.out.end_table();
}

} // namespace

Result<void> dump_superblock(const Context &context) {
    const auto &superblock = context.view.superblock();
    const auto labels = reader::read_labels(context.devices.metadata());
    const auto copies = reader::read_superblocks(context.devices.metadata(), labels.best());
    Output &out = context.out;
    out.field("first_copy", std::string(to_string(copies.first.state)));
    out.field("second_copy", std::string(to_string(copies.second.state)));
    out.field("second_copy_block", copies.second.block);
    out.field("format_version", std::uint64_t{superblock.format_version});
    out.field("volume_uuid", uuid_text(superblock.volume_uuid));
    out.field("label", label_text(superblock.text));
    out.field("created", time_text(superblock.created_ns));
    out.field("compat", hex_text(superblock.compat));
    out.field("ro_compat", hex_text(superblock.ro_compat));
    out.field("incompat", hex_text(superblock.incompat));
    out.field("block_bytes", std::uint64_t{superblock.block_bytes});
    out.field("ring_start", superblock.ring_start.get());
    out.field("ring_blocks", superblock.ring_blocks.get());
    out.field("tail_cell_a", superblock.tail_cell_a.get());
    out.field("tail_cell_b", superblock.tail_cell_b.get());
    out.field("root", superblock.root.get());
    out.field("hash_key", secret(context, superblock.hash_key));
    dump_device_entries(context, superblock);
    return {};
}

Result<void> dump_labels(const Context &context) {
    context.out.begin_table("labels", {{"device", 6},
                                       {"block", 12},
                                       {"state", -12},
                                       {"volume_uuid", -36},
                                       {"device_uuid", -36},
                                       {"index", 5},
                                       {"devices", 7},
                                       {"role", -8},
                                       {"blocks", 12},
                                       {"mapping_unit", 12},
                                       {"created", -30},
                                       {"label", -1}});
    for (unsigned i = 0; i < context.devices.count(); ++i) {
        const auto labels = reader::read_labels(context.devices.at(i));
        for (const auto *copy : {&labels.first, &labels.second}) {
            const auto &label = copy->value;
            context.out.row({std::uint64_t{i}, copy->block, std::string(to_string(copy->state)),
                             uuid_text(label.volume_uuid), uuid_text(label.device_uuid),
                             std::uint64_t{label.index}, std::uint64_t{label.device_count},
                             role_text(label.role), label.block_count.get(),
                             label.mapping_unit.get(), time_text(label.created_ns),
                             label_text(label.text)});
        }
    }
    context.out.end_table();
    return {};
}

Result<void> dump_cells(const Context &context) {
    const auto &cells = context.view.tail_cells();
    const auto *ruling = reader::ruling_cell(cells);
    context.out.begin_table("tail_cells", {{"block", 12},
                                           {"state", -12},
                                           {"rules", -5},
                                           {"counter", 12},
                                           {"tail", 20},
                                           {"epoch", -32}});
    for (const auto *copy : {&cells.first, &cells.second})
        context.out.row({copy->block, std::string(to_string(copy->state)), ruling == &copy->value,
                         copy->value.counter.get(), copy->value.tail.get(),
                         secret(context, copy->value.epoch)});
    context.out.end_table();
    return {};
}

} // namespace daxpin::dump
