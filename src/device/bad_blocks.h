// SPDX-License-Identifier: BSD-3-Clause
//
// BadBlocks: the blocks of a volume's devices that cannot be read, as this process knows them.
//
// A block is noted when an access to it fails, and listed once the volume's persistent list
// (docs/format.md, "Bad block") holds it. It leaves only when a rewrite of the whole block was
// read back. Who fails to read notes; alloc/ gives none of these blocks out; volume/ makes the
// list persistent and refuses to read or to write a part of what is on it.
//
// Thread-safe; its mutex is a leaf.
#pragma once

#include "base/sync.h"
#include "base/types.h"
#include "format/layout.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace daxpin::device {

struct BadBlock {
    MediaBlock block;
    format::BadBlockSource source = format::BadBlockSource::access;
    std::int64_t found_ns = 0; // 0 until it is listed
    bool listed = false;       // the persistent list holds it, or a record on its way does
    bool unowned = false;      // the list alone keeps it from use
};

class BadBlocks {
  public:
    // True if there is none, which is nearly always: costs one load.
    bool empty() const { return count_.load(std::memory_order_acquire) == 0; }
    // Rises when a block is added: an operation that failed may find its way round it now.
    std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

    std::optional<BadBlock> find(MediaBlock block) const EXCLUDES(mutex_);
    bool is_listed(MediaBlock block) const EXCLUDES(mutex_);
    // Those of the run, in its order.
    std::vector<BadBlock> in(MediaRun run) const EXCLUDES(mutex_);
    std::vector<BadBlock> all() const EXCLUDES(mutex_);

    // Adds a block; false if it was there already. `text` is reported then.
    bool note(const BadBlock &bad, std::string text = {}) EXCLUDES(mutex_);
    // Replaces what is known of a block, if it has not left meanwhile.
    void update(const BadBlock &bad) EXCLUDES(mutex_);
    void erase(MediaBlock block) EXCLUDES(mutex_);
    void erase_unless_listed(MediaBlock block) EXCLUDES(mutex_);

    // The allocator's mark on a block that is free, but kept from use until the list holds it. Sets
    // it on the first bad block of the run, if there is one; takes no memory.
    std::optional<MediaBlock> withdraw_first(MediaRun run) EXCLUDES(mutex_);
    // True if the mark was there.
    bool end_withdrawal(MediaBlock block) EXCLUDES(mutex_);

    // Something about the media that a person should read: for the daemon's log. The same text
    // is reported once.
    void report(std::string text) EXCLUDES(mutex_);
    std::vector<std::string> take_reports() EXCLUDES(mutex_);
    bool has_reports() const { return reported_.load(std::memory_order_relaxed); }

  private:
    struct Known {
        BadBlock bad;
        bool withdrawn = false;
    };

    mutable Mutex mutex_;
    std::map<MediaBlock, Known> blocks_ GUARDED_BY(mutex_);
    std::vector<std::string> reports_ GUARDED_BY(mutex_);
    std::set<std::string> said_ GUARDED_BY(mutex_);
    std::atomic<std::size_t> count_{0};
    std::atomic<std::uint64_t> version_{0};
    std::atomic<bool> reported_{false};
};

} // namespace daxpin::device
