// SPDX-License-Identifier: BSD-3-Clause
//
// Verifier: is this crash state a legal one? Recovers it and looks at everything that a user,
// fsck and the next operations would see.
#pragma once

#include "crash/recording.h"
#include "crash/scratch.h"
#include "crash/usability.h"

#include <unordered_set>

namespace daxpin::crash {

struct Counters {
    std::uint64_t workloads = 0; // (workload, start) pairs
    std::uint64_t crash_points = 0;
    std::uint64_t states = 0; // recovered and checked by fsck
    std::uint64_t nested_states = 0;
    std::uint64_t metadata_images = 0; // different ones, file data masked
    std::uint64_t merged = 0;          // equal to a state checked before, after recovery
    std::uint64_t full_checks = 0;
    std::uint64_t acknowledgements = 0;  // rules checked without enumeration
    std::uint64_t redundant_flushes = 0; // found nothing to write back
    std::uint64_t repeated_flushes = 0;  // the lines were in flight already
    std::uint64_t redundant_drains = 0;
    std::uint64_t dropped_bytes = 0; // of records, by Plan::drop_field
    std::uint64_t violations = 0;
    void add(const Counters &other);
};

class Verifier {
  public:
    Verifier(const Workload &workload, Start start, std::uint64_t seed, const Recording &recording,
             Counters &counters);

    // Recovers what is on the scratch media and checks it; leaves them changed. Returns what is
    // wrong, empty if nothing.
    std::string check(Scratch &scratch, const Position &position);

  private:
    std::string check_recovered(Scratch &scratch, const Position &position,
                                std::unique_ptr<volume::Volume> volume);
    std::string check_use(Scratch &scratch, const Dump &dump, std::size_t index);
    std::string check_space(Scratch &scratch, std::size_t index);
    std::string match(const Dump &found, const Position &position, std::size_t &index) const;
    const Space &expected_space(std::size_t index);
    std::uint64_t metadata_hash(const Scratch &scratch) const;
    std::uint64_t live_hash(const Scratch &scratch) const;
    bool is_journal(MediaBlock block) const;
    bool is_free(const Scratch &scratch, MediaBlock block) const;

    const Workload &workload_;
    const Start start_;
    const std::uint64_t seed_;
    const Recording &recording_;
    Counters &counters_;
    std::unordered_set<std::uint64_t> metadata_images_;
    std::unordered_set<std::uint64_t> checked_;
    std::map<std::size_t, Space> space_;
};

} // namespace daxpin::crash
