// SPDX-License-Identifier: BSD-3-Clause
//
// The only place that includes Catch2, so that a move from version 2 to 3 is one edit.
#pragma once

#include <catch2/catch.hpp>

#include <string>

namespace daxpin::test {

// This machine cannot show the rule of the test case that is running; the case returns at once.
// scripts/test counts and names it, as it would not if the case just ended.
void skip(const std::string &why);

} // namespace daxpin::test
