// SPDX-License-Identifier: BSD-3-Clause
//
// Forgery: user bytes that are journal records, perfect in all but, perhaps, the epoch's secret.
//
// The value of a small extended attribute stands in the ring as it is. There such records stand
// where a later one may have been meant to begin: in the carrier itself, which a crash may tear
// before them, and a lap later in its seat, which nothing has written to since. Only the epoch,
// which users do not know, tells them from records. File data and large values stand outside of
// the ring, and there even the right secret is worth nothing. Names cannot be records: those have
// zero bytes.
#pragma once

#include "crash/session.h"

namespace daxpin::crash {

enum class Forgery : std::uint64_t {
    none,
    this_lap,  // of a wrong epoch; for the places in which the carrier's record holds them
    next_lap,  // the same, a lap later
    true_epoch // of the right epoch, for the place of the next record; outside of the ring
};

// The bytes that the operation is to write, `operation.length` of them, if it is done next on a
// volume that is mounted on these media. Empty if they could not stand where they look like
// records; throws Problem if that cannot be found out.
Bytes forge(const MediaList &media, const Operation &operation);

} // namespace daxpin::crash
