// SPDX-License-Identifier: BSD-3-Clause
//
// What is done to a volume whose image somebody changed.
#pragma once

#include "fuzz/images.h"

#include <string>

namespace daxpin::fuzz {

// Checks it, mounts it, reads all of it, changes some of it, unmounts. Whatever the bytes say,
// this must end, in bounded time, without a crash. What fsck finds sound must be readable without
// an error, and still sound after the changes: anything else is a finding.
void check_and_use(const MediaList &media);

} // namespace daxpin::fuzz
