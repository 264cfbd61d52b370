// SPDX-License-Identifier: BSD-3-Clause
//
// Units: what the suite runs, cut into pieces of work that are done, logged and counted whole: the
// workloads that begin alike, on one starting image.
#pragma once

#include "crash/explorer.h"

namespace daxpin::crash {

// How much is run.
//   quick: our own workloads on a few images, few states; for tests of the suite itself
//   normal: own workloads on every image and domain, ACE up to length two, data workloads
//   thorough: all of ACE, and many more states of our own; an hour
enum class Tier { quick, normal, thorough };
const char *to_string(Tier tier) noexcept;

struct Unit {
    std::string name; // "rename", "ace.unlink-foo.*"
    Image image;
    Plan plan;
    std::function<std::vector<Workload>()> branches;
    std::string id() const { return name + "@" + to_string(image); }
};

// In the order in which they are run; `plan` says what all have in common (seed, ...).
std::vector<Unit> units_of(Tier tier, const Plan &plan);

// The units left if only workloads whose name begins with `only`, or only one image, are wanted;
// empty texts choose everything.
std::vector<Unit> chosen_units(std::vector<Unit> units, const std::string &only,
                               const std::string &image);

} // namespace daxpin::crash
