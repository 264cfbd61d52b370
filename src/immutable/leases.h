// SPDX-License-Identifier: BSD-3-Clause
//
// Leases: who maps which range of one inode, in DRAM.
//
// A lease belongs to an open file description. A write lease seals its range; a read lease
// blocks nobody. Blocks freed under a lease stay out of use while keeper() of that time lives:
// until every lease that overlapped has ended. The generation moves whenever the map under some
// lease changes. Guarded by the inode's lock.
#pragma once

#include "immutable/pin_table.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace daxpin::immutable {

using LeaseId = std::uint64_t;

struct Lease {
    LeaseId id = 0;
    std::uint64_t handle = 0; // open file description
    BlockRange range;
    bool write = false;
};

class Leases {
  public:
    const Lease &grant(std::uint64_t handle, BlockRange range, bool write);
    // False if the id is unknown or belongs to another handle.
    bool release(std::uint64_t handle, LeaseId id);
    bool release_all(std::uint64_t handle); // true if there were any
    // The handle's own lease with this id, or null; valid until the next change.
    const Lease *find(std::uint64_t handle, LeaseId id) const;

    bool holds_write(std::uint64_t handle) const;
    const std::vector<Lease> &all() const { return leases_; }
    bool empty() const { return leases_.empty(); }
    std::size_t count() const { return leases_.size(); }
    bool overlaps(BlockRange range) const;
    bool write_overlaps(BlockRange range) const; // anyone's
    bool write_overlaps_other(BlockRange range, std::uint64_t handle) const;
    bool covers(std::uint64_t handle, BlockRange range) const; // the handle's own leases

    // Alive while any lease of this moment is; null when there is none.
    std::weak_ptr<const void> keeper() const { return keeper_; }

    std::uint64_t generation() const { return generation_; }
    void map_changed() { ++generation_; }

  private:
    std::vector<Lease> leases_;
    // Made with the first lease, dropped with the last.
    std::shared_ptr<const void> keeper_;
    std::uint64_t generation_ = 1;
    LeaseId next_id_ = 1;
};

} // namespace daxpin::immutable
