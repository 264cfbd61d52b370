// SPDX-License-Identifier: BSD-3-Clause
//
// What trials on full volumes share: which space is short, what takes it, what must be had of a
// full volume all the same.
#pragma once

#include "crash/session.h"
#include "faults/shortage.h"

#include <string_view>

namespace daxpin::faults {

enum class Short {
    everything, // one device
    data,       // of two devices, the one for file data
    metadata    // of two devices, the one for metadata
};
const char *to_string(Short what) noexcept; // to go behind a workload's name

test::VolumeShape shape_of(Short what);

// Takes all that can be had of what is short, and gives it back block by block.
class Ballast {
  public:
    using Run = std::function<Outcome(const crash::Operation &)>;

    Ballast(Short what, Run run);
    void fill(); // until an ordinary request for one block is refused
    // One block, or what comes with it. Returns what went wrong.
    std::string give();

  private:
    bool take(std::uint64_t blocks);
    crash::Operation taking(std::uint64_t blocks) const;

    const Short what_;
    const Run run_;
    std::vector<std::uint64_t> taken_; // blocks
    std::uint64_t end_ = 0;            // of the file with data ballast, blocks
};

// Makes every file smaller and deletes everything. Returns what went wrong.
std::string release_everything(volume::Volume &volume);

// Whether an emptied volume has the space of a new one. REQUIRES: unmounted.
std::string compare_with_new(Short what, const crash::MediaList &media, test::TestEnv &env);

// Volumes that are filled in one way each (inodes, names, attributes, extents, ...); one if `only`
// is not empty.
void run_no_space_scenarios(std::string_view only, Counts &counts);

} // namespace daxpin::faults
