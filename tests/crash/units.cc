// SPDX-License-Identifier: BSD-3-Clause
#include "crash/units.h"

#include "crash/ace.h"
#include "crash/combined_workloads.h"
#include "crash/data_workloads.h"

#include <algorithm>

namespace daxpin::crash {

namespace {

using device::Domain;

Plan few_states(Plan plan) {
    plan.states = {.exhaustive_bits = 2, .states_max = 6, .random_samples = 2};
    plan.nested_every = 512;
    return plan;
}

Plan many_states(Plan plan) {
    plan.states = {.exhaustive_bits = 12, .states_max = 256, .random_samples = 64};
    plan.nested_states = {.exhaustive_bits = 6, .states_max = 32, .random_samples = 8};
    plan.nested_every = 16;
    return plan;
}

std::vector<Image> images_of(const std::vector<std::string> &names) {
    std::vector<Image> images;
    for (const std::string &name : names)
        images.push_back(*parse_image(name));
    return images;
}

// The engine is the same in every domain: here a few starts are enough.
std::vector<Image> other_domains() {
    return images_of({"dirty+byte", "dirty+wrap+byte", "crashed+byte", "dirty+page",
                      "dirty+wrap+page", "crashed+page"});
}

void add_own(std::vector<Unit> &units, const std::vector<Image> &images, const Plan &plan) {
    for (const Workload &workload : workloads()) {
        for (const Image &image : images) {
            const bool makes_volume = workload.name == format_workload;
            if (makes_volume &&
                (image.wrap || (image.start != Start::fresh && image.start != Start::dirty &&
                                image.start != Start::two_devices)))
                continue;
            if (workload.large && image.start == Start::full_root)
                continue; // the tree has taken that space
            units.push_back(
                {workload.name, image, plan, [&workload] { return std::vector{workload}; }});
        }
    }
}

void add_ace(std::vector<Unit> &units, std::size_t length, const std::vector<Image> &images,
             const Plan &plan) {
    for (const AceSequence &prefix : ace_prefixes(length - 1)) {
        for (const Image &image : images) {
            units.push_back({ace_name(prefix) + ".*", image, plan, [prefix] {
                                 std::vector<Workload> branches;
                                 for (const AceSequence &sequence : ace_branches(prefix))
                                     branches.push_back(ace_workload(sequence));
                                 return branches;
                             }});
        }
    }
}

void add_data(std::vector<Unit> &units, const std::vector<Image> &images, const Plan &plan) {
    for (const auto &group : data_workloads()) {
        const std::string &first = group[0].name;
        const std::size_t dot = first.find('.', first.find('.', first.find('.') + 1) + 1);
        for (const Image &image : images)
            units.push_back({first.substr(0, dot) + ".*", image, plan, [group] { return group; }});
    }
}

void add_combined(std::vector<Unit> &units, const std::vector<Image> &images, const Plan &plan) {
    for (const auto &group : combined_workloads()) {
        const std::string &first = group[0].name;
        for (const Image &image : images)
            units.push_back(
                {first.substr(0, first.rfind('.')) + ".*", image, plan, [group] { return group; }});
    }
}

void add_full_root(std::vector<Unit> &units, const Plan &plan) {
    for (const Image &image : images_of({"full-root", "full-root+wrap"}))
        units.push_back({"full-root.*", image, plan, full_root_workloads});
}

void shuffle(std::vector<Unit> &units, std::size_t begin, std::uint64_t seed) {
    for (std::size_t i = begin; i + 1 < units.size(); ++i)
        std::swap(units[i], units[i + test::split_mix(seed) % (units.size() - i)]);
}

} // namespace

const char *to_string(Tier tier) noexcept {
    return tier == Tier::quick ? "quick" : tier == Tier::normal ? "normal" : "long";
}

namespace {

// What comes first, and is all of the quick tier.
std::vector<Image> basic_images() {
    return images_of({"fresh", "dirty", "fresh+wrap", "lap", "full", "nearly-full", "split-names",
                      "split-files", "two-devices", "known"});
}

// A tree of two levels makes everything that looks at the whole volume slow, and few workloads
// change its inner nodes.
std::vector<Image> usual_images() {
    auto images = all_images(Domain::cache_line);
    std::erase_if(images, [](const Image &image) { return image.start == Start::full_root; });
    return images;
}

std::vector<Image> further_images() {
    auto images = usual_images();
    const auto basic = basic_images();
    std::erase_if(images, [&](const Image &image) {
        return std::find(basic.begin(), basic.end(), image) != basic.end();
    });
    return images;
}

// What both of the larger tiers have.
void add_generated(std::vector<Unit> &units, const std::vector<Image> &images, const Plan &plan) {
    add_ace(units, 1, images, plan);
    add_ace(units, 1, other_domains(), plan);
    add_data(units, images_of({"dirty", "dirty+wrap", "dirty+byte", "dirty+page"}), plan);
    add_combined(
        units, images_of({"dirty+wrap", "known", "two-devices", "dirty+byte", "dirty+page"}), plan);
    add_ace(units, 2, images_of({"dirty"}), plan);
}

std::vector<Unit> quick_units(const Plan &plan) {
    std::vector<Unit> units;
    add_own(units, basic_images(), few_states(plan));
    add_combined(units, images_of({"dirty"}), few_states(plan));
    add_full_root(units, few_states(plan));
    return units;
}

// Where time runs out, what was run behind the basic part is an even sample of the rest.
std::vector<Unit> normal_units(const Plan &plan) {
    std::vector<Unit> units;
    add_own(units, basic_images(), plan);
    add_combined(units, images_of({"dirty"}), plan);
    add_full_root(units, few_states(plan));
    const std::size_t basic = units.size();
    add_own(units, further_images(), plan);
    add_own(units, other_domains(), plan);
    add_generated(units, usual_images(), plan);
    shuffle(units, basic, plan.seed);
    return units;
}

std::vector<Unit> thorough_units(const Plan &plan) {
    std::vector<Unit> units;
    add_own(units, basic_images(), many_states(plan));
    add_own(units, further_images(), plan);
    add_own(units, images_of({"full-root", "full-root+wrap"}), plan);
    add_own(units, all_images(Domain::byte), plan);
    add_own(units, all_images(Domain::page), plan);
    add_generated(units, usual_images(), plan);
    add_combined(units, images_of({"dirty"}), many_states(plan));
    add_full_root(units, plan);
    add_ace(units, 3, images_of({"dirty"}), plan);
    shuffle(units, 0, plan.seed);
    return units;
}

} // namespace

std::vector<Unit> units_of(Tier tier, const Plan &plan) {
    switch (tier) {
    case Tier::quick:
        return quick_units(plan);
    case Tier::normal:
        return normal_units(plan);
    case Tier::thorough:
        return thorough_units(plan);
    }
    return {};
}

std::vector<Unit> chosen_units(std::vector<Unit> units, const std::string &only,
                               const std::string &image) {
    std::erase_if(units, [&](const Unit &unit) {
        // A unit's name ends in ".*" if it stands for several.
        const std::string stem = unit.name.substr(0, unit.name.find('*'));
        return (!image.empty() && to_string(unit.image) != image) ||
               !(unit.name.starts_with(only) || only.starts_with(stem));
    });
    if (only.empty())
        return units;
    for (Unit &unit : units) {
        if (!unit.name.starts_with(only))
            unit.name = only + "*"; // a part of the unit, not to be taken for the whole in a log
        unit.branches = [all = unit.branches, only] {
            auto branches = all();
            std::erase_if(branches,
                          [&](const auto &branch) { return !branch.name.starts_with(only); });
            return branches;
        };
    }
    std::erase_if(units, [](const Unit &unit) { return unit.branches().empty(); });
    return units;
}

} // namespace daxpin::crash
