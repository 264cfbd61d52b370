// SPDX-License-Identifier: BSD-3-Clause
#include "support/persistence_model.h"

#include "base/assert.h"
#include "support/test_env.h"

#include <algorithm>
#include <cstring>

namespace daxpin::test {

using device::Domain;
using device::StoreKind;

namespace {

constexpr std::uint64_t page_bytes = 4096;

std::uint64_t round_down(std::uint64_t value, std::uint64_t unit) {
    return value / unit * unit;
}

} // namespace

PersistenceModel::PersistenceModel(Domain domain, std::span<const std::byte> initial)
    : domain_(domain), unit_bytes_(domain == Domain::page ? unit_bytes_max : 64),
      durable_(initial.begin(), initial.end()) {}

// ---- events -----------------------------------------------------------------------------------

void PersistenceModel::apply(const WordStore &store, std::span<std::byte> bytes) {
    std::byte value[8];
    std::memcpy(value, &store.value, 8);
    for (unsigned i = 0; i < 8; ++i) {
        if (store.mask >> i & 1)
            bytes[store.word * 8U + i] = value[i];
    }
}

void PersistenceModel::add_word(std::uint64_t address, const WordStore &store) {
    const std::uint64_t offset = round_down(address, unit_bytes_);
    Unit &unit = units_[offset];
    unit.stores.push_back(store);
    if (domain_ == Domain::byte && !store.nontemporal) {
        unit.flushed[store.thread] = unit.stores.size();
        decide(offset, unit, store.thread, false);
        if (is_empty(unit))
            units_.erase(offset);
    } else if (store.nontemporal) {
        in_flight_[store.thread].insert(offset);
    }
}

void PersistenceModel::store(std::uint64_t offset, std::span<const std::byte> in, StoreKind kind,
                             unsigned thread) {
    ++groups_;
    const bool nontemporal = kind == StoreKind::nontemporal && domain_ != Domain::page;
    for (std::size_t done = 0; done < in.size();) {
        const std::uint64_t address = offset + done;
        const std::size_t skip = address % 8;
        const std::size_t count = std::min(in.size() - done, 8 - skip);
        std::byte value[8] = {};
        std::memcpy(value + skip, in.data() + done, count);
        WordStore word{};
        std::memcpy(&word.value, value, 8);
        word.group = groups_;
        word.thread = static_cast<std::uint16_t>(thread);
        word.word = static_cast<std::uint8_t>(address % unit_bytes_ / 8);
        word.mask = static_cast<std::uint8_t>(((1U << count) - 1) << skip);
        word.nontemporal = nontemporal;
        add_word(address, word);
        done += count;
    }
    if (kind == StoreKind::nontemporal && domain_ == Domain::page)
        take_to_flight(offset, in.size(), thread);
}

// The next drain by `thread` makes what the units hold durable. Tells whether that was new: of
// nobody (useful), or of this thread at least (not repeated).
PersistenceModel::Flight PersistenceModel::take_to_flight(std::uint64_t offset,
                                                          std::uint64_t length, unsigned thread) {
    const std::uint64_t grain = domain_ == Domain::page ? page_bytes : unit_bytes_;
    const std::uint64_t end = round_down(offset + length + grain - 1, grain);
    Flight flight;
    for (auto it = units_.lower_bound(round_down(offset, grain));
         it != units_.end() && it->first < end; ++it) {
        Unit &unit = it->second;
        for (WordStore &store : unit.stores) {
            flight.useful = flight.useful || (!store.nontemporal && !store.flushed);
            store.flushed = true;
        }
        flight.repeated = flight.repeated || unit.flushed[thread] == unit.stores.size();
        unit.flushed[thread] = unit.stores.size();
        in_flight_[thread].insert(it->first);
    }
    return flight;
}

void PersistenceModel::flush(std::uint64_t offset, std::uint64_t length, unsigned thread) {
    if (domain_ == Domain::byte || length == 0)
        return;
    const Flight flight = take_to_flight(offset, length, thread);
    repeated_flushes_ += !flight.useful && flight.repeated;
    redundant_flushes_ += !flight.useful && !flight.repeated;
}

bool PersistenceModel::is_empty(const Unit &unit) {
    return std::all_of(unit.stores.begin(), unit.stores.end(),
                       [](const WordStore &store) { return store.mask == 0; });
}

// Makes durable what `thread` flushed and, if `nontemporal`, what it stored past the cache. Older
// stores to the same bytes are dropped: they must never come on top.
void PersistenceModel::decide(std::uint64_t offset, Unit &unit, unsigned thread, bool nontemporal) {
    std::size_t flushed = unit.flushed.contains(thread) ? unit.flushed[thread] : 0;
    if (domain_ == Domain::page && flushed > 0)
        flushed = unit.stores.size();
    std::vector<WordStore> rest;
    std::map<unsigned, std::size_t> rest_flushed;
    for (std::size_t i = 0; i < unit.stores.size(); ++i) {
        const WordStore &store = unit.stores[i];
        if (store.nontemporal ? nontemporal && store.thread == thread : i < flushed) {
            apply(store, std::span(durable_).subspan(offset, unit_bytes_));
            for (WordStore &older : rest) {
                if (older.word == store.word)
                    older.mask = static_cast<std::uint8_t>(older.mask & ~store.mask);
            }
            changed_.insert(offset);
            continue;
        }
        rest.push_back(store);
        for (const auto &[other, count] : unit.flushed) {
            if (other != thread && i < count)
                rest_flushed[other] = rest.size();
        }
    }
    unit.stores = std::move(rest);
    unit.flushed = std::move(rest_flushed);
}

void PersistenceModel::drain(unsigned thread) {
    auto flight = in_flight_.find(thread);
    if (flight == in_flight_.end()) {
        ++redundant_drains_;
        return;
    }
    for (const std::uint64_t offset : flight->second) {
        auto it = units_.find(offset);
        if (it == units_.end())
            continue;
        decide(offset, it->second, thread, true);
        if (is_empty(it->second))
            units_.erase(it);
    }
    in_flight_.erase(flight);
}

// ---- crash states -----------------------------------------------------------------------------

std::vector<std::uint64_t> PersistenceModel::undecided() const {
    std::vector<std::uint64_t> offsets;
    for (const auto &[offset, unit] : units_)
        offsets.push_back(offset);
    return offsets;
}

PersistenceModel::Bytes PersistenceModel::durable_unit(std::uint64_t unit) const {
    const auto begin = durable_.begin() + static_cast<std::ptrdiff_t>(unit);
    return {begin, begin + static_cast<std::ptrdiff_t>(unit_bytes_)};
}

PersistenceModel::Bytes PersistenceModel::content_with(std::uint64_t unit, const Unit &state,
                                                       const std::vector<bool> &applied) const {
    Bytes bytes = durable_unit(unit);
    for (std::size_t i = 0; i < applied.size(); ++i) {
        if (applied[i])
            apply(state.stores[i], bytes);
    }
    return bytes;
}

std::vector<PersistenceModel::Bytes> PersistenceModel::contents(std::uint64_t offset) const {
    const Unit &unit = units_.at(offset);
    const std::size_t count = unit.stores.size();
    std::vector<Bytes> result;
    const auto add = [&](const auto &choose) {
        std::vector<bool> applied(count);
        for (std::size_t i = 0; i < count; ++i)
            applied[i] = choose(i);
        Bytes bytes = content_with(offset, unit, applied);
        if (std::find(result.begin(), result.end(), bytes) == result.end())
            result.push_back(std::move(bytes));
    };
    add([](std::size_t) { return false; });
    add([](std::size_t) { return true; });
    add([&](std::size_t i) { return unit.stores[i].nontemporal; });
    add([&](std::size_t i) { return !unit.stores[i].nontemporal; });
    for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
        while (end < count && unit.stores[end].group == unit.stores[begin].group)
            ++end;
        add([&](std::size_t i) { return i < end; });
        add([&](std::size_t i) { return i <= begin; });
        add([&](std::size_t i) { return i < end && i != begin; });
        add([&](std::size_t i) { return i < end - 1; });
        add([&](std::size_t i) { return i < begin || i == end - 1; });
    }
    return result;
}

PersistenceModel::Bytes PersistenceModel::random_content(std::uint64_t offset,
                                                         std::uint64_t &random) const {
    const Unit &unit = units_.at(offset);
    std::vector<bool> applied(unit.stores.size());
    const std::uint32_t cut = unit.stores[split_mix(random) % unit.stores.size()].group;
    const bool with_cut = split_mix(random) % 4 != 0;
    for (std::size_t i = 0; i < applied.size(); ++i) {
        const WordStore &store = unit.stores[i];
        const bool half = split_mix(random) % 2 == 0;
        if (store.nontemporal || store.group == cut)
            applied[i] = half && (with_cut || store.nontemporal);
        else
            applied[i] = store.group < cut;
    }
    return content_with(offset, unit, applied);
}

std::bitset<PersistenceModel::unit_bytes_max>
PersistenceModel::undecided_bytes(std::uint64_t offset) const {
    std::bitset<unit_bytes_max> bits;
    for (const WordStore &store : units_.at(offset).stores) {
        for (unsigned i = 0; i < 8; ++i) {
            if (store.mask >> i & 1)
                bits.set(store.word * 8U + i);
        }
    }
    return bits;
}

} // namespace daxpin::test
