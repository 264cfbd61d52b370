// SPDX-License-Identifier: BSD-3-Clause
//
// Last part of a check: bitmap chunks against what was reached.
#pragma once

#include "tools/fsck/pass.h"

namespace daxpin::fsck {

void check_bitmaps(Pass &pass);

} // namespace daxpin::fsck
