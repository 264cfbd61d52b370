// SPDX-License-Identifier: BSD-3-Clause
//
// An independent look at a test's volume.
#pragma once

#include "support/volume_fixture.h"

namespace daxpin::test {

// What fsck finds on a copy of the media: one line a finding, empty if the volume is whole.
// Open files and references may be held; notes on unfinished work do not count.
std::string fsck_findings(VolumeFixture &fixture);

// What lies on media, as fsck counts it on a copy.
struct Contents {
    std::uint64_t inodes;
    std::uint64_t unfinished;
    std::uint64_t tree_nodes;
};
Contents contents_of(VolumeFixture &fixture);

} // namespace daxpin::test
