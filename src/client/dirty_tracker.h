// SPDX-License-Identifier: BSD-3-Clause
//
// DirtyTracker: which parts of a mapping were stored to since they were last made durable.
//
// Thread-safe. take() may run beside mark(): what is marked after the stores is either taken or
// stays. Two takes must not run at a time, or the second would return before the first has
// flushed what it took (FamilyLock).
#pragma once

#include "base/result.h"

#include <cstddef>
#include <functional>

namespace daxpin::client {

class DirtyTracker {
  public:
    // Called with (offset, length) of what is dirty, in ascending order.
    using Flush = std::function<void(std::size_t, std::size_t)>;

    virtual ~DirtyTracker() = default;
    // The bytes of [offset, offset + length) were stored to. A tracker that sees stores by itself
    // ignores it.
    virtual void mark(std::size_t offset, std::size_t length) = 0;
    // Everything was stored to, as far as any process of the family has its mapping extended.
    virtual void mark_all() = 0;
    // Gives what is dirty in [offset, offset + length), rounded out to its grain, to `flush`, and
    // counts it as clean from then on; the rest stays dirty.
    virtual Result<void> take(std::size_t offset, std::size_t length, const Flush &flush) = 0;
    // The mapping reaches to `size` now.
    virtual Result<void> extend(std::size_t size) = 0;
};

} // namespace daxpin::client
