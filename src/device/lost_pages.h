// SPDX-License-Identifier: BSD-3-Clause
//
// Pages that the kernel took away: SIGBUS with BUS_MCEERR_AO tells of a memory error that cannot be
// corrected, in a page that nobody has touched since. The signal's handler can do no more than put
// the address down; whose memory it is comes to take it.
//
// Thread-safe; put_lost_page() may interrupt anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace daxpin::device {

// Has the kernel tell this process at once, as far as it knows prctl(PR_MCE_KILL); else it tells
// who touches the page. Threads inherit it.
void ask_for_lost_pages();

// For the signal handler: si_addr and si_addr_lsb. What finds no room is met when it is touched.
void put_lost_page(const std::byte *address, unsigned size_shift) noexcept;

// How often it was called: whether there is something to take costs one load.
std::uint64_t lost_pages_told() noexcept;

// A page of 4 KiB that is lost, or a larger one in which something is: the kernel tells no more.
struct LostPage {
    const std::byte *begin;
    std::size_t bytes;
    bool operator==(const LostPage &) const = default;
};

// Takes those that lie in `memory`, as far as they do. ERRORS: std::bad_alloc, with nothing taken.
std::vector<LostPage> take_lost_pages(std::span<const std::byte> memory);

} // namespace daxpin::device
