// SPDX-License-Identifier: BSD-3-Clause
//
// <daxpin/daxpin.hpp>: what it makes of its arguments, and when a mapping goes.
#include "base/unique_fd.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"

#include <array>
#include <atomic>
#include <cstring>
#include <daxpin/daxpin.hpp>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <vector>

using daxpin::Map;
using daxpin::UniqueFd;
using daxpin::test::FakeFilesystem;

namespace {

constexpr std::uint64_t mib = 1 << 20;

struct Header {
    std::uint64_t magic;
    std::uint64_t slots[16];
    std::array<std::uint32_t, 4> counts;
    std::atomic<std::uint64_t> head;
};

template <typename T>
concept Persistable = requires(const Map &map, T &&value) {
    map.persist(std::forward<T>(value));
};
template <typename T>
concept Flushable = requires(const Map &map, T value) {
    map.flush(value);
    map.deep_flush(value);
    map.mark(value);
};

static_assert(Persistable<Header &> && Persistable<const Header &>);
static_assert(Persistable<std::uint64_t &> && Persistable<std::uint64_t (&)[16]>);
static_assert(Persistable<std::array<int, 4> &> && Persistable<std::atomic<std::uint64_t> &>);
static_assert(Persistable<std::span<int>> && Persistable<std::span<const std::byte> &>);
static_assert(Persistable<std::span<int, 16>> && Persistable<const std::span<int, 16> &>);
static_assert(Flushable<std::span<int>> && Flushable<std::span<const int, 16>>);

static_assert(!Persistable<Header *> && !Persistable<const Header *&>);
static_assert(!Persistable<std::nullptr_t> && !Persistable<std::uint64_t Header::*&>);
static_assert(!Persistable<std::string_view &> && !Persistable<std::string &>);
static_assert(!Persistable<std::vector<int> &> && !Persistable<std::unique_ptr<int> &>);
static_assert(!Persistable<Header> && !Persistable<std::uint64_t>);

struct Fixture {
    Fixture() : fs(mib) {
        fs.add_extent(fs.add_device(4 * mib, DAXPIN_GRANULARITY_PAGE), 2 * mib, mib);
        fd = UniqueFd(fs.open_file(O_RDWR));
    }
    FakeFilesystem fs;
    UniqueFd fd;
};

} // namespace

TEST_CASE("wrapper: a span of fixed length is its elements, not itself", "[client]") {
    const Fixture f;
    const Map map(f.fd.get());
    auto &header = map.at<Header>(8192);
    map.persist(std::span(header.slots));
    CHECK(static_cast<const void *>(FakeFilesystem::last_synced().data()) == &header);
    CHECK(FakeFilesystem::last_synced().size() == offsetof(Header, slots) + sizeof header.slots);
    map.persist(header.slots);
    CHECK(FakeFilesystem::last_synced().size() == offsetof(Header, slots) + sizeof header.slots);
    map.flush(std::span(header.counts));
    CHECK(FakeFilesystem::last_synced().size() == offsetof(Header, counts) + sizeof header.counts);
    map.deep_flush(std::span(header.slots).first<2>());
    CHECK(FakeFilesystem::last_synced().size() == offsetof(Header, slots) + 16);
    map.persist(header);
    CHECK(FakeFilesystem::last_synced().size() == sizeof header);
}

TEST_CASE("wrapper: what a mapping was before it is assigned another is gone at once", "[client]") {
    const Fixture f;
    Map first(f.fd.get());
    const auto before = first.bytes();
    Map second(f.fd.get());
    const auto bytes = second.bytes();
    first = std::move(second);
    CHECK_FALSE(second); // NOLINT(bugprone-use-after-move): that is the rule
    CHECK(first.bytes().data() == bytes.data());
    unsigned char resident = 0;
    CHECK(mincore(before.data(), 4096, &resident) != 0);
    CHECK(errno == ENOMEM);
    Map &self = first;
    first = std::move(self);
    CHECK(first.bytes().data() == bytes.data());
}
