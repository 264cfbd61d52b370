// SPDX-License-Identifier: BSD-3-Clause
//
// PersistenceModel: what of the stores to one device may have reached media if power fails now.
//
// Media are cut into units (64-byte lines; 512-byte sectors in domain `page`). A unit has its
// durable bytes and the stores since, in order, none of which is known to be durable:
// - an aligned word of 8 bytes never tears; a store is as many words as it covers;
// - cached stores to a unit persist in order, the words of the last one in any subset;
// - non-temporal words persist in any subset; units are independent of each other;
// - flush() by a thread and then drain() by the same thread make the unit's cached stores up to
//   the flush durable; drain() also makes that thread's own non-temporal stores so;
// - domain `byte`: a cached store is durable at once. Domain `page`: all stores are cached, a
//   flush covers whole pages and drain() writes back what they hold by then; a non-temporal store
//   asks for that by itself.
#pragma once

#include "device/device.h"

#include <bitset>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace daxpin::test {

class PersistenceModel {
  public:
    using Bytes = std::vector<std::byte>;
    static constexpr std::size_t unit_bytes_max = 512;

    // All of `initial` is durable.
    PersistenceModel(device::Domain domain, std::span<const std::byte> initial);

    void store(std::uint64_t offset, std::span<const std::byte> in, device::StoreKind kind,
               unsigned thread);
    void flush(std::uint64_t offset, std::uint64_t length, unsigned thread);
    void drain(unsigned thread);

    std::size_t unit_bytes() const { return unit_bytes_; }
    std::span<const std::byte> durable() const { return durable_; }
    // Offsets of the units whose durable bytes changed since the last call.
    std::set<std::uint64_t> take_changed() { return std::exchange(changed_, {}); }

    // Offsets of the units with undecided stores, ascending.
    std::vector<std::uint64_t> undecided() const;
    // Different contents that the unit may have: first the durable one, second the one with
    // every store, then what lies between, torn stores included (not all of the torn ones).
    std::vector<Bytes> contents(std::uint64_t unit) const;
    // Some legal content, chosen by `random` (advanced); may be any legal one.
    Bytes random_content(std::uint64_t unit, std::uint64_t &random) const;
    // The bytes of the unit that undecided stores wrote.
    std::bitset<unit_bytes_max> undecided_bytes(std::uint64_t unit) const;

    // Flushes that found nothing to write back, and those whose lines this thread had flushed
    // since its last drain (as when several records share a line); drains with nothing to wait for.
    std::uint64_t redundant_flushes() const { return redundant_flushes_; }
    std::uint64_t repeated_flushes() const { return repeated_flushes_; }
    std::uint64_t redundant_drains() const { return redundant_drains_; }

  private:
    struct WordStore {
        std::uint64_t value;
        std::uint32_t group; // words of one store() have the same
        std::uint16_t thread;
        std::uint8_t word; // within the unit
        std::uint8_t mask; // bytes of the word
        bool nontemporal;
        bool flushed; // by anybody
    };
    struct Unit {
        std::vector<WordStore> stores;
        std::map<unsigned, std::size_t> flushed; // by thread: number of stores covered
    };

    struct Flight {
        bool useful = false;
        bool repeated = false;
    };

    void add_word(std::uint64_t address, const WordStore &store);
    Flight take_to_flight(std::uint64_t offset, std::uint64_t length, unsigned thread);
    void decide(std::uint64_t offset, Unit &unit, unsigned thread, bool nontemporal);
    static bool is_empty(const Unit &unit);
    static void apply(const WordStore &store, std::span<std::byte> bytes);
    Bytes durable_unit(std::uint64_t unit) const;
    Bytes content_with(std::uint64_t unit, const Unit &state,
                       const std::vector<bool> &applied) const;

    const device::Domain domain_;
    const std::size_t unit_bytes_;
    Bytes durable_;
    std::map<std::uint64_t, Unit> units_;
    std::map<unsigned, std::set<std::uint64_t>> in_flight_; // by thread
    std::set<std::uint64_t> changed_;
    std::uint32_t groups_ = 0;
    std::uint64_t redundant_flushes_ = 0;
    std::uint64_t repeated_flushes_ = 0;
    std::uint64_t redundant_drains_ = 0;
};

} // namespace daxpin::test
