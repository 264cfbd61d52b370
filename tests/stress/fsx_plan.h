// SPDX-License-Identifier: BSD-3-Clause
//
// Planner: the next operation, from the seed and from the size that the file now has. The same
// seed on a filesystem that knows the same operations gives the same orders.
#pragma once

#include "fsx_model.h"
#include "fsx_order.h"
#include "random.h"

namespace stress {

constexpr std::uint64_t block_size = 4096; // what O_DIRECT, collapse and insert are aligned to

class Planner {
  public:
    Planner(std::uint64_t seed, const Model &model, bool direct, bool pollute)
        : random_(seed), model_(model), direct_(direct), pollute_(pollute) {}

    Order next(std::uint64_t number);

    // What a write writes: random bytes, none of them 0.
    void fill(std::span<std::uint8_t> data);

  private:
    Kind choose();
    void detail(Order &order);
    void plan_read(Order &order);
    void plan_write(Order &order);
    void plan_mapped(Order &order);
    void plan_truncate(Order &order);
    void plan_range(Order &order);
    void plan_copy(Order &order);
    void plan_shift(Order &order);
    void plan_reopen(Order &order);
    std::uint64_t position(std::uint64_t limit);
    int &flags(const Order &order) { return flags_[order.process][order.descriptor]; }

    Random random_;
    const Model &model_;
    bool direct_;
    bool pollute_;
    bool mapping_dirty_ = false;
    int flags_[2][2] = {};
};

} // namespace stress
