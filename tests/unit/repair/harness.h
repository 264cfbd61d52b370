// SPDX-License-Identifier: BSD-3-Clause
//
// What tests of the repair ask: that the check finds nothing afterwards, and that what was not
// damaged is as it was.
#pragma once

#include "support/catch.h"
#include "tools/repair/repair.h"
#include "unit/fsck/image.h"

#include <map>
#include <set>

namespace daxpin::test {

using MediaList = std::vector<std::shared_ptr<SimMedia>>;

// All items of a volume by key, the bytes of an inode's data after those of its extents.
using Content = std::map<Image::ItemKey, ImageBytes>;
Content content_of(const MediaList &media);

// The inodes whose items differ, their numbers; the table of unfinished work is number 2.
std::set<std::uint64_t> differing(const Content &a, const Content &b);

fsck::Report check(const MediaList &media);
repair::Outcome repair_media(const MediaList &media, repair::Level level = repair::Level::all);
MediaList clones(const MediaList &media);
void expect_mountable(const MediaList &media);

// Findings before and after, actions, failures: for a failed test.
std::string text_of(const repair::Outcome &outcome);

} // namespace daxpin::test
