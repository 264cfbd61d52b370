// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/grace.h"

#include <algorithm>
#include <functional>
#include <thread>

namespace daxpin::alloc {

// A guard counts in the slot of its epoch's parity. The epoch moves from e to e + 1 only while
// nobody counts in the slot of e - 1, so at e + 2 every guard of e has gone.

Grace::Guard Grace::enter() {
    auto &shard = shards_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % shard_count];
    for (;;) {
        const auto epoch = epoch_.load();
        auto &count = shard.count[epoch % 2];
        count.fetch_add(1);
        if (epoch_.load() == epoch)
            return Guard(&count);
        count.fetch_sub(1); // time moved between: this slot may be the wrong one
    }
}

void Grace::Guard::leave() {
    if (count_ != nullptr)
        std::exchange(count_, nullptr)->fetch_sub(1);
}

bool Grace::is_idle() const {
    return std::ranges::all_of(shards_, [](const Shard &shard) {
        return shard.count[0].load() == 0 && shard.count[1].load() == 0;
    });
}

bool Grace::passed(Ticket ticket) {
    for (;;) {
        auto epoch = epoch_.load();
        if (epoch >= ticket + 2)
            return true;
        std::int64_t before = 0;
        for (auto &shard : shards_)
            before += shard.count[(epoch + 1) % 2].load();
        if (before != 0)
            return false;
        epoch_.compare_exchange_strong(epoch, epoch + 1);
    }
}

} // namespace daxpin::alloc
