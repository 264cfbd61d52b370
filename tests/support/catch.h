// SPDX-License-Identifier: BSD-3-Clause
//
// The only place that includes Catch2, so that a move from version 2 to 3 is one edit.
#pragma once

#include <catch2/catch.hpp>
