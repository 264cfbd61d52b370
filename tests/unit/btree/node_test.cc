// SPDX-License-Identifier: BSD-3-Clause
#include "btree/node.h"

#include "journal/units.h"
#include "support/catch.h"

#include <algorithm>
#include <random>

using namespace daxpin;
using btree::Key;
using btree::LeafEditor;
using journal::UnitBytes;

namespace {

std::uint64_t differing_lines(const UnitBytes &was, const UnitBytes &is) {
    std::uint64_t lines = 0;
    for (std::size_t at = 0; at < was.size(); ++at)
        if (was[at] != is[at])
            lines |= journal::lines_of(at, 1);
    return lines;
}

// One random change; the leaf's items have the keys {1, place}, in any order of their bytes.
void change(LeafEditor &leaf, std::mt19937_64 &random) {
    const auto key = Key{1, random() % 1000};
    const std::vector<std::byte> value(random() % 100, static_cast<std::byte>(random()));
    const auto index = leaf.lower_bound(key).value();
    if (index < leaf.count() && random() % 2 == 0) {
        const auto length = leaf.item(index).value().value.size();
        REQUIRE(leaf.overwrite(index, std::vector<std::byte>(length, std::byte(random()))));
    } else if (index < leaf.count() && (random() % 2 == 0 || !leaf.fits(value.size()))) {
        leaf.erase(index);
    } else if (leaf.fits(value.size())) {
        leaf.insert(index, key, value);
    }
}

} // namespace

TEST_CASE("leaf: whatever is changed lies in lines that are touched", "[btree]") {
    std::mt19937_64 random(1);
    UnitBytes node{};
    LeafEditor::format(node.data(), MediaBlock::at(0, 7));
    std::uint64_t all_touched = 0;
    for (int round = 0; round < 20'000; ++round) {
        const UnitBytes before = node;
        LeafEditor leaf(node.data());
        change(leaf, random);
        const auto differing = differing_lines(before, node);
        REQUIRE((differing & ~leaf.touched()) == 0);
        all_touched |= differing;
    }
    CHECK(all_touched == ~std::uint64_t{0});
}

TEST_CASE("leaf: what is only read touches nothing", "[btree]") {
    UnitBytes node{};
    LeafEditor::format(node.data(), MediaBlock::at(0, 7));
    LeafEditor leaf(node.data());
    leaf.insert(0, {1, 1}, {});
    LeafEditor again(node.data());
    REQUIRE(again.item(0));
    CHECK(again.touched() == 0);
}
