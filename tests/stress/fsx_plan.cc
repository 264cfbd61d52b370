// SPDX-License-Identifier: BSD-3-Clause
#include "fsx_plan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>

namespace stress {
namespace {

// In the order of Kind.
constexpr std::array<std::uint32_t, kind_count> weights = {12, 16, 8, 12, 8, 4, 6, 6,
                                                           8,  1,  1, 4,  2, 4, 4, 1};

std::uint64_t round_down(std::uint64_t value) {
    return value / block_size * block_size;
}
std::uint64_t round_up(std::uint64_t value) {
    return round_down(value + block_size - 1);
}

} // namespace

Kind Planner::choose() {
    std::uint32_t sum = 0;
    for (const auto weight : weights)
        sum += weight;
    std::uint64_t ticket = random_.below(sum);
    std::uint32_t kind = 0;
    while (ticket >= weights[kind])
        ticket -= weights[kind++];
    return static_cast<Kind>(kind);
}

// A place below the limit: anywhere, at the start of a block, or a byte or two beside one.
std::uint64_t Planner::position(std::uint64_t limit) {
    const auto anywhere = random_.below(limit);
    switch (random_.below(4)) {
    case 0:
        return round_down(anywhere);
    case 1:
        return std::min(round_down(anywhere) + random_.below(3), limit ? limit - 1 : 0);
    case 2:
        return std::min(round_up(anywhere) - std::min(round_up(anywhere), random_.below(3)),
                        limit ? limit - 1 : 0);
    default:
        return anywhere;
    }
}

Order Planner::next(std::uint64_t number) {
    Order order;
    order.number = number;
    order.kind = choose();
    order.process = random_.one_in(3) ? 1 : 0;
    order.descriptor = random_.one_in(2) ? 1 : 0;
    // The kernel answers SEEK_HOLE on a FUSE file without writing mapped pages back first.
    if (order.kind == Kind::seek && mapping_dirty_)
        order.kind = Kind::sync;
    detail(order);
    return order;
}

void Planner::detail(Order &order) {
    switch (order.kind) {
    case Kind::read:
    case Kind::seek:
        return plan_read(order);
    case Kind::write:
        return plan_write(order);
    case Kind::mapped_read:
    case Kind::mapped_write:
        return plan_mapped(order);
    case Kind::truncate:
        return plan_truncate(order);
    case Kind::allocate:
    case Kind::punch:
    case Kind::zero:
        return plan_range(order);
    case Kind::copy:
        return plan_copy(order);
    case Kind::collapse:
    case Kind::insert:
        return plan_shift(order);
    case Kind::reopen:
        return plan_reopen(order);
    case Kind::sync:
        order.mode =
            mapping_dirty_ && random_.one_in(2) ? sync_file : static_cast<int>(random_.below(3));
        mapping_dirty_ = mapping_dirty_ && order.mode == sync_mapping;
        return;
    case Kind::unmap:
    case Kind::check:
        return;
    }
}

void Planner::plan_read(Order &order) {
    // Now and then at and beyond the end of file.
    order.offset = position(std::min(model_.size() + 2 * block_size, model_.size_max()));
    order.length = std::min(random_.length(model_.size_max()), model_.size_max() - order.offset);
    if (order.kind == Kind::seek)
        order.length = 0;
    else if (flags(order) & O_DIRECT) {
        order.offset = round_down(order.offset);
        order.length = round_up(order.length);
    }
}

void Planner::plan_write(Order &order) {
    order.kind = Kind::write;
    order.target = 0;
    order.offset = position(model_.size_max());
    if (flags(order) & O_APPEND)
        order.offset = model_.size();
    if (flags(order) & O_DIRECT)
        order.offset = round_down(order.offset);
    order.length = std::min(random_.length(model_.size_max()), model_.size_max() - order.offset);
    if (flags(order) & O_DIRECT)
        order.length = round_up(order.length);
    if (order.length == 0) { // an append to a full file
        order.kind = Kind::check;
        order.offset = 0;
    }
}

void Planner::plan_mapped(Order &order) {
    if (model_.size() == 0)
        return plan_write(order);
    if (flags(order) & O_DIRECT) // on FUSE a direct handle cannot be mapped for sharing
        order.descriptor = 0;
    order.offset = position(model_.size());
    order.length = std::min(random_.length(model_.size()), model_.size() - order.offset);
    if (order.kind == Kind::mapped_write)
        mapping_dirty_ = true;
    const auto end = order.offset + order.length;
    if (pollute_ && order.kind == Kind::mapped_write && end == model_.size())
        order.target = round_up(end) - end;
}

void Planner::plan_truncate(Order &order) {
    order.mode = random_.one_in(3) ? 1 : 0;
    order.length = random_.one_in(16) ? 0 : position(model_.size_max() + 1);
}

void Planner::plan_range(Order &order) {
    order.mode = random_.one_in(2) ? 1 : 0;
    order.offset = position(model_.size_max());
    order.length = std::min(random_.length(model_.size_max()), model_.size_max() - order.offset);
    if (order.kind == Kind::punch)
        order.mode = 1;
}

void Planner::plan_copy(Order &order) {
    if (model_.size() < 2)
        return plan_write(order);
    if (flags(order) & (O_APPEND | O_DIRECT)) // EBADF; and misaligned where it is emulated
        order.descriptor = 0;
    order.offset = position(model_.size());
    order.target = position(model_.size_max());
    const auto apart = std::max(order.offset, order.target) - std::min(order.offset, order.target);
    if (apart == 0)
        return plan_write(order);
    order.length = std::min(
        {random_.length(apart), model_.size() - order.offset, model_.size_max() - order.target});
    order.length = std::min(order.length, apart);
}

void Planner::plan_shift(Order &order) {
    const auto blocks = model_.size() / block_size;
    if (blocks < 2)
        return plan_write(order);
    order.offset = random_.below(blocks - 1) * block_size;
    if (order.kind == Kind::collapse) {
        // It may not reach the end of file.
        const auto room = (model_.size() - 1 - order.offset) / block_size;
        order.length = (1 + random_.below(room)) * block_size;
        return;
    }
    const auto room = (model_.size_max() - model_.size()) / block_size;
    if (room == 0)
        return plan_truncate(order = Order{.number = order.number, .kind = Kind::truncate});
    order.length = (1 + random_.below(std::min<std::uint64_t>(room, 16))) * block_size;
}

void Planner::plan_reopen(Order &order) {
    order.descriptor = 1;
    constexpr std::array<int, 4> modes = {0, O_APPEND, O_APPEND, O_DIRECT};
    order.mode = random_.pick(std::span<const int>(modes));
    if (!direct_)
        order.mode &= ~O_DIRECT;
    flags(order) = order.mode;
    if (random_.one_in(12))
        order.mode |= O_TRUNC;
}

void Planner::fill(std::span<std::uint8_t> data) {
    for (std::size_t i = 0; i < data.size(); i += 8) {
        const std::uint64_t word = random_.next() | 0x0101010101010101;
        std::memcpy(&data[i], &word, std::min<std::size_t>(8, data.size() - i));
    }
}

} // namespace stress
