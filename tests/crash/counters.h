// SPDX-License-Identifier: BSD-3-Clause
//
// Counters: what a run did, to be summed up, logged and printed.
#pragma once

#include <cstdint>

namespace daxpin::crash {

struct Counters {
    std::uint64_t workloads = 0; // (workload, image) pairs
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

struct CounterField {
    const char *key;   // in a log
    const char *title; // in a summary
    std::uint64_t Counters::*value;
};

inline constexpr CounterField counter_fields[] = {
    {"pairs", "(workload, start) pairs", &Counters::workloads},
    {"crash_points", "(pair, crash point) pairs", &Counters::crash_points},
    {"states", "states recovered and checked by fsck", &Counters::states},
    {"nested", "  of them crashed again in recovery", &Counters::nested_states},
    {"metadata_images", "different metadata images", &Counters::metadata_images},
    {"merged", "states merged after recovery", &Counters::merged},
    {"full_checks", "states with every check", &Counters::full_checks},
    {"acknowledgements", "acknowledgements checked by rule", &Counters::acknowledgements},
    {"redundant_flushes", "redundant flushes", &Counters::redundant_flushes},
    {"repeated_flushes", "flushes of lines in flight already", &Counters::repeated_flushes},
    {"redundant_drains", "redundant drains", &Counters::redundant_drains},
    {"dropped_bytes", "bytes of records dropped", &Counters::dropped_bytes},
    {"violations", "violations", &Counters::violations},
};

inline void Counters::add(const Counters &other) {
    for (const CounterField &field : counter_fields)
        this->*field.value += other.*field.value;
}

} // namespace daxpin::crash
