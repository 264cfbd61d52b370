// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin_map: dirty tracking.
#include "client/map.h"
#include "client/marks.h"
#include "client/write_protect.h"

#include <daxpin/daxpin.h>

using daxpin::Errc;
using daxpin::Error;
using daxpin::Result;
namespace client = daxpin::client;

namespace {

// By bench/dirty-bench (docs/performance.md): writing back the clean lines of a dirty page costs
// less than a second mark for each store.
constexpr unsigned best_grain = DAXPIN_TRACK_COARSE;

} // namespace

// To protect a part of a huge page the kernel splits it, and device DAX of that alignment then
// answers the next access with SIGBUS.
Result<void> daxpin_map::check_tracking(unsigned mode, const Segment &segment) {
    if (mode == DAXPIN_TRACK_WRITE_PROTECT && segment.lease->has_huge_pages_only())
        return Error{Errc::unsupported,
                     "the kernel cannot watch stores to device DAX with pages of "
                     "2 MiB or 1 GiB: track them by marks"};
    return {};
}

Result<std::unique_ptr<daxpin_map::Tracking>> daxpin_map::make_tracking(unsigned mode) const {
    for (const auto &segment : segments())
        DAXPIN_TRY(check_tracking(mode, segment));
    auto tracking = std::make_unique<Tracking>();
    tracking->mode = mode;
    DAXPIN_TRY_ASSIGN(tracking->lock, client::FamilyLock::make());
    const auto grain =
        mode == DAXPIN_TRACK_FINE ? client::Marks::Grain::line : client::Marks::Grain::page;
    if (mode == DAXPIN_TRACK_WRITE_PROTECT) {
        DAXPIN_TRY_ASSIGN(tracking->tracker,
                          client::WriteProtect::make(range_.address(), mapped_size()));
    } else {
        DAXPIN_TRY_ASSIGN(tracking->tracker, client::Marks::make(grain, range_.length()));
        DAXPIN_TRY(tracking->tracker->extend(mapped_size()));
    }
    return tracking;
}

Result<void> daxpin_map::track(unsigned mode) {
    if (mode < DAXPIN_TRACK_MARKS || mode > DAXPIN_TRACK_WRITE_PROTECT)
        return Error{Errc::invalid, "unknown mode of tracking"};
    if (!stores().has_dirty_lines())
        return {};
    if (mode == DAXPIN_TRACK_MARKS)
        mode = best_grain;
    if (tracking_.load() == nullptr)
        DAXPIN_TRY(alone([&]() -> Result<void> {
            DAXPIN_TRY_ASSIGN(auto made, make_tracking(mode));
            if (tracking_.load() == nullptr)
                tracking_ = made.release();
            return {};
        }));
    if (tracking_.load()->mode != mode)
        return Error{Errc::busy, "another mode of tracking was chosen for this mapping"};
    return {};
}

Result<void> daxpin_map::mark(const void *address, std::size_t length) const {
    if (!contains(address, length))
        return Error{Errc::invalid, "the range is not within the mapping"};
    if (const auto *tracking = tracking_.load(std::memory_order_acquire))
        tracking->tracker->mark(static_cast<const std::byte *>(address) - range_.address(), length);
    return {};
}

Result<void> daxpin_map::sync(std::size_t offset, std::size_t length) const {
    const auto whole = size();
    if (offset > whole || length > whole - offset)
        return Error{Errc::invalid, "the range is not within the mapping"};
    if (offset == 0 && length == 0)
        length = whole;
    auto *const tracking = tracking_.load(std::memory_order_acquire);
    if (stores().has_dirty_lines() && tracking != nullptr)
        return sync_tracked(*tracking, offset, length);
    auto flushed = flush(address() + offset, length);
    stores().drain();
    return flushed;
}

Result<void> daxpin_map::sync_tracked(Tracking &tracking, std::size_t offset,
                                      std::size_t length) const {
    if (tracking.lock.lock())
        tracking.tracker->mark_all(); // its holder died between taking and flushing
    const auto &how = stores();
    auto taken = tracking.tracker->take(offset, length, [&](std::size_t at, std::size_t bytes) {
        how.flush_lines(address() + at, bytes);
    });
    how.drain();
    tracking.lock.unlock();
    return taken;
}
