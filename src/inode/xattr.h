// SPDX-License-Identifier: BSD-3-Clause
//
// XattrSet: the extended attributes of one inode, as blobs keyed by a keyed hash of the name.
//
// Not thread-safe: the caller holds the inode's lock. Which namespaces exist and who may set
// them is the business of volume/. Layout: docs/format.md, "Extended attribute".
#pragma once

#include "inode/blob.h"
#include "inode/name_index.h"

#include <optional>
#include <string>

namespace daxpin::inode {

enum class XattrMode { any, create, replace }; // setxattr's flags

class XattrSet {
  public:
    using Transaction = btree::Tree::Transaction;

    // `hash` places the names; another one than the default makes another format.
    XattrSet(btree::Tree &tree, const device::DeviceTable &devices, const HashKey &key,
             InodeNumber number, NameHash hash = name_hash)
        : tree_(tree), devices_(devices), key_(key), number_(number), hash_(hash) {}

    Result<Bytes> get(Transaction *tx, std::string_view name) const; // no_attribute
    // ERRORS: exists (create), no_attribute (replace), no_space, too_big (> 64 KiB), range (a
    // name that is empty or longer than 255 bytes).
    Result<void> set(Transaction &tx, std::string_view name, std::span<const std::byte> value,
                     XattrMode mode);
    Result<void> remove(Transaction &tx, std::string_view name); // no_attribute
    Result<std::vector<std::string>> names() const;
    // Removes at most `count` attributes; false when none is left. For deletion in steps.
    Result<bool> remove_some(Transaction &tx, unsigned count);

  private:
    btree::Tree &tree_;
    const device::DeviceTable &devices_;
    const HashKey &key_;
    InodeNumber number_;
    NameHash hash_;
};

} // namespace daxpin::inode
