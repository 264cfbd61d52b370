// SPDX-License-Identifier: BSD-3-Clause
//
// Blobs: byte strings of up to 64 KiB in the tree, inline or in metadata blocks of their own.
//
// New content always goes to new blocks, durable before the record that names them.
// Layout: docs/format.md, "Blob item".
#pragma once

#include "btree/tree.h"

#include <string_view>
#include <vector>

namespace daxpin::inode {

using Bytes = std::vector<std::byte>;

// The item value for `name` and `content`; allocates and writes blocks if it does not fit inline.
// ERRORS: too_big (> 64 KiB), no_space, retry, io.
Result<Bytes> encode_blob(btree::Tree::Transaction &tx, std::string_view name,
                          std::span<const std::byte> content);

// ERRORS: corrupt if the item or the content's checksum does not hold; io.
Result<Bytes> decode_blob(const device::DeviceTable &devices, std::span<const std::byte> value);
Result<std::string_view> blob_name(std::span<const std::byte> value);

// Frees the blocks of a blob item that is being removed or replaced.
Result<void> free_blob(btree::Tree::Transaction &tx, std::span<const std::byte> value);

} // namespace daxpin::inode
