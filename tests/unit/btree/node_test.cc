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

namespace {

constexpr MediaBlock some_unit = MediaBlock::at(0, 7);

// Keys in order, the distances of which differ by many powers of two.
std::vector<Key> uneven_keys(std::size_t count, std::mt19937_64 &random) {
    std::vector<Key> keys(count);
    for (Key &key : keys)
        key = {random() >> (random() % 64), random() >> (random() % 64)};
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
}

std::vector<Key> even_keys(std::size_t count, std::mt19937_64 &random) {
    std::vector<Key> keys(count);
    for (Key &key : keys)
        key = {5, random()};
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
}

// What is searched for: each key, its neighbours, and any others.
std::vector<Key> wanted(const std::vector<Key> &keys, std::mt19937_64 &random) {
    std::vector<Key> all{{0, 0}, {~std::uint64_t{0}, ~std::uint64_t{0}}};
    for (const Key key : keys) {
        all.insert(all.end(), {key, {key.inode, key.place - 1}, {key.inode, key.place + 1}});
        all.push_back({random() >> (random() % 64), random()});
    }
    return all;
}

// Also such as the keys do not lie in: what is beside them only makes the search longer.
std::vector<btree::KeyRange> ranges(const std::vector<Key> &keys, std::mt19937_64 &random) {
    const Key end{~std::uint64_t{0}, ~std::uint64_t{0}};
    std::vector<btree::KeyRange> all{{}, {Key{}, std::nullopt}, {std::nullopt, end}, {Key{}, end}};
    if (!keys.empty())
        all.push_back({keys.front(), end});
    for (int i = 0; i < 4; ++i) {
        const Key one{random() >> (random() % 64), random()};
        const Key other{random() >> (random() % 64), random()};
        all.push_back({std::min(one, other), std::max(one, other)});
    }
    return all;
}

} // namespace

TEST_CASE("leaf: a search that begins at an estimate finds the same", "[btree]") {
    std::mt19937_64 random(3);
    const bool even = GENERATE(true, false);
    for (const std::size_t count : {0U, 1U, 2U, 7U, 40U, 180U}) {
        const auto keys = even ? even_keys(count, random) : uneven_keys(count, random);
        UnitBytes node{};
        LeafEditor::format(node.data(), some_unit);
        LeafEditor leaf(node.data());
        for (unsigned index = 0; index < keys.size(); ++index)
            leaf.insert(index, keys[index], {});
        for (const auto &range : ranges(keys, random))
            for (const Key key : wanted(keys, random)) {
                const auto expected = std::ranges::lower_bound(keys, key) - keys.begin();
                const auto found = btree::ColdLeafView(node.data(), range).try_lower_bound(key);
                REQUIRE(found == static_cast<unsigned>(expected));
            }
    }
}

TEST_CASE("leaf: a search that begins at an estimate is told of a damaged slot", "[btree]") {
    std::mt19937_64 random(4);
    const auto keys = even_keys(40, random);
    UnitBytes node{};
    LeafEditor::format(node.data(), some_unit);
    LeafEditor leaf(node.data());
    for (unsigned index = 0; index < keys.size(); ++index)
        leaf.insert(index, keys[index], {});
    std::fill_n(node.data() + sizeof(format::NodeHeader), keys.size() * sizeof(format::LeafSlot),
                std::byte{0xff});
    const btree::KeyRange range{Key{5, 0}, Key{6, 0}};
    CHECK_FALSE(btree::ColdLeafView(node.data(), range).try_lower_bound(keys[20]).has_value());
}

TEST_CASE("inner node: a search that begins at an estimate finds the same", "[btree]") {
    std::mt19937_64 random(5);
    const bool even = GENERATE(true, false);
    for (const std::size_t count : {1U, 2U, 7U, 40U, 160U}) {
        const auto keys = even ? even_keys(count, random) : uneven_keys(count, random);
        UnitBytes node{};
        btree::InnerEditor::format(node.data(), some_unit, 1);
        btree::InnerEditor inner(node.data());
        for (unsigned index = 0; index < keys.size(); ++index)
            inner.insert(index, {keys[index], MediaBlock::at(0, 100 + index)});
        for (const auto &range : ranges(keys, random))
            for (const Key key : wanted(keys, random))
                REQUIRE(inner.index_for(key, range) == inner.index_for(key));
    }
}
