// SPDX-License-Identifier: BSD-3-Clause
#include "crash/orders_expectation.h"

#include "crash/usability.h"

#include <algorithm>

namespace daxpin::crash {

namespace {

constexpr unsigned threads_after_max = 4;

// Moments have the paths below.
constexpr std::uint64_t path_of_outcome(std::size_t number) {
    return (std::uint64_t{1} << 32) + number;
}

} // namespace

OrdersExpectation::OrdersExpectation(const Recording &recording, std::uint64_t seed)
    : recording_(recording), seed_(seed), orders_(recording.oracle, recording.calls) {
    for (const Call &call : recording.calls)
        threads_ = std::max(threads_, call.thread + 1);
}

const std::vector<Orders::Outcome> &OrdersExpectation::legal_at(std::size_t moment) {
    const auto known = legal_.find(moment);
    return known != legal_.end() ? known->second
                                 : legal_.emplace(moment, orders_.at(moment)).first->second;
}

// Outcomes of the same calls count as one: they have the same space.
Expectation::Match OrdersExpectation::legal(const Orders::Outcome &outcome, bool is_exact) {
    const auto known = std::ranges::find_if(reached_, [&](const std::vector<std::size_t> &order) {
        return std::ranges::is_permutation(order, outcome.order);
    });
    const auto number = static_cast<std::size_t>(known - reached_.begin());
    if (known == reached_.end())
        reached_.push_back(outcome.order);
    return {{}, number, path_of_outcome(number), is_exact};
}

// Data that some call in flight was overwriting in place may be that of any legal order, word by
// word.
bool OrdersExpectation::is_half_written(const Dump &found, std::size_t moment,
                                        const Orders::Outcome &names) {
    if (!names.oracle.difference(found, false).empty())
        return false;
    std::map<std::uint64_t, std::vector<const Bytes *>> candidates; // by inode
    for (const Orders::Outcome &legal : legal_at(moment)) {
        for (const auto &[path, number] : found.names) {
            if (const Bytes *data = legal.oracle.data(path))
                candidates[number].push_back(data);
        }
    }
    return std::ranges::all_of(found.files, [&](const auto &entry) {
        return is_mixture(entry.second.data, candidates[entry.first]);
    });
}

std::string OrdersExpectation::explain(std::size_t moment, const std::string &difference) const {
    std::string text = "no order of the calls explains what was found";
    if (!difference.empty())
        text += " (" + difference + ")";
    for (const Call &call : recording_.calls) {
        if (call.has_begun(moment))
            text += "\n    " + call.describe() + (call.has_ended(moment) ? "" : ", in flight") +
                    ", began at " + std::to_string(call.begun) + ", ended at " +
                    std::to_string(call.ended);
    }
    return text;
}

Expectation::Match OrdersExpectation::match(const Dump &found, const Position &position) {
    const std::size_t moment = position.before;
    std::string nearest;
    for (const Orders::Outcome &outcome : legal_at(moment)) {
        nearest = outcome.oracle.difference(found);
        if (nearest.empty())
            return legal(outcome, true);
    }
    const bool in_place = std::ranges::any_of(recording_.calls, [&](const Call &call) {
        return call.has_begun(moment) && !call.has_ended(moment) &&
               writes_in_place(call.operation.op);
    });
    for (const Orders::Outcome &outcome : legal_at(moment)) {
        if (in_place && is_half_written(found, moment, outcome))
            return legal(outcome, false);
    }
    return {explain(moment, nearest)};
}

void OrdersExpectation::reach(Session &session, std::size_t outcome) const {
    for (const Step &step : session.steps()) {
        if (!step.crashed)
            session.run(step.operation);
    }
    for (const std::size_t call : reached_[outcome])
        session.run(recording_.calls[call].operation);
}

std::string OrdersExpectation::use(volume::Volume &volume, const Dump &dump,
                                   const Position &position) {
    const std::uint64_t draw = position.before % (threads_after_max - 1);
    const unsigned count = static_cast<unsigned>(draw) + 1;
    const unsigned other_count = count < threads_ ? count : count + 1;
    auto text = use_with_threads(volume, dump, other_count, seed_ + position.before);
    return text.empty() ? Expectation::use(volume, dump, position) : text;
}

} // namespace daxpin::crash
