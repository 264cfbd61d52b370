// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/tickets.h"

#include "support/catch.h"
#include "support/test_env.h"

using namespace daxpin;
using namespace daxpin::fusefs;
using namespace std::chrono_literals;

namespace {

const Tickets::Holder holder{1000, 77};
const Tickets::Clock::time_point start{};

Tickets::Lease lease(std::uint64_t inode, volume::Handle handle, immutable::LeaseId id) {
    return {InodeNumber{inode}, handle, id};
}

} // namespace

TEST_CASE("tickets: one proves the lease it was given for, once", "[fusefs]") {
    test::TestEnv env;
    Tickets tickets(env);
    const auto one = tickets.issue(lease(5, 50, 1), holder, start);
    const auto other = tickets.issue(lease(5, 51, 2), holder, start);
    CHECK(one != other);
    const auto proved = tickets.redeem(other, holder, start);
    REQUIRE(proved);
    CHECK(proved->inode == InodeNumber{5});
    CHECK(proved->handle == 51);
    CHECK(proved->id == 2);
    CHECK_FALSE(tickets.redeem(other, holder, start));
    CHECK(tickets.redeem(one, holder, start));
}

TEST_CASE("tickets: another user or process has nothing of one, and does not spoil it",
          "[fusefs]") {
    test::TestEnv env;
    Tickets tickets(env);
    const auto ticket = tickets.issue(lease(5, 50, 1), holder, start);
    CHECK_FALSE(tickets.redeem(ticket, {holder.uid + 1, holder.process}, start));
    CHECK_FALSE(tickets.redeem(ticket, {holder.uid, holder.process + 1}, start));
    CHECK(tickets.redeem(ticket, holder, start));
}

TEST_CASE("tickets: one bit of it changed, and it is none", "[fusefs]") {
    test::TestEnv env;
    Tickets tickets(env);
    auto ticket = tickets.issue(lease(5, 50, 1), holder, start);
    for (unsigned bit = 0; bit < 8 * ticket.size(); ++bit) {
        const auto mask = std::byte{1} << bit % 8;
        ticket[bit / 8] ^= mask;
        CHECK_FALSE(tickets.redeem(ticket, holder, start));
        ticket[bit / 8] ^= mask;
    }
    CHECK_FALSE(tickets.redeem(std::span(ticket).first(31), holder, start));
    CHECK(tickets.redeem(ticket, holder, start));
}

TEST_CASE("tickets: the next for a lease makes the one before void, and time does", "[fusefs]") {
    test::TestEnv env;
    Tickets tickets(env);
    const auto before = tickets.issue(lease(5, 50, 1), holder, start);
    const auto now = tickets.issue(lease(5, 50, 1), holder, start + 1s);
    CHECK_FALSE(tickets.redeem(before, holder, start + 1s));
    CHECK_FALSE(tickets.redeem(now, holder, start + 2s + Tickets::lifetime));
    const auto last = tickets.issue(lease(5, 50, 1), holder, start + 20s);
    CHECK(tickets.redeem(last, holder, start + 20s + Tickets::lifetime));
}
