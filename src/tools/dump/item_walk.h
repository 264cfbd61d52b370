// SPDX-License-Identifier: BSD-3-Clause
//
// Walks of the tree that remember the first node that could not be used.
#pragma once

#include "tools/reader/tree_walk.h"

#include <functional>
#include <optional>

namespace daxpin::dump {

using ItemVisitor = std::function<void(const reader::Item &)>;
using NodeVisitor = std::function<void(MediaBlock, const reader::Node &)>;

// Calls `item` for the items of [from, to), without `to` up to the last, and `node`, unless null,
// for the nodes on the way. ERRORS: io, corrupt with the first broken node's name; everything else
// was visited.
Result<void> walk_items(const reader::View &view, reader::Key from, std::optional<reader::Key> to,
                        const ItemVisitor &item, const NodeVisitor &node = {});

// The items of one inode.
Result<void> walk_inode(const reader::View &view, std::uint64_t number, const ItemVisitor &item);

} // namespace daxpin::dump
