// SPDX-License-Identifier: BSD-3-Clause
//
// What tests of the check ask of its report.
#pragma once

#include "support/catch.h"
#include "unit/fsck/image.h"

namespace daxpin::test {

using fsck::Severity;
using fsck::Subject;

inline void expect_clean(Image &image) {
    const auto report = image.check();
    INFO(text_of(report));
    CHECK(report.clean());
    CHECK(report.notes == 0);
}

inline void expect_error(Image &image, Subject subject, std::string_view part) {
    const auto report = image.check();
    INFO("wanted: " << part << "\n" << text_of(report));
    CHECK(has(report, subject, part));
    CHECK_FALSE(report.clean());
}

// As expect_error(), and nothing else is wrong.
inline void expect_only(Image &image, Subject subject, std::string_view part) {
    const auto report = image.check();
    INFO("wanted: " << part << "\n" << text_of(report));
    CHECK(has(report, subject, part));
    CHECK(report.errors == 1);
}

} // namespace daxpin::test
