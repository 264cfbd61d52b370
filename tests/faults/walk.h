// SPDX-License-Identifier: BSD-3-Clause
//
// walk(): asks a damaged volume for everything that an undamaged one would show.
#pragma once

#include "crash/dump.h"

#include <set>

namespace daxpin::faults {

// True for what an operation that meets damage may answer.
inline bool is_damage(Errc code) {
    return code == Errc::corrupt || code == Errc::io;
}

// Each name is looked up, each directory listed, each inode asked for its attributes, extended
// attributes, target, data, pins and extents. What is answered must be as in `expected`; an error
// may come for inodes in `may_fail` alone, and for names in or of them; it is noted on the volume,
// as the daemon does. Returns the first answer that may not be, empty if there was none.
std::string walk(volume::Volume &volume, const crash::Dump &expected,
                 const std::set<std::uint64_t> &may_fail);

} // namespace daxpin::faults
