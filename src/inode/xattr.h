// SPDX-License-Identifier: BSD-3-Clause
//
// XattrSet: the extended attributes of one inode, as blobs keyed by a keyed hash of the name.
//
// Not thread-safe: the caller holds the inode's lock. Which namespaces exist and who may set
// them is the business of volume/. Layout: docs/format.md, "Extended attribute".
#pragma once

#include "base/checksum.h"
#include "inode/blob.h"

#include <optional>
#include <string>

namespace daxpin::inode {

enum class XattrMode { any, create, replace }; // setxattr's flags

class XattrSet {
  public:
    using Transaction = btree::Tree::Transaction;

    XattrSet(btree::Tree &tree, const device::DeviceTable &devices, const HashKey &key,
             InodeNumber number)
        : tree_(tree), devices_(devices), key_(key), number_(number) {}

    Result<Bytes> get(Transaction *tx, std::string_view name) const; // no_attribute
    // ERRORS: exists (create), no_attribute (replace), no_space, too_big (> 64 KiB).
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
};

} // namespace daxpin::inode
