// SPDX-License-Identifier: BSD-3-Clause
//
// What must hold of the media at certain moments, told from what is durable and what is not,
// without making any crash state.
#pragma once

#include "crash/recording.h"
#include "support/persistence_model.h"

namespace daxpin::crash {

// One record of the ring and the bytes it names.
struct RingRecord {
    std::uint64_t sequence = 0;
    std::uint64_t end = 0;
    struct Outcome {
        std::uint64_t offset; // on device 0
        std::uint64_t length;
    };
    std::vector<Outcome> outcomes;
};

// The tail that rules and the records from there on, as `image` (device 0) has them. Empty if no
// tail cell is valid.
struct RingContent {
    std::uint64_t tail = 0;
    std::vector<RingRecord> records;
};
std::optional<RingContent> read_ring(std::span<const std::byte> image,
                                     const format::Superblock &superblock);

// When an operation was acknowledged: the only bytes not known to be durable are homes named by
// a durable record at or after the durable tail. Returns what is wrong.
std::string check_acknowledged(const std::vector<test::PersistenceModel> &models,
                               const format::Superblock &superblock);

// When a store changes a tail cell: every home that is still undecided is named by a record that
// the new tail keeps. `device` is about to see `in` stored at `offset`.
std::string check_tail_store(const std::vector<test::PersistenceModel> &models,
                             const format::Superblock &superblock, std::uint64_t offset,
                             std::span<const std::byte> in);

} // namespace daxpin::crash
