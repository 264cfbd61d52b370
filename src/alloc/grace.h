// SPDX-License-Identifier: BSD-3-Clause
//
// Grace: tells when every thread that might still use a freed block has moved on.
//
// A reader holds a Guard from before it resolves a block until it no longer touches it (a reply
// that points at media: until the kernel has taken it). A block freed now may be reused once
// passed(ticket) holds for a ticket drawn after the free became visible.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

namespace daxpin::alloc {

class Grace {
  public:
    class [[nodiscard]] Guard {
      public:
        Guard() = default;
        explicit Guard(std::atomic<std::int64_t> *count) : count_(count) {}
        Guard(Guard &&other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
        Guard &operator=(Guard &&other) noexcept {
            if (this != &other) {
                leave();
                count_ = std::exchange(other.count_, nullptr);
            }
            return *this;
        }
        ~Guard() { leave(); }
        void leave();

      private:
        std::atomic<std::int64_t> *count_ = nullptr;
    };

    Guard enter();

    using Ticket = std::uint64_t;
    Ticket ticket() const { return epoch_.load(); }
    // Whether, as a hint, no Guard is alive: one that comes while it looks may not be seen.
    bool is_idle() const;
    // Tries to move time on; true once no Guard from before ticket() was drawn is alive.
    bool passed(Ticket ticket);

  private:
    static constexpr unsigned shard_count = 16;
    struct alignas(64) Shard {
        std::array<std::atomic<std::int64_t>, 2> count{};
    };
    std::array<Shard, shard_count> shards_{};
    std::atomic<std::uint64_t> epoch_{2};
};

} // namespace daxpin::alloc
