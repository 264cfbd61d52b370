// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin_map_check: whether what is mapped is still the file's.
#include "unit/client/map_fixture.h"

#include <cerrno>
#include <daxpin/daxpin.hpp>
#include <system_error>

using namespace daxpin::test;
using daxpin::UniqueFd;

TEST_CASE("check: a mapping for reading is the file's until blocks have changed", "[client]") {
    Fixture f;
    const auto mapped = map(f.reader.get());
    CHECK(daxpin_map_check(mapped.get(), f.reader.get()) == 0);
    CHECK(daxpin_map_check(mapped.get(), f.fd.get()) == 0);
    ++f.fs.generation;
    CHECK(daxpin_err_to_errno(daxpin_map_check(mapped.get(), f.reader.get())) == ESTALE);
    CHECK(said("map it again"));
    const auto again = map(f.reader.get());
    CHECK(daxpin_map_check(again.get(), f.reader.get()) == 0);
    CHECK(daxpin_err_to_errno(daxpin_map_check(mapped.get(), f.reader.get())) == ESTALE);
}

TEST_CASE("check: a mapping for writing is, unless its lease was asked back or lost", "[client]") {
    Fixture f;
    const auto mapped = map(f.fd.get());
    ++f.fs.generation; // of a part that others lease
    CHECK(daxpin_map_check(mapped.get(), f.fd.get()) == 0);
    f.fs.asked_back = true;
    CHECK(daxpin_err_to_errno(daxpin_map_check(mapped.get(), f.fd.get())) == ESTALE);
    const auto again = map(f.fd.get());
    CHECK(daxpin_map_check(again.get(), f.fd.get()) == 0); // nothing has changed yet
    ++f.fs.generation;
    CHECK(daxpin_err_to_errno(daxpin_map_check(again.get(), f.fd.get())) == ESTALE);
    f.fs.asked_back = false;
    ++f.fs.mount_id;
    CHECK(daxpin_err_to_errno(daxpin_map_check(again.get(), f.fd.get())) == ESTALE);
}

TEST_CASE("check: each part of a mapping that has grown; never of another file", "[client]") {
    Fixture f;
    const auto mapped = map(f.reader.get(), 0, 2 * mib, 4 * mib);
    ++f.fs.generation;
    REQUIRE(daxpin_map_extend(mapped.get(), f.reader.get(), 0, 0) == 0);
    CHECK(daxpin_err_to_errno(daxpin_map_check(mapped.get(), f.reader.get())) == ESTALE);
    const UniqueFd other(open(f.fs.folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK(daxpin_err_to_errno(daxpin_map_check(mapped.get(), other.get())) == EINVAL);
    CHECK(daxpin_err_to_errno(daxpin_map_check(mapped.get(), -1)) == EBADF);
}

TEST_CASE("check: in C++ it is a question, and only what cannot be asked is thrown", "[client]") {
    Fixture f;
    const daxpin::Map mapped(f.reader.get());
    CHECK(mapped.is_current(f.reader.get()));
    CHECK(mapped.granularity() == DAXPIN_GRANULARITY_CACHE_LINE);
    ++f.fs.generation;
    CHECK_FALSE(mapped.is_current(f.reader.get()));
    bool refused = false;
    try {
        static_cast<void>(mapped.is_current(-1));
    } catch (const std::system_error &error) {
        refused = error.code().value() == EBADF;
    }
    CHECK(refused);
}
