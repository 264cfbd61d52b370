// SPDX-License-Identifier: BSD-3-Clause
#include "crash/states.h"

#include <algorithm>

namespace daxpin::crash {

namespace {

using test::PersistenceModel;

struct Unit {
    unsigned device;
    std::uint64_t offset;
    std::vector<Bytes> contents; // [0] durable, [1] everything, then torn forms
};

std::vector<Unit> undecided_units(const std::vector<PersistenceModel> &models) {
    std::vector<Unit> units;
    for (unsigned device = 0; device < models.size(); ++device) {
        for (const std::uint64_t offset : models[device].undecided()) {
            Unit unit{device, offset, models[device].contents(offset)};
            if (unit.contents.size() > 1)
                units.push_back(std::move(unit));
        }
    }
    return units;
}

// One state: how each unit is chosen, in a few words, so that thousands can be listed.
struct Recipe {
    enum class Kind { mask, one, all_but, pair, all_but_pair, torn, torn_rest, random };
    Kind kind;
    std::uint64_t a = 0; // a mask, a unit or a seed
    std::uint64_t b = 0; // a second unit or the form of a torn one
};

std::vector<Recipe> all_recipes(const std::vector<Unit> &units, const StateBudget &budget,
                                std::uint64_t seed) {
    using Kind = Recipe::Kind;
    const std::size_t count = units.size();
    std::vector<Recipe> recipes;
    if (count <= budget.exhaustive_bits) {
        for (std::uint64_t mask = 0; mask < std::uint64_t{1} << count; ++mask)
            recipes.push_back({Kind::mask, mask});
    } else {
        for (std::uint64_t i = 0; i < count; ++i) {
            recipes.push_back({Kind::one, i});
            recipes.push_back({Kind::all_but, i});
            for (std::uint64_t j = 0; j < i && count <= 64; ++j) {
                recipes.push_back({Kind::pair, i, j});
                recipes.push_back({Kind::all_but_pair, i, j});
            }
        }
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        for (std::uint64_t form = 2; form < units[i].contents.size(); ++form) {
            recipes.push_back({Kind::torn, i, form});
            recipes.push_back({Kind::torn_rest, i, form});
        }
    }
    for (std::uint64_t i = 0; i < budget.random_samples && count > 0; ++i)
        recipes.push_back({Kind::random, seed + i * 0x9e3779b97f4a7c15U});
    return recipes;
}

// Nothing and everything first; of the rest a sample if it is too much.
std::vector<Recipe> chosen_recipes(const std::vector<Unit> &units, const StateBudget &budget,
                                   std::uint64_t seed) {
    std::vector<Recipe> chosen{{Recipe::Kind::mask, 0}};
    if (!units.empty())
        chosen.push_back({Recipe::Kind::torn_rest, 0, 1}); // all
    std::vector<Recipe> rest = all_recipes(units, budget, seed);
    const std::size_t exhaustive =
        units.size() <= budget.exhaustive_bits ? std::size_t{1} << units.size() : 0;
    const std::size_t room = budget.states_max + exhaustive;
    std::uint64_t random = seed;
    for (std::size_t i = exhaustive; i < room && i < rest.size() && rest.size() > room; ++i)
        std::swap(rest[i], rest[i + test::split_mix(random) % (rest.size() - i)]);
    rest.resize(std::min(rest.size(), room));
    chosen.insert(chosen.end(), rest.begin(), rest.end());
    return chosen;
}

// The form of unit `i` under a recipe that is not random.
std::size_t form_of(const Recipe &recipe, std::uint64_t i) {
    using Kind = Recipe::Kind;
    switch (recipe.kind) {
    case Kind::mask:
        return i < 64 ? recipe.a >> i & 1 : 0; // beyond 64 units only `none` is a mask
    case Kind::one:
        return i == recipe.a;
    case Kind::all_but:
        return i != recipe.a;
    case Kind::pair:
        return i == recipe.a || i == recipe.b;
    case Kind::all_but_pair:
        return i != recipe.a && i != recipe.b;
    case Kind::torn:
        return i == recipe.a ? recipe.b : 0;
    case Kind::torn_rest:
        return i == recipe.a ? recipe.b : 1;
    case Kind::random:
        break;
    }
    return 0;
}

void apply_random(const std::vector<Unit> &units, const std::vector<PersistenceModel> &models,
                  Scratch &scratch, std::uint64_t seed) {
    std::uint64_t random = seed;
    const std::uint64_t bias = test::split_mix(random) % 5; // of 4: how many arrive whole
    for (const Unit &unit : units) {
        const std::uint64_t draw = test::split_mix(random) % 8;
        if (draw == 7)
            scratch.write(unit.device, unit.offset,
                          models[unit.device].random_content(unit.offset, random));
        else if (draw % 4 < bias)
            scratch.write(unit.device, unit.offset, unit.contents[1]);
    }
}

} // namespace

void feed(std::vector<PersistenceModel> &models, const test::Trace &trace,
          const test::Event &event) {
    PersistenceModel &model = models[event.device];
    switch (event.kind) {
    case test::Event::Kind::store:
        model.store(event.offset, trace.stored(event), event.store_kind, event.thread);
        break;
    case test::Event::Kind::flush:
        model.flush(event.offset, event.data, event.thread);
        break;
    case test::Event::Kind::drain:
        model.drain(event.thread);
        break;
    case test::Event::Kind::poison:
    case test::Event::Kind::mark:
        break;
    }
}

void for_each_state(const std::vector<PersistenceModel> &models, Scratch &scratch,
                    const StateBudget &budget, std::uint64_t seed,
                    std::optional<std::uint64_t> only,
                    const std::function<void(std::uint64_t index)> &visit) {
    const std::vector<Unit> units = undecided_units(models);
    const std::vector<Recipe> recipes = chosen_recipes(units, budget, seed);
    for (std::uint64_t index = 0; index < recipes.size(); ++index) {
        if (only && *only != index)
            continue;
        const Recipe &recipe = recipes[index];
        if (recipe.kind == Recipe::Kind::random) {
            apply_random(units, models, scratch, recipe.a);
        } else {
            for (std::uint64_t i = 0; i < units.size(); ++i) {
                if (const std::size_t form = form_of(recipe, i); form != 0)
                    scratch.write(units[i].device, units[i].offset, units[i].contents[form]);
            }
        }
        visit(index);
        scratch.restore();
    }
}

} // namespace daxpin::crash
