// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/commands.h"
#include "tools/dump/item_walk.h"
#include "tools/dump/text.h"

namespace daxpin::dump {
namespace {

Result<void> list_nodes(const Context &context) {
    context.out.begin_table("nodes", {{"block", -16},
                                      {"level", 5},
                                      {"count", 5},
                                      {"heap_start", 10},
                                      {"heap_dead", 9},
                                      {"first_key", -1}});
    auto walked = walk_items(
        context.view, {}, {}, [](const reader::Item &) {},
        [&](MediaBlock block, const reader::Node &node) {
            const auto header = node.header();
            std::string first = "-";
            if (header.count != 0)
                first = to_string(header.level == 0 ? node.item(0).key : node.child(0).key);
            context.out.row({block_text(block.value), std::uint64_t{header.level},
                             std::uint64_t{header.count}, std::uint64_t{header.heap_start},
                             std::uint64_t{header.heap_dead}, first});
        });
    context.out.end_table();
    return walked;
}

Result<void> list_items(const Context &context) {
    context.out.begin_table(
        "items", {{"inode", 20}, {"type", -10}, {"offset", 20}, {"bytes", 5}, {"value", -1}});
    auto walked = walk_items(context.view, {}, {}, [&](const reader::Item &item) {
        context.out.row({item.key.inode, item_type_text(item.key.type()), item.key.offset(),
                         std::uint64_t{item.value.size()}, hex_text(item.value)});
    });
    context.out.end_table();
    return walked;
}

} // namespace

Result<void> dump_tree(const Context &context, bool items) {
    return items ? list_items(context) : list_nodes(context);
}

} // namespace daxpin::dump
