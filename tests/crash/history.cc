// SPDX-License-Identifier: BSD-3-Clause
#include "crash/history.h"

#include <algorithm>

namespace daxpin::crash {

std::string Call::describe() const {
    return "thread " + std::to_string(thread) + ": " + daxpin::crash::describe(operation) + " -> " +
           (outcome ? std::to_string(*outcome) : daxpin::describe(outcome.error()));
}

bool Orders::may_be_next(std::size_t call, std::size_t moment,
                         const std::vector<std::size_t> &order) const {
    const auto is_in_order = [&](std::size_t i) {
        return std::ranges::find(order, i) != order.end();
    };
    const Call &candidate = calls_[call];
    if (!candidate.has_begun(moment) || is_in_order(call))
        return false;
    if (!candidate.has_ended(moment) && !candidate.outcome)
        return false;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
        if (calls_[i].ended < candidate.begun && !is_in_order(i))
            return false;
    }
    return true;
}

void Orders::extend(std::size_t moment, const Outcome &begin, std::vector<Outcome> &found) const {
    const auto ended = static_cast<std::size_t>(
        std::ranges::count_if(calls_, [&](const Call &call) { return call.has_ended(moment); }));
    const auto held = static_cast<std::size_t>(std::ranges::count_if(
        begin.order, [&](std::size_t i) { return calls_[i].has_ended(moment); }));
    if (held == ended)
        found.push_back(begin);
    for (std::size_t i = 0; i < calls_.size(); ++i) {
        if (!may_be_next(i, moment, begin.order))
            continue;
        Outcome next = begin;
        if (!next.oracle.apply(calls_[i].operation, calls_[i].outcome).empty())
            continue;
        next.order.push_back(i);
        extend(moment, next, found);
    }
}

std::vector<Orders::Outcome> Orders::at(std::size_t moment) const {
    std::vector<Outcome> found;
    extend(moment, {{}, before_}, found);
    return found;
}

} // namespace daxpin::crash
