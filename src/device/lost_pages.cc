// SPDX-License-Identifier: BSD-3-Clause
#include "device/lost_pages.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <sys/prctl.h>

namespace daxpin::device {

namespace {

constexpr unsigned page_shift = 12;
constexpr std::uintptr_t shift_mask = (std::uintptr_t{1} << page_shift) - 1;

// A handler cannot ask for memory. Each slot is a page's address, its size's logarithm in the bits
// below; 0 is none.
std::array<std::atomic<std::uintptr_t>, 64> slots{};
std::atomic<std::uint64_t> told{0};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

LostPage page_of(std::uintptr_t slot) {
    const std::size_t bytes = std::size_t{1} << (slot & shift_mask);
    return {reinterpret_cast<const std::byte *>(slot & ~(bytes - 1)), bytes};
}

// What of the page lies in `memory`; of no bytes if nothing does.
LostPage part_in(std::span<const std::byte> memory, LostPage page) {
    const auto *begin = std::max(page.begin, memory.data(), std::less<>());
    const auto *end =
        std::min(page.begin + page.bytes, memory.data() + memory.size(), std::less<>());
    return {begin, std::less<>()(begin, end) ? static_cast<std::size_t>(end - begin) : 0};
}

} // namespace

void ask_for_lost_pages() {
    static_cast<void>(::prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
}

void put_lost_page(const std::byte *address, unsigned size_shift) noexcept {
    const auto page = reinterpret_cast<std::uintptr_t>(address) & ~shift_mask;
    for (auto &slot : slots) {
        std::uintptr_t none = 0;
        if (slot.compare_exchange_strong(none, page | std::max(size_shift, page_shift)))
            break;
    }
    told.fetch_add(1);
}

std::uint64_t lost_pages_told() noexcept {
    return told.load();
}

std::vector<LostPage> take_lost_pages(std::span<const std::byte> memory) {
    std::vector<LostPage> taken;
    taken.reserve(slots.size());
    for (auto &slot : slots) {
        std::uintptr_t found = slot.load();
        if (found == 0)
            continue;
        const LostPage part = part_in(memory, page_of(found));
        if (part.bytes > 0 && slot.compare_exchange_strong(found, 0))
            taken.push_back(part);
    }
    return taken;
}

} // namespace daxpin::device
