// SPDX-License-Identifier: BSD-3-Clause
//
// survey(): finds out where a volume's metadata stands.
#pragma once

#include "faults/specimen.h"

namespace daxpin::faults {

struct Survey {
    std::vector<Span> in_use; // as Specimen::in_use
    Span newest{};            // as Specimen::newest
};

// REQUIRES: the media are undamaged.
Survey survey(const std::vector<std::shared_ptr<test::SimMedia>> &media);

} // namespace daxpin::faults
