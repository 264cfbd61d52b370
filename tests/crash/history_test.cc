// SPDX-License-Identifier: BSD-3-Clause
#include "crash/history.h"

#include "support/catch.h"

namespace daxpin::crash {

namespace {

Call call(Operation operation, std::size_t begun, std::size_t ended,
          Result<std::uint64_t> outcome = 0) {
    return {0, std::move(operation), std::move(outcome), begun, ended};
}

} // namespace

TEST_CASE("history: of two calls in flight every subset is legal in every order", "[history]") {
    const std::vector<Call> calls{call(create("a"), 1, 3), call(create("b"), 2, 4)};
    const Oracle empty;
    const Orders orders(empty, calls);
    CHECK(orders.at(0).size() == 1);
    CHECK(orders.at(1).size() == 2); // none, a
    CHECK(orders.at(2).size() == 5); // none, a, b, ab, ba
    CHECK(orders.at(3).size() == 3); // a, ab, ba
    CHECK(orders.at(4).size() == 2);
}

TEST_CASE("history: what ended before another one began comes first", "[history]") {
    const std::vector<Call> calls{call(create("a"), 1, 2), call(create("b"), 3, 4)};
    const Oracle empty;
    const Orders orders(empty, calls);
    CHECK(orders.at(2).size() == 1);
    REQUIRE(orders.at(4).size() == 1);
    CHECK(orders.at(4)[0].order == std::vector<std::size_t>{0, 1});
}

TEST_CASE("history: an order gives each call the answer it got", "[history]") {
    const Oracle empty;
    const std::vector<Call> one_wins{call(create("a"), 1, 3),
                                     call(create("a"), 2, 4, Error{Errc::exists})};
    REQUIRE(Orders(empty, one_wins).at(4).size() == 1);
    CHECK(Orders(empty, one_wins).at(4)[0].order == std::vector<std::size_t>{0, 1});
    const std::vector<Call> both_win{call(create("a"), 1, 3), call(create("a"), 2, 4)};
    CHECK(Orders(empty, both_win).at(4).empty());
    const std::vector<Call> both_lose{call(create("a"), 1, 3, Error{Errc::exists}),
                                      call(create("a"), 2, 4, Error{Errc::exists})};
    CHECK(Orders(empty, both_lose).at(4).empty());
}

TEST_CASE("history: an oracle and its copy share nothing", "[history]") {
    Oracle one;
    CHECK(one.apply(create("a"), 0).empty());
    CHECK(one.apply(link("a", "b"), 0).empty());
    Oracle other = one;
    CHECK(other.apply(unlink("a"), 0).empty());
    CHECK(one.data("a") != nullptr);
    CHECK(other.data("a") == nullptr);
    Operation bytes = write("b", 0, 8);
    CHECK(other.apply(bytes, 8).empty());
    CHECK(one.data("b")->empty());
    CHECK(other.data("b")->size() == 8);
}

} // namespace daxpin::crash
