// SPDX-License-Identifier: BSD-3-Clause
//
// ShutdownTable: each device's count of unsafe shutdowns, as of the last mount that could write.
// Layout: docs/format.md, "Unsafe shutdowns".
#pragma once

#include "btree/tree.h"

#include <cstdint>
#include <optional>

namespace daxpin::inode {

class ShutdownTable {
  public:
    using Transaction = btree::Tree::Transaction;
    explicit ShutdownTable(btree::Tree &tree) : tree_(tree) {}

    // Nothing if the device has never told. ERRORS: io, corrupt.
    Result<std::optional<std::uint64_t>> find(unsigned device) const;
    Result<void> put(Transaction &tx, unsigned device, std::uint64_t count);

  private:
    btree::Tree &tree_;
};

} // namespace daxpin::inode
