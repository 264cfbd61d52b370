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

// For the signal handler. What finds no room is met when it is touched.
void put_lost_page(const std::byte *address) noexcept;

// How often it was called: whether there is something to take costs one load.
std::uint64_t lost_pages_told() noexcept;

// Takes the addresses that lie in `memory`. ERRORS: std::bad_alloc, with nothing taken.
std::vector<const std::byte *> take_lost_pages(std::span<const std::byte> memory);

} // namespace daxpin::device
