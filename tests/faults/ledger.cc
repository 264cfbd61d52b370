// SPDX-License-Identifier: BSD-3-Clause
#include "faults/ledger.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace daxpin::faults {

using nlohmann::json;

Ledger::Ledger(const std::string &path, std::string run, bool resume)
    : run_(std::move(run)), log_(path) {
    std::ifstream file(resume ? path : std::string{});
    for (std::string text; std::getline(file, text);) {
        const json line = json::parse(text, nullptr, false);
        if (!line.is_object() || !line.contains("outcomes")) // a kill cut it short
            continue;
        Tally tally;
        tally.faults = line.at("faults");
        tally.problems = line.at("problems");
        tally.outcomes = line.at("outcomes").get<decltype(tally.outcomes)>();
        if (tally.problems == 0)
            known_.insert_or_assign(line.at("piece").get<std::string>(), std::move(tally));
    }
}

std::string Ledger::key(const Piece &piece) const {
    return piece.section + ", " + std::to_string(piece.first) + " of " +
           std::to_string(piece.count) + ", " + run_;
}

std::optional<Tally> Ledger::find(const Piece &piece) const {
    const auto found = known_.find(key(piece));
    return found == known_.end() ? std::nullopt : std::optional(found->second);
}

void Ledger::add(const Piece &piece, const Tally &tally, double seconds) {
    const json line{{"piece", key(piece)},
                    {"faults", tally.faults},
                    {"problems", tally.problems},
                    {"seconds", seconds},
                    {"outcomes", tally.outcomes}};
    log_.append(line.dump());
}

} // namespace daxpin::faults
