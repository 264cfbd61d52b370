// SPDX-License-Identifier: BSD-3-Clause
#include "device/lost_pages.h"

#include <array>
#include <atomic>
#include <functional>
#include <sys/prctl.h>

namespace daxpin::device {

namespace {

// A handler cannot ask for memory.
std::array<std::atomic<const std::byte *>, 64> slots{};
std::atomic<std::uint64_t> told{0};
static_assert(std::atomic<const std::byte *>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

bool is_in(std::span<const std::byte> memory, const std::byte *address) {
    return std::less_equal<>()(memory.data(), address) &&
           std::less<>()(address, memory.data() + memory.size());
}

} // namespace

void ask_for_lost_pages() {
    static_cast<void>(::prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
}

void put_lost_page(const std::byte *address) noexcept {
    for (auto &slot : slots) {
        const std::byte *none = nullptr;
        if (slot.compare_exchange_strong(none, address))
            break;
    }
    told.fetch_add(1);
}

std::uint64_t lost_pages_told() noexcept {
    return told.load();
}

std::vector<const std::byte *> take_lost_pages(std::span<const std::byte> memory) {
    std::vector<const std::byte *> taken;
    taken.reserve(slots.size());
    for (auto &slot : slots) {
        const std::byte *address = slot.load();
        if (address != nullptr && is_in(memory, address) &&
            slot.compare_exchange_strong(address, nullptr))
            taken.push_back(address);
    }
    return taken;
}

} // namespace daxpin::device
