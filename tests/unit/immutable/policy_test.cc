// SPDX-License-Identifier: BSD-3-Clause
//
// The table of errors of docs/pinning.md, as far as it is policy: one test case a row.
#include "immutable/policy.h"
#include "support/catch.h"

using namespace daxpin;
using namespace daxpin::immutable;
using Ranges = std::vector<BlockRange>;

namespace {

constexpr std::uint64_t unit_2m = std::uint64_t{2} << 20;

BlockRange range(std::uint64_t first, std::uint64_t count) {
    return {{first}, {count}};
}

template <typename T> bool fails(const Result<T> &result, Errc code) {
    return !result && result.code() == code;
}

FileState file_of(std::uint64_t size) {
    FileState file;
    file.size = size;
    return file;
}

FileState pinned_file(std::uint64_t size) {
    FileState file = file_of(size);
    file.any_pin = file.pinned_whole = true;
    return file;
}

FileState partly_pinned_file(std::uint64_t size) {
    FileState file = file_of(size);
    file.any_pin = true;
    return file;
}

const PinCaller owner{true, true, 1};
const PinCaller stranger{false, true, 1};
const PinCaller reader{true, false, 1};
const Leases nobody;

Leases leased(BlockRange blocks, bool write, std::uint64_t handle = 1) {
    Leases leases;
    leases.grant(handle, blocks, write);
    return leases;
}

Result<BlockRange> pin(const FileState &file, const PinCaller &caller = owner, ByteRange bytes = {},
                       std::uint64_t align = 0) {
    return check_pin_request(file, caller, bytes, align);
}

} // namespace

TEST_CASE("policy: PIN, UNPIN and EXTEND want a descriptor open for writing", "[immutable]") {
    CHECK(fails(pin(file_of(8192), reader), Errc::bad_handle));
    CHECK(fails(check_extend_request(pinned_file(8192), reader, 9000), Errc::bad_handle));
}

TEST_CASE("policy: only regular files with a name are pinned", "[immutable]") {
    FileState file = file_of(8192);
    file.regular = false;
    CHECK(fails(pin(file), Errc::invalid));
    file.regular = true;
    file.link_count = 0;
    CHECK(fails(pin(file), Errc::invalid));
    file.any_pin = true;
    CHECK(fails(check_extend_request(file, owner, 9000), Errc::invalid));
    CHECK(fails(check_lease_request(file, owner, {}, false), Errc::invalid));
}

TEST_CASE("policy: an empty file is not pinned", "[immutable]") {
    CHECK(fails(pin(file_of(0)), Errc::invalid));
}

TEST_CASE("policy: a range must lie in the file, block by block", "[immutable]") {
    const FileState file = file_of(10'000); // three blocks
    const auto with = [&](std::uint64_t offset, std::uint64_t length) {
        return pin(file, owner, {offset, length});
    };
    CHECK(fails(with(1, 4096), Errc::invalid));                    // not aligned
    CHECK(fails(with(4096, 0), Errc::invalid));                    // empty
    CHECK(fails(with(4096, ~std::uint64_t{0}), Errc::invalid));    // overflow
    CHECK(fails(with(~std::uint64_t{4095}, 8192), Errc::invalid)); // overflow
    CHECK(fails(with(12'288, 1), Errc::invalid));                  // beyond the end
    CHECK(fails(with(8192, 4097), Errc::invalid));                 // beyond the last block
    CHECK(*with(8192, 1) == range(2, 1));
    CHECK(*with(8192, 4096) == range(2, 1));
    CHECK(*with(0, 4097) == range(0, 2)); // rounded out
    CHECK(*with(0, 0) == range(0, 3));    // the whole file
}

TEST_CASE("policy: an alignment is a power of two and at least a block", "[immutable]") {
    for (const std::uint64_t align : {std::uint64_t{1}, std::uint64_t{2048}, std::uint64_t{12'288}})
        CHECK(fails(pin(file_of(8192), owner, {}, align), Errc::invalid));
    CHECK(pin(file_of(8192), owner, {}, 4096));
    CHECK(pin(file_of(8192), owner, {}, unit_2m));
}

TEST_CASE("policy: only owner or capable pin", "[immutable]") {
    CHECK(fails(pin(file_of(8192), stranger), Errc::not_permitted));
    CHECK(fails(check_extend_request(pinned_file(8192), stranger, 9000), Errc::not_permitted));
}

TEST_CASE("policy: nothing is pinned on a read-only mount", "[immutable]") {
    FileState file = file_of(8192);
    file.read_only_mount = true;
    CHECK(fails(pin(file), Errc::read_only));
    CHECK(fails(pin(file, reader), Errc::read_only)); // comes first
    CHECK(fails(check_extend_request(file, owner, 9000), Errc::read_only));
    CHECK(fails(check_lease_request(file, owner, {}, false), Errc::read_only));
    CHECK(fails(check_lease_request(file, owner, {}, true), Errc::read_only));
}

TEST_CASE("policy: PIN and UNPIN on a +i or +a file are not permitted", "[immutable]") {
    FileState file = file_of(8192);
    file.immutable_flag = true;
    CHECK(fails(pin(file), Errc::not_permitted));
    file.immutable_flag = false;
    file.append_flag = true;
    CHECK(fails(pin(file), Errc::not_permitted));
    file.any_pin = true;
    CHECK(fails(check_extend_request(file, owner, 9000), Errc::not_permitted));
}

TEST_CASE("policy: mapping units round a range out, pin and lease alike", "[immutable]") {
    FileState file = file_of(unit_2m + 1);
    file.mapping_unit = unit_2m;
    CHECK(*pin(file) == range(0, 1024));
    CHECK(*pin(file, owner, {4096, 4096}) == range(0, 512));
    CHECK(*check_lease_request(file, owner, {unit_2m, 1}, true) == range(512, 512));
}

TEST_CASE("policy: UNPIN waits for other holders of write leases", "[immutable]") {
    const Leases leases = leased(range(0, 2), true, 5);
    CHECK(fails(check_unpin_leases(leases, range(1, 1), 6), Errc::busy));
    CHECK(check_unpin_leases(leases, range(1, 1), 5));
    CHECK(check_unpin_leases(leases, range(2, 1), 6));
    CHECK(check_unpin_leases(leased(range(0, 2), false, 5), range(0, 2), 6));
}

TEST_CASE("policy: a pinned or write-leased range keeps its map", "[immutable]") {
    const FileState file = partly_pinned_file(100 * 4096);
    const Ranges pins{range(10, 10)};
    CHECK(fails(check_map_change(file, pins, nobody, range(19, 1)), Errc::pinned));
    CHECK(check_map_change(file, pins, nobody, range(20, 1)));
    CHECK(fails(check_map_change(file_of(100 * 4096), {}, leased(range(30, 1), true), range(0, 50)),
                Errc::pinned));
    CHECK(check_map_change(file_of(100 * 4096), {}, leased(range(30, 1), false), range(0, 50)));
    CHECK(fails(check_map_change(pinned_file(4096), {range(0, 1)}, nobody, range(5, 1)),
                Errc::pinned));
}

TEST_CASE("policy: truncation that cuts a pin or a write lease is refused", "[immutable]") {
    const FileState file = partly_pinned_file(100 * 4096);
    const Ranges pins{range(10, 10)};
    CHECK(fails(check_size_change(file, pins, nobody, 0), Errc::pinned)); // O_TRUNC
    CHECK(fails(check_size_change(file, pins, nobody, 19 * 4096), Errc::pinned));
    CHECK(check_size_change(file, pins, nobody, 19 * 4096 + 1));
    CHECK(check_size_change(file, pins, nobody, 20 * 4096));
    CHECK(fails(check_size_change(file_of(100 * 4096), {}, leased(range(50, 1), true), 50 * 4096),
                Errc::pinned));
    CHECK(check_size_change(file_of(100 * 4096), {}, leased(range(50, 1), false), 0));
}

TEST_CASE("policy: the size of a wholly pinned file is frozen", "[immutable]") {
    const FileState file = pinned_file(10'000);
    const Ranges pins{range(0, 3)};
    CHECK(fails(check_size_change(file, pins, nobody, 9'999), Errc::pinned));
    CHECK(fails(check_size_change(file, pins, nobody, 10'001), Errc::pinned));
    CHECK(fails(check_write(file, 9'999, 2, false), Errc::pinned));
    CHECK(fails(check_write(file, 10'000, 1, true), Errc::pinned));
}

TEST_CASE("policy: truncation to the same size is allowed", "[immutable]") {
    CHECK(check_size_change(pinned_file(10'000), {range(0, 3)}, nobody, 10'000));
    CHECK(check_size_change(partly_pinned_file(10'000), {range(0, 3)}, nobody, 10'000));
}

TEST_CASE("policy: a range as a pin shows it may be pinned again, beyond the end of file",
          "[immutable]") {
    FileState file = file_of(8192);
    file.mapping_unit = unit_2m;
    const auto pinned = pin(file, owner, {0, 4096});
    REQUIRE(pinned);
    CHECK(*pinned == range(0, 512));
    const auto again = pin(file, owner, {pinned->first.bytes(), pinned->count.bytes()});
    REQUIRE(again);
    CHECK(*again == *pinned);
    CHECK(fails(pin(file, owner, {0, unit_2m + 4096}), Errc::invalid));
}

TEST_CASE("policy: appending beyond a partial pin and inside its last block is allowed",
          "[immutable]") {
    const FileState file = partly_pinned_file(10'000);
    CHECK(check_write(file, 10'000, 100, true));
    CHECK(check_write(file, 10'000, 100'000, true));
    CHECK(check_size_change(file, {range(2, 1)}, nobody, 1'000'000));
}

TEST_CASE("policy: writing in place is allowed on a pinned file", "[immutable]") {
    CHECK(check_write(pinned_file(10'000), 0, 10'000, false));
}

TEST_CASE("policy: the last name of a pinned file stays", "[immutable]") {
    FileState file = pinned_file(4096);
    CHECK(fails(check_unlink(file), Errc::not_permitted));
    file.link_count = 2;
    CHECK(check_unlink(file));
    CHECK(check_unlink(file_of(4096)));
}

TEST_CASE("policy: names of +i and +a files stay", "[immutable]") {
    FileState file = file_of(4096);
    file.link_count = 2;
    file.immutable_flag = true;
    CHECK(fails(check_unlink(file), Errc::not_permitted));
    file.immutable_flag = false;
    file.append_flag = true;
    CHECK(fails(check_unlink(file), Errc::not_permitted));
}

TEST_CASE("policy: a write lease wants a descriptor open for writing", "[immutable]") {
    CHECK(fails(check_lease_request(file_of(4096), reader, {}, true), Errc::bad_handle));
    CHECK(check_lease_request(file_of(4096), reader, {}, false));
    CHECK(fails(check_lease_request(file_of(4096), reader, {}, false, true), Errc::bad_handle));
}

TEST_CASE("policy: a write lease on +i needs a pin, on +a there is none", "[immutable]") {
    FileState file = file_of(4096);
    file.immutable_flag = true;
    CHECK(fails(check_lease_request(file, owner, {}, true), Errc::not_permitted));
    CHECK(check_lease_request(file, owner, {}, false));
    file.any_pin = true;
    CHECK(check_lease_request(file, owner, {}, true)); // PMEM_IMMUTABLE
    file.append_flag = true;
    CHECK(fails(check_lease_request(file, owner, {}, true), Errc::not_permitted));
}

TEST_CASE("policy: +i on a pinned file leaves opening and mapping, nothing else", "[immutable]") {
    FileState file = pinned_file(4096);
    file.immutable_flag = true;
    CHECK(check_open(file, true, false, false));
    CHECK(fails(check_open(file, true, false, true), Errc::not_permitted));
    CHECK(fails(check_write(file, 0, 1, false), Errc::not_permitted));
    CHECK(fails(check_size_change(file, {}, nobody, 4096), Errc::not_permitted));
    CHECK(fails(check_map_change(file, {}, nobody, range(9, 1)), Errc::not_permitted));
    file.any_pin = file.pinned_whole = false;
    CHECK(fails(check_open(file, true, false, false), Errc::not_permitted));
    CHECK(check_open(file, false, false, false));
}

TEST_CASE("policy: a +a file is only appended to", "[immutable]") {
    FileState file = file_of(4096);
    file.append_flag = true;
    CHECK(fails(check_open(file, true, false, false), Errc::not_permitted));
    CHECK(check_open(file, true, true, false));
    CHECK(fails(check_open(file, true, true, true), Errc::not_permitted));
    CHECK(fails(check_write(file, 4096, 1, false), Errc::not_permitted));
    CHECK(check_write(file, 4096, 1, true));
    CHECK(fails(check_size_change(file, {}, nobody, 8192), Errc::not_permitted));
}

TEST_CASE("policy: EXTEND grows a pinned file and nothing else", "[immutable]") {
    CHECK(check_extend_request(pinned_file(4096), owner, 8192));
    CHECK(check_extend_request(pinned_file(4096), owner, 4096));
    CHECK(fails(check_extend_request(pinned_file(4096), owner, 4095), Errc::invalid));
    CHECK(fails(check_extend_request(file_of(4096), owner, 8192), Errc::invalid));
    CHECK(fails(check_extend_request(pinned_file(4096), owner, file_size_max + 1),
                Errc::file_too_big));
}

TEST_CASE("policy: no file grows beyond 2^63 - 1 bytes", "[immutable]") {
    CHECK(check_write(file_of(0), file_size_max - 1, 1, false));
    CHECK(fails(check_write(file_of(0), file_size_max, 1, false), Errc::file_too_big));
    CHECK(fails(check_size_change(file_of(0), {}, nobody, file_size_max + 1), Errc::file_too_big));
}
