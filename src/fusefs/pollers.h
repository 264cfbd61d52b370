// SPDX-License-Identifier: BSD-3-Clause
//
// Pollers: who waits by poll(2) for a lease to be asked back.
//
// The kernel's waiters of one open file share a handle. Thread-safe.
#pragma once

#include "base/sync.h"
#include "base/types.h"
#include "fusefs/fuse.h"
#include "volume/types.h"

#include <map>
#include <memory>
#include <utility>

namespace daxpin::fusefs {

class Pollers {
  public:
    // Takes the handle over; it replaces that of an earlier poll of the open file.
    void add(InodeNumber inode, volume::Handle file, fuse_pollhandle *handle);
    // Whoever waits on a descriptor of the inode looks again.
    void wake(InodeNumber inode);
    void drop(InodeNumber inode, volume::Handle file); // the open file is gone

  private:
    struct Destroy {
        void operator()(fuse_pollhandle *handle) const { fuse_pollhandle_destroy(handle); }
    };
    using PollHandle = std::unique_ptr<fuse_pollhandle, Destroy>;

    Mutex mutex_;
    std::map<std::pair<std::uint64_t, volume::Handle>, PollHandle> waiting_ GUARDED_BY(mutex_);
};

} // namespace daxpin::fusefs
