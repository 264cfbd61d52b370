// SPDX-License-Identifier: BSD-3-Clause
//
// The checker wanted an inner node's first key to be the one in its parent; after the first child
// had been emptied and freed it is not, and smaller keys belong to the child that came first then.
#include "file_helpers.h"

using namespace daxpin;
using namespace daxpin::test;

TEST_CASE("tree: nodes that lost their first child are sound", "[regress]") {
    VolumeFixture fixture(
        {.device_bytes = std::uint64_t{32} << 20, .journal_bytes = std::uint64_t{1} << 20});
    const std::string padding(180, 'x');
    const auto name = [&](int i) { return std::to_string(i) + padding; };
    constexpr int count = 5000; // three levels
    const auto create = [&](int i) {
        fixture->forget(make_file(fixture.volume(), root_dir, name(i)), 1);
    };
    for (int i = 0; i < count; ++i)
        create(i);
    // Stripes of neighbours: each empties a few leaves, somewhere the first of an inner node.
    for (const int phase : {1, 0}) {
        for (int i = 0; i < count; ++i)
            if (i / 60 % 3 == phase)
                unlink(fixture.volume(), root_dir, name(i));
        check_and_remount(fixture);
        for (int i = count + phase * 100; i < count + phase * 100 + 100; ++i)
            create(i);
        check_and_remount(fixture);
    }
}
