// SPDX-License-Identifier: BSD-3-Clause
//
// The crash states of one moment: which of the undecided units reached media, and in what form.
#pragma once

#include "crash/scratch.h"
#include "support/persistence_model.h"

#include <functional>

namespace daxpin::crash {

struct StateBudget {
    unsigned exhaustive_bits = 4; // up to so many units: every subset of them
    std::size_t states_max = 16;  // at one moment, beyond the exhaustive ones
    unsigned random_samples = 4;  // with torn units
};

// Tells the models of one event of a trace.
void feed(std::vector<test::PersistenceModel> &models, const test::Trace &trace,
          const test::Event &event);

// Brings `scratch` (whose reference is what is durable) into every state chosen and calls
// `visit(index)`; restores it afterwards. The same models and seed give the same states. With
// `only` set, just the state of that index is visited.
void for_each_state(const std::vector<test::PersistenceModel> &models, Scratch &scratch,
                    const StateBudget &budget, std::uint64_t seed,
                    std::optional<std::uint64_t> only,
                    const std::function<void(std::uint64_t index)> &visit);

} // namespace daxpin::crash
