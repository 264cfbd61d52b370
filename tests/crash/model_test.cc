// SPDX-License-Identifier: BSD-3-Clause
#include "support/catch.h"
#include "support/persistence_model.h"
#include "support/sim_device.h"
#include "support/test_env.h"
#include "support/trace.h"

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <set>

using namespace daxpin;
using namespace daxpin::test;
using device::Domain;
using device::StoreKind;

namespace {

using Bytes = PersistenceModel::Bytes;

std::array<std::byte, 8> word(std::uint64_t value) {
    std::array<std::byte, 8> bytes;
    std::memcpy(bytes.data(), &value, 8);
    return bytes;
}

std::uint64_t word_at(std::span<const std::byte> bytes, std::size_t offset) {
    std::uint64_t value;
    std::memcpy(&value, bytes.data() + offset, 8);
    return value;
}

PersistenceModel model_of(Domain domain = Domain::cache_line) {
    return {domain, Bytes(8192)};
}

// Every pair of the first two words that the unit may hold after a crash, by many samples.
std::set<std::pair<std::uint64_t, std::uint64_t>> possible(const PersistenceModel &model,
                                                           std::uint64_t unit = 0) {
    std::set<std::pair<std::uint64_t, std::uint64_t>> result;
    for (const Bytes &content : model.contents(unit))
        result.emplace(word_at(content, 0), word_at(content, 8));
    std::uint64_t random = 7;
    for (int i = 0; i < 1000; ++i) {
        const Bytes content = model.random_content(unit, random);
        result.emplace(word_at(content, 0), word_at(content, 8));
    }
    return result;
}

} // namespace

TEST_CASE("model: cached stores to a line persist in order", "[crash]") {
    auto model = model_of();
    model.store(0, word(1), StoreKind::cached, 1);
    model.store(8, word(2), StoreKind::cached, 1);
    CHECK(possible(model) == decltype(possible(model)){{0, 0}, {1, 0}, {1, 2}});
}

TEST_CASE("model: words of one copy and non-temporal words persist in any subset", "[crash]") {
    const decltype(possible(model_of())) all{{0, 0}, {1, 0}, {0, 2}, {1, 2}};
    std::array<std::byte, 16> both;
    std::memcpy(both.data(), word(1).data(), 8);
    std::memcpy(both.data() + 8, word(2).data(), 8);
    auto copied = model_of();
    copied.store(0, both, StoreKind::cached, 1);
    CHECK(possible(copied) == all);
    auto streamed = model_of();
    streamed.store(0, word(1), StoreKind::nontemporal, 1);
    streamed.store(8, word(2), StoreKind::nontemporal, 1);
    CHECK(possible(streamed) == all);
}

TEST_CASE("model: flush and drain of one thread make its line durable", "[crash]") {
    auto model = model_of();
    model.store(0, word(1), StoreKind::cached, 1);
    model.flush(0, 8, 1);
    CHECK(model.undecided().size() == 1);
    model.drain(1);
    CHECK(model.undecided().empty());
    CHECK(word_at(model.durable(), 0) == 1);
    CHECK(model.take_changed() == std::set<std::uint64_t>{0});
}

TEST_CASE("model: a drain without flush, or by another thread, decides nothing", "[crash]") {
    auto model = model_of();
    model.store(0, word(1), StoreKind::cached, 1);
    model.drain(1);
    CHECK(model.undecided().size() == 1);
    model.flush(0, 8, 1);
    model.drain(2);
    CHECK(model.undecided().size() == 1);
    model.store(64, word(1), StoreKind::nontemporal, 1);
    model.drain(2);
    CHECK(model.undecided().size() == 2);
    model.drain(1);
    CHECK(model.undecided().empty());
}

TEST_CASE("model: a store after the flush is not covered by it", "[crash]") {
    auto model = model_of();
    model.store(0, word(1), StoreKind::cached, 1);
    model.flush(0, 8, 1);
    model.store(8, word(2), StoreKind::cached, 1);
    model.drain(1);
    CHECK(possible(model) == decltype(possible(model)){{1, 0}, {1, 2}});
}

TEST_CASE("model: an older store never comes on top of a durable one", "[crash]") {
    auto model = model_of();
    model.store(0, word(1), StoreKind::nontemporal, 1);
    model.store(0, word(2), StoreKind::nontemporal, 2);
    model.drain(2);
    CHECK(model.undecided().empty());
    CHECK(word_at(model.durable(), 0) == 2);
}

TEST_CASE("model: a flush covers whole lines and no other", "[crash]") {
    auto model = model_of();
    for (std::uint64_t offset = 0; offset < 4 * 64; offset += 8)
        model.store(offset, word(offset + 1), StoreKind::cached, 1);
    model.flush(127, 2, 1); // the last byte of line 1, the first of line 2
    model.drain(1);
    CHECK(model.undecided() == std::vector<std::uint64_t>{0, 192});
}

TEST_CASE("model: bytes around an unaligned store are not touched", "[crash]") {
    auto model = model_of();
    const Bytes three(3, std::byte{0xff});
    model.store(7, three, StoreKind::cached, 1);
    CHECK(model.undecided_bytes(0).count() == 3);
    model.flush(7, 3, 1);
    model.drain(1);
    CHECK(word_at(model.durable(), 0) == 0xff00000000000000U);
    CHECK(word_at(model.durable(), 8) == 0xffff);
}

TEST_CASE("model: with eADR cached stores are durable at once, streamed ones are not", "[crash]") {
    auto model = model_of(Domain::byte);
    model.store(8, word(2), StoreKind::nontemporal, 1);
    model.store(0, word(1), StoreKind::cached, 1);
    CHECK(word_at(model.durable(), 0) == 1);
    CHECK(possible(model) == decltype(possible(model)){{1, 0}, {1, 2}});
    model.drain(1);
    CHECK(word_at(model.durable(), 8) == 2);
}

TEST_CASE("model: in domain page a non-temporal store is written back by the next drain",
          "[crash]") {
    auto model = model_of(Domain::page);
    model.store(0, word(1), StoreKind::nontemporal, 1);
    CHECK(model.undecided().size() == 1);
    model.drain(1);
    CHECK(model.undecided().empty());
}

TEST_CASE("model: in domain page a sector tears as one, and msync takes whole pages", "[crash]") {
    auto model = model_of(Domain::page);
    model.store(0, word(1), StoreKind::nontemporal, 1);
    model.store(8, word(2), StoreKind::nontemporal, 1);
    CHECK(possible(model) == decltype(possible(model)){{0, 0}, {1, 0}, {1, 2}});
    model.store(4000, word(3), StoreKind::cached, 1);
    model.store(4096, word(4), StoreKind::cached, 1);
    model.flush(100, 1, 1);
    model.drain(1);
    CHECK(model.undecided() == std::vector<std::uint64_t>{4096});
}

TEST_CASE("model: redundant flushes and drains are counted", "[crash]") {
    auto model = model_of();
    model.drain(1);
    model.store(0, word(1), StoreKind::cached, 1);
    model.flush(0, 8, 1);
    model.flush(0, 8, 1);
    model.drain(1);
    model.flush(0, 8, 1);
    CHECK(model.repeated_flushes() == 1);
    CHECK(model.redundant_flushes() == 1);
    CHECK(model.redundant_drains() == 1);
}

namespace {

sigjmp_buf fault_jump;
void on_fault(int) {
    siglongjmp(fault_jump, 1);
}

bool faults(std::byte *address) {
    struct sigaction action {
    }, old{};
    action.sa_handler = on_fault;
    sigaction(SIGSEGV, &action, &old);
    volatile bool faulted = true; // survives the jump
    if (sigsetjmp(fault_jump, 1) == 0) {
        *static_cast<volatile std::byte *>(address) = std::byte{1};
        faulted = false;
    }
    sigaction(SIGSEGV, &old, nullptr);
    return faulted;
}

} // namespace

TEST_CASE("sim device: a store that bypasses the interface faults", "[crash]") {
    auto media = SimMedia::create({});
    auto device = media->open();
    CHECK(faults(const_cast<std::byte *>(device->view().data())));
    CHECK_FALSE(faults(media->bytes().data()));
    CHECK(device->view()[0] == std::byte{1});
}

TEST_CASE("sim device: a replayed trace gives the bytes the device holds", "[crash]") {
    auto media = SimMedia::create({});
    TraceRecorder recorder({media});
    auto device = media->open();
    std::uint64_t random = 3;
    for (int i = 0; i < 500; ++i) {
        Bytes data(split_mix(random) % 200);
        for (std::byte &byte : data)
            byte = static_cast<std::byte>(split_mix(random));
        const std::uint64_t offset = split_mix(random) % 8000;
        const auto kind = split_mix(random) % 2 ? StoreKind::cached : StoreKind::nontemporal;
        REQUIRE(device->copy(offset, data, kind));
        if (kind == StoreKind::cached)
            device->flush(offset, data.size());
        if (i % 10 == 9)
            REQUIRE(device->drain());
    }
    PersistenceModel model(Domain::cache_line, Bytes(media->bytes().size()));
    for (const Event &event : recorder.trace().events) {
        if (event.kind == Event::Kind::store)
            model.store(event.offset, recorder.trace().stored(event), event.store_kind, 1);
        else if (event.kind == Event::Kind::flush)
            model.flush(event.offset, event.data, 1);
        else
            model.drain(1);
    }
    CHECK(model.undecided().empty());
    CHECK(std::equal(model.durable().begin(), model.durable().end(), media->bytes().begin()));
}

TEST_CASE("sim device: poison and failing drains are errors, and heal", "[crash]") {
    auto media = SimMedia::create({});
    auto device = media->open();
    std::array<std::byte, 16> out{};
    media->poison(4096, 64);
    CHECK(device->read(4090, out).code() == Errc::io);
    CHECK(device->read(4160, out).has_value());
    CHECK(device->store8(4096, 1).code() == Errc::io);
    media->poison(0, 0);
    CHECK(device->read(4090, out).has_value());
    media->fail_drains_from(2);
    CHECK(device->drain().has_value());
    CHECK(device->drain().code() == Errc::io);
    CHECK(device->drain().code() == Errc::io);
    media->fail_drains_from(0);
    CHECK(device->drain().has_value());
}
