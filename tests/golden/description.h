// SPDX-License-Identifier: BSD-3-Clause
//
// description_of(): what a volume holds, as text that is kept beside its golden image.
#pragma once

#include "golden/scenes.h"

namespace daxpin::golden {

// What fsck counts, then everything that a mount shows, a line for each thing. Made from a copy:
// the media do not change. ERRORS: of the mount.
Result<std::string> description_of(const Media &media);

Media clones(const Media &media);

// The latter part alone, of a volume that is open.
Result<std::string> content_of(volume::Volume &volume);

} // namespace daxpin::golden
