// SPDX-License-Identifier: BSD-3-Clause
//
// mutate_records(): libFuzzer's custom mutator for inputs that are a few bytes of head and then
// records of one size. Records are inserted, repeated, moved and dropped whole, and changed one
// at a time, so that an input stays a sequence of sensible steps.
#pragma once

#include <cstddef>
#include <cstdint>

// libFuzzer's own mutations; the driver for other compilers has its own (replay.cc).
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t *data, std::size_t size, std::size_t size_max);

namespace daxpin::fuzz {

struct RecordShape {
    std::size_t head;   // bytes before the first record
    std::size_t record; // bytes of each
};

// Returns the new size.
std::size_t mutate_records(std::uint8_t *data, std::size_t size, std::size_t size_max,
                           unsigned seed, RecordShape shape);

} // namespace daxpin::fuzz

// Defines the hook that libFuzzer looks for.
#define DAXPIN_MUTATE_RECORDS(head, record)                                                        \
    extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t *data, std::size_t size,           \
                                                   std::size_t size_max, unsigned seed) {          \
        return daxpin::fuzz::mutate_records(data, size, size_max, seed, {head, record});           \
    }                                                                                              \
    static_assert(true)
