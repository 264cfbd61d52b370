// SPDX-License-Identifier: BSD-3-Clause
//
// Leases: who maps which range of one inode, in DRAM.
//
// A lease belongs to an open file description. A write lease seals its range, until some time after
// it was asked back; a read lease blocks nobody. Blocks freed under a lease are kept in quarantine
// until every lease that overlapped then has ended. The generation moves whenever the map under
// some lease changes, and when a file gets its first lease: what was known before that may have
// changed unseen. No two states of any file have the same one in a mount. Guarded by the inode's
// lock.
#pragma once

#include "immutable/pin_table.h"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace daxpin::immutable {

using LeaseId = std::uint64_t;

struct Holder {
    std::uint32_t uid = 0;
    std::int32_t pid = 0;        // of who asked, for people to see; 0: not known
    std::int64_t granted_ns = 0; // since 1970
};

struct Lease {
    LeaseId id = 0;
    std::uint64_t handle = 0; // open file description
    BlockRange range;
    bool write = false;
    Holder holder = {};
    bool seals = write;                                   // changes of the map are refused
    std::optional<std::int64_t> asked_back_until_ns = {}; // since boot; then it seals no more
};

// A run that leaves the quarantine, and the users of the leases that had kept it.
struct Returned {
    MediaRun run;
    std::vector<std::uint32_t> holders;
    bool operator==(const Returned &) const = default;
};

class Leases {
  public:
    const Lease &grant(std::uint64_t handle, BlockRange range, bool write,
                       const Holder &holder = {});
    // False if the id is unknown or belongs to another handle.
    bool release(std::uint64_t handle, LeaseId id);
    bool release_all(std::uint64_t handle); // true if there were any
    // The handle's own lease with this id, or null; valid until the next change.
    const Lease *find(std::uint64_t handle, LeaseId id) const;

    bool holds_write(std::uint64_t handle) const;
    const std::vector<Lease> &all() const { return leases_; } // by id
    bool empty() const { return leases_.empty(); }
    std::size_t count() const { return leases_.size(); }
    bool overlaps(BlockRange range) const;
    bool seals_overlap(BlockRange range) const; // anyone's
    bool seals_overlap_other(BlockRange range, std::uint64_t handle) const;
    bool covers(std::uint64_t handle, BlockRange range) const; // the handle's own leases

    // Whoever holds one shall give it up by then; one asked back before keeps its time.
    void ask_back(std::int64_t until_ns);
    bool asked_back() const; // some lease was
    void expire(std::int64_t since_boot_ns);

    // The smallest part of `range` that holds all that is leased of it.
    std::optional<BlockRange> leased_part(BlockRange range) const;
    // Blocks of `range`, leased as leased_part() says, were freed: `run` is in quarantine. Returns
    // the users whose leases keep it, each once.
    const std::vector<std::uint32_t> &keep(MediaRun run, BlockRange range);
    // Takes the runs out that no lease keeps any more.
    std::vector<Returned> take_returned();
    bool keeps(MediaBlock start) const; // a run that begins there

    std::uint64_t generation() const { return generation_; } // 0: there was no lease yet
    void map_changed();

  private:
    struct Kept {
        BlockCount count;
        BlockRange range;
        LeaseId before; // later leases never saw these blocks
        std::vector<std::uint32_t> holders;
    };
    bool is_leased(const Kept &kept) const;

    std::vector<Lease> leases_;
    // By where the run begins. Where memory ran out when its leases ended, one may be here that has
    // left the quarantine since, and has come again.
    std::multimap<MediaBlock, Kept> kept_;
    std::uint64_t generation_ = 0;
    LeaseId next_id_ = 1;
};

} // namespace daxpin::immutable
