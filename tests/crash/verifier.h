// SPDX-License-Identifier: BSD-3-Clause
//
// Verifier: is this crash state a legal one? Recovers it and looks at everything that a user,
// fsck and the next operations would see.
#pragma once

#include "crash/counters.h"
#include "crash/expectation.h"
#include "crash/scratch.h"
#include "crash/usability.h"

#include <unordered_set>

namespace daxpin::crash {

// One verifier serves workloads that begin with the same image: what was found out about a state
// that they share need not be found out again.
class Verifier {
  public:
    Verifier(const Image &image, std::uint64_t seed, Counters &counters);

    // The states that follow are of this run, from the same image as those before.
    void look_at(const Workload &workload, const Recording &recording, Expectation &expectation);

    // Recovers what is on the scratch media and checks it; leaves them changed. Returns what is
    // wrong, empty if nothing.
    std::string check(Scratch &scratch, const Position &position);

  private:
    std::string check_quarantine(const Scratch &scratch, const Position &position) const;
    std::string check_recovered(Scratch &scratch, const Position &position,
                                std::unique_ptr<volume::Volume> volume, std::uint64_t live);
    std::string count_outcomes(const Dump &found, const Position &position);
    std::string check_space(Scratch &scratch, const Expectation::Match &match);
    bool was_checked(const Position &position, std::uint64_t live) const;
    void remember(const Position &position, std::uint64_t live, const Expectation::Match &match);
    const Space &expected_space(const Expectation::Match &match);
    std::uint64_t path(std::size_t index) const { return recording_->paths[index]; }
    std::uint64_t metadata_hash(const Scratch &scratch) const;
    std::uint64_t live_hash(const Scratch &scratch) const;
    bool is_journal(MediaBlock block) const;
    bool is_free(const Scratch &scratch, MediaBlock block) const;

    const Image image_;
    const std::uint64_t seed_;
    Counters &counters_;
    const Workload *workload_ = nullptr;
    const Recording *recording_ = nullptr;
    Expectation *expectation_ = nullptr;
    std::unordered_set<std::uint64_t> metadata_images_;
    std::unordered_set<std::uint64_t> checked_;
    std::map<std::uint64_t, Space> space_;                                // by path
    std::map<std::uint64_t, std::unordered_set<std::uint64_t>> outcomes_; // of one operation
};

} // namespace daxpin::crash
