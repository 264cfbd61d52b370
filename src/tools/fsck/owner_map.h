// SPDX-License-Identifier: BSD-3-Clause
//
// OwnerMap: which blocks of every device were reached, one bit a block, in groups that are made
// when they are first touched.
#pragma once

#include "base/types.h"
#include "format/layout.h"

#include <array>
#include <memory>
#include <vector>

namespace daxpin::fsck {

inline constexpr unsigned group_words = format::blocks_per_group / 64;
static_assert(group_words * 64 == format::blocks_per_group);

using GroupBits = std::array<std::uint64_t, group_words>;

class OwnerMap {
  public:
    explicit OwnerMap(const format::Superblock &superblock);

    bool contains(MediaRun run) const;

    // Claims a run for one owner; returns the blocks of it, if any, that had one already.
    // REQUIRES: contains(run).
    struct Conflict {
        std::uint64_t count = 0;
        MediaBlock first{};
    };
    Conflict claim(MediaRun run);

    // True if it was claimed. REQUIRES: contains() it.
    bool holds(MediaBlock block) const;

    // The bits of a group, zeros if nothing of it was claimed.
    const GroupBits &group(unsigned device, std::uint64_t group) const;

  private:
    struct DeviceBits {
        std::uint64_t block_count = 0;
        std::vector<std::unique_ptr<GroupBits>> groups;
    };
    std::vector<DeviceBits> devices_;
};

} // namespace daxpin::fsck
