// SPDX-License-Identifier: BSD-3-Clause
#include "base/result.h"

#include "support/catch.h"

#include <cerrno>
#include <set>

namespace daxpin {
namespace {

constexpr int last_code = static_cast<int>(Errc::retry);

Result<int> half(int number) {
    if (number % 2 != 0)
        return Error{Errc::invalid, "odd"};
    return number / 2;
}

Result<int> quarter(int number) {
    DAXPIN_TRY_ASSIGN(const int once, half(number));
    DAXPIN_TRY_ASSIGN(const int twice, half(once));
    return twice;
}

Result<void> check_quarter(int number) {
    DAXPIN_TRY(quarter(number));
    return {};
}

// Tells how often it was copied.
struct Counted {
    explicit Counted(int &count) : copies(&count) {}
    Counted(const Counted &other) : copies(other.copies) { ++*copies; }
    Counted(Counted &&other) noexcept : copies(other.copies) {}
    Counted &operator=(const Counted &) = delete;
    int *copies;
};

Result<void> check_both(const Result<Counted> &kept) {
    DAXPIN_TRY(kept);
    DAXPIN_TRY_ASSIGN(const Counted &seen, kept);
    CHECK(seen.copies == kept->copies);
    return {};
}

} // namespace

TEST_CASE("result: every code has an errno and a description of its own", "[result]") {
    std::set<std::string> texts;
    std::set<int> numbers;
    for (int code = 0; code <= last_code; ++code) {
        CAPTURE(code);
        CHECK(texts.insert(to_string(static_cast<Errc>(code))).second);
        CHECK(to_errno(static_cast<Errc>(code)) > 0);
        numbers.insert(to_errno(static_cast<Errc>(code)));
    }
    CHECK(texts.count("unknown error") == 0);
    // Only io and corrupt share one.
    CHECK(numbers.size() == static_cast<std::size_t>(last_code));
}

TEST_CASE("result: an errno comes back as the code that it came from", "[result]") {
    for (int number = 0; number <= last_code; ++number) {
        const auto code = static_cast<Errc>(number);
        if (code == Errc::corrupt || code == Errc::retry)
            continue;
        CAPTURE(to_string(code));
        CHECK(from_errno(to_errno(code)) == code);
    }
    CHECK(from_errno(EUCLEAN) == Errc::corrupt);
    CHECK(from_errno(EAGAIN) == Errc::busy);
    CHECK(from_errno(9999) == Errc::io);
}

TEST_CASE("result: the codes clients rely on have the errno the contract names", "[result]") {
    CHECK(to_errno(Errc::pinned) == ETXTBSY);
    CHECK(to_errno(Errc::no_lease) == ENOLCK);
    CHECK(to_errno(Errc::stale) == ESTALE);
    CHECK(to_errno(Errc::quota) == EDQUOT);
    CHECK(to_errno(Errc::no_attribute) == ENODATA);
    CHECK(to_errno(Errc::corrupt) == EIO);
}

TEST_CASE("result: an error has its code's errno, or that of the system call it came from",
          "[result]") {
    CHECK(to_errno(Error{Errc::pinned}) == ETXTBSY);
    CHECK(to_errno(Error{from_errno(EMFILE), "text", EMFILE}) == EMFILE);
}

TEST_CASE("result: DAXPIN_TRY hands the error on, text included", "[result]") {
    CHECK(*quarter(8) == 2);
    CHECK(quarter(6).error().text == "odd");
    CHECK(check_quarter(3).code() == Errc::invalid);
    CHECK(check_quarter(4).has_value());
}

TEST_CASE("result: an error without text is described by its code", "[result]") {
    CHECK(describe(Error{Errc::no_space}) == "no space left on the volume");
    CHECK(describe(Error{Errc::no_space, "disk1: full"}) == "disk1: full");
}

TEST_CASE("result: to try one that is kept copies nothing and leaves it as it was", "[result]") {
    int copies = 0;
    const Result<Counted> good(Counted{copies});
    CHECK(check_both(good));
    CHECK(copies == 0);
    Result<Counted> bad = Error{Errc::invalid, "odd"};
    const auto failed = check_both(bad);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().text == "odd");
    CHECK(bad.error().text == "odd");
}

} // namespace daxpin
