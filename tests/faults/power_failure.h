// SPDX-License-Identifier: BSD-3-Clause
//
// without_homes(): what is left of a volume when power fails at the worst moment for its journal.
#pragma once

#include "support/sim_device.h"

#include <memory>
#include <vector>

namespace daxpin::faults {

using Media = std::vector<std::shared_ptr<test::SimMedia>>;

Media clones(const Media &media);

// No home of a record in the ring has been written back, all else has. `before`: the same volume,
// when the ring was last empty. What was no unit in use then was new when it was written, and
// durable before its record.
//
// REQUIRES: the media are undamaged.
Media without_homes(const Media &media, const Media &before);

} // namespace daxpin::faults
