// SPDX-License-Identifier: BSD-3-Clause
//
// The commands of dump.daxpinfs. Each prints one kind of structure; none writes to a device.
//
// The journal's epoch and the name hash key are secrets: printed only with Context::secrets.
// ERRORS of all: not_found if what was asked for is not there; io; corrupt.
#pragma once

#include "tools/dump/output.h"
#include "tools/reader/view.h"

namespace daxpin::dump {

struct Context {
    const device::DeviceTable &devices;
    const reader::View &view;
    Output &out;
    bool secrets = false;
};

Result<void> dump_superblock(const Context &context);
Result<void> dump_labels(const Context &context);
Result<void> dump_cells(const Context &context);
Result<void> dump_ring(const Context &context, bool entries);
Result<void> dump_inode(const Context &context, std::uint64_t number);
Result<void> dump_directory(const Context &context, std::uint64_t number);
Result<void> dump_extents(const Context &context, std::uint64_t number);
Result<void> dump_tree(const Context &context, bool items);
Result<void> dump_bad_blocks(const Context &context);
Result<void> dump_quarantine(const Context &context);
Result<void> dump_bitmaps(const Context &context);
Result<void> dump_owners(const Context &context, bool list);
// `length` bytes from `offset` of a block; length 0: to the block's end.
Result<void> dump_hex(const Context &context, MediaBlock block, std::uint64_t offset,
                      std::uint64_t length);

} // namespace daxpin::dump
