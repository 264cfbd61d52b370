// SPDX-License-Identifier: BSD-3-Clause
#include "inode/acl.h"

#include "support/catch.h"

#include <initializer_list>

using namespace daxpin;
using namespace daxpin::inode;

namespace {

constexpr unsigned user_obj = 1, user = 2, group_obj = 4, group = 8, mask = 16, other = 32;
constexpr unsigned none = 0xffffffff;

struct Line {
    unsigned tag, permissions, id = none;
};

// The form of linux/posix_acl_xattr.h, written out here a second time.
Bytes bytes_of(std::initializer_list<Line> lines, unsigned version = 2) {
    Bytes bytes;
    const auto put = [&](unsigned value, unsigned length) {
        for (unsigned i = 0; i < length; ++i)
            bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
    };
    put(version, 4);
    for (const Line &line : lines) {
        put(line.tag, 2);
        put(line.permissions, 2);
        put(line.id, 4);
    }
    return bytes;
}

Errc error_of(std::initializer_list<Line> lines) {
    const auto parsed = Acl::parse(bytes_of(lines));
    REQUIRE(!parsed);
    return parsed.code();
}

Acl acl_of(std::initializer_list<Line> lines) {
    return Acl::parse(bytes_of(lines)).value();
}

const std::initializer_list<Line> extended = {{user_obj, 7},  {user, 6, 1000}, {user, 4, 1001},
                                              {group_obj, 5}, {group, 7, 50},  {mask, 6},
                                              {other, 1}};

} // namespace

TEST_CASE("acl: what was parsed is written back the same", "[inode]") {
    for (const auto &lines : {extended, {{user_obj, 6}, {group_obj, 4}, {other, 0}}}) {
        const Bytes bytes = bytes_of(lines);
        CHECK(Acl::parse(bytes).value().bytes() == bytes);
    }
}

TEST_CASE("acl: a list that is not valid is refused", "[inode]") {
    CHECK(Acl::parse({}).code() == Errc::invalid);
    CHECK(Acl::parse(bytes_of(extended, 1)).code() == Errc::unsupported);
    Bytes cut = bytes_of(extended);
    cut.pop_back();
    CHECK(Acl::parse(cut).code() == Errc::invalid);
    CHECK(error_of({}) == Errc::invalid);
    CHECK(error_of({{user_obj, 7}, {group_obj, 7}}) == Errc::invalid);           // others
    CHECK(error_of({{group_obj, 7}, {other, 7}}) == Errc::invalid);              // owner
    CHECK(error_of({{user_obj, 7}, {other, 7}}) == Errc::invalid);               // group
    CHECK(error_of({{user_obj, 7}, {user, 7, 1}, {group_obj, 7}, {other, 7}}) == // mask
          Errc::invalid);
    CHECK(error_of({{user_obj, 8}, {group_obj, 7}, {other, 7}}) == Errc::invalid);
    CHECK(error_of({{user_obj, 7}, {user_obj, 7}, {group_obj, 7}, {other, 7}}) == Errc::invalid);
    CHECK(error_of({{group_obj, 7}, {user_obj, 7}, {other, 7}}) == Errc::invalid);
    CHECK(error_of({{user_obj, 7}, {group_obj, 7}, {other, 7}, {64, 7}}) == Errc::invalid);
    CHECK(error_of({{user_obj, 7}, {user, 7, none}, {group_obj, 7}, {mask, 7}, {other, 7}}) ==
          Errc::invalid);
}

TEST_CASE("acl: the mode shows owner, mask or else group, others", "[inode]") {
    CHECK(acl_of(extended).mode() == 0761);
    CHECK(acl_of({{user_obj, 6}, {group_obj, 4}, {other, 0}}).mode() == 0640);
}

TEST_CASE("acl: three entries say no more than the mode", "[inode]") {
    CHECK(acl_of({{user_obj, 6}, {group_obj, 4}, {other, 0}}).is_mode_only());
    CHECK(!acl_of({{user_obj, 6}, {group_obj, 4}, {mask, 7}, {other, 0}}).is_mode_only());
    CHECK(!acl_of(extended).is_mode_only());
}

TEST_CASE("acl: chmod changes the mask and not the group where there is one", "[inode]") {
    Acl acl = acl_of(extended);
    acl.set_mode(0123);
    CHECK(acl == acl_of({{user_obj, 1},
                         {user, 6, 1000},
                         {user, 4, 1001},
                         {group_obj, 5},
                         {group, 7, 50},
                         {mask, 2},
                         {other, 3}}));
    Acl plain = acl_of({{user_obj, 6}, {group_obj, 4}, {other, 0}});
    plain.set_mode(0751);
    CHECK(plain == acl_of({{user_obj, 7}, {group_obj, 5}, {other, 1}}));
}

TEST_CASE("acl: a new file has what both the list and its creator grant", "[inode]") {
    Acl acl = acl_of(extended);
    CHECK(acl.restrict_by(06644) == (06000 | 0640));
    CHECK(acl == acl_of({{user_obj, 6},
                         {user, 6, 1000},
                         {user, 4, 1001},
                         {group_obj, 5},
                         {group, 7, 50},
                         {mask, 4},
                         {other, 0}}));
}
