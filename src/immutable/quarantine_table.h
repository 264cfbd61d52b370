// SPDX-License-Identifier: BSD-3-Clause
//
// QuarantineTable: blocks that no file has any more and that a program may still map, by address,
// on media. Their bits are set, so that nobody gets them.
//
// An entry is good for one boot: no mapping outlives it. Who takes entries out, and when, is
// volume/quarantine.cc's business. Layout: docs/format.md, "Quarantine item".
#pragma once

#include "base/env.h"
#include "btree/tree.h"

#include <optional>
#include <vector>

namespace daxpin::immutable {

struct Quarantined {
    MediaRun run; // not empty
    BootId boot{};
    InodeNumber inode; // that the blocks were freed from
    std::uint64_t generation = 0;
    bool operator==(const Quarantined &) const = default;
};

class QuarantineTable {
  public:
    using Transaction = btree::Tree::Transaction;
    explicit QuarantineTable(btree::Tree &tree) : tree_(tree) {}

    // ERRORS: corrupt if a run begins there already.
    Result<void> add(Transaction &tx, const Quarantined &entry);
    // ERRORS: not_found.
    Result<void> erase(Transaction &tx, MediaBlock start);
    // The entry whose run begins at `start`, if any.
    Result<std::optional<Quarantined>> find(Transaction *tx, MediaBlock start) const;
    // At most `limit` entries, from the first on that begins at or behind `from`.
    Result<std::vector<Quarantined>> list(MediaBlock from, std::size_t limit) const;

  private:
    btree::Tree &tree_;
};

} // namespace daxpin::immutable
