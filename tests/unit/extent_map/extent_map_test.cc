// SPDX-License-Identifier: BSD-3-Clause
#include "extent_map/extent_map.h"

#include "support/catch.h"
#include "support/engine_fixture.h"

#include <map>

namespace daxpin::extent_map {

// For Catch2: what an extent looks like in a failure.
std::ostream &operator<<(std::ostream &out, const Extent &extent) {
    return out << extent.first.value << "+" << extent.count.value << "@" << extent.start.device()
               << ":" << extent.start.block() << (extent.unwritten ? "u" : "");
}

} // namespace daxpin::extent_map

using namespace daxpin;
using namespace daxpin::extent_map;
using btree::Key;
using format::ItemType;
using test::EngineFixture;

namespace {

constexpr InodeNumber file{20};
constexpr FileBlock beyond{std::uint64_t{1} << 51};
constexpr BlockCount everything{UINT64_MAX};

Extent extent(std::uint64_t first, MediaBlock start, std::uint64_t count, bool unwritten = false) {
    return {{first}, start, {count}, unwritten};
}

class Map {
  public:
    explicit Map(EngineFixture &engine, InodeNumber inode = file)
        : engine_(engine), map_(engine.tree(), inode) {}

    ExtentMap &operator*() { return map_; }
    std::vector<Extent> all() { return map_.range(nullptr, {0}, everything).value(); }
    Result<void> insert(const Extent &extent) {
        return engine_.transact([&](auto &tx) { return map_.insert(tx, extent); });
    }
    Result<ExtentMap::Removed> remove(std::uint64_t first, std::uint64_t count,
                                      std::size_t items_max = SIZE_MAX) {
        return engine_.transact(
            [&](auto &tx) { return map_.remove(tx, {first}, {count}, items_max); });
    }
    Result<void> mark(std::uint64_t first, std::uint64_t count, bool written) {
        return engine_.transact([&](auto &tx) {
            return written ? map_.mark_written(tx, {first}, {count})
                           : map_.mark_unwritten(tx, {first}, {count});
        });
    }

  private:
    EngineFixture &engine_;
    ExtentMap map_;
};

Result<void> put_item(EngineFixture &engine, std::uint64_t offset, MediaBlock start,
                      std::uint32_t count, std::uint32_t flags) {
    format::ExtentItem item{};
    item.media_block = start.value;
    item.block_count = count;
    item.flags = flags;
    return engine.transact([&](auto &tx) {
        return engine.tree().replace(tx, Key::of(file, ItemType::extent, offset),
                                     btree::bytes_of(item));
    });
}

// ---- The model: one entry a block ---------------------------------------------------------------

struct ModelBlock {
    MediaBlock media;
    bool unwritten;
};
using Model = std::map<std::uint64_t, ModelBlock>;

// The fewest extents that say what the model says about [first, end).
std::vector<Extent> extents_of(const Model &model, std::uint64_t first, std::uint64_t end) {
    std::vector<Extent> extents;
    for (auto i = model.lower_bound(first); i != model.end() && i->first < end; ++i) {
        const auto &[block, at] = *i;
        const bool continued = !extents.empty() && extents.back().end().value == block &&
                               extents.back().start + extents.back().count == at.media &&
                               extents.back().unwritten == at.unwritten;
        if (continued)
            extents.back().count += BlockCount{1};
        else
            extents.push_back(extent(block, at.media, 1, at.unwritten));
    }
    return extents;
}

class ModelTest {
  public:
    explicit ModelTest(std::uint64_t seed)
        : engine_({.data_devices = 2}), map_(engine_), state_(seed) {}

    void step() {
        switch (random(8)) {
        case 0:
        case 1:
        case 2:
        case 3:
            return insert();
        case 4:
            return remove(SIZE_MAX);
        case 5:
            return remove(1 + random(3));
        case 6:
            return mark(true);
        default:
            return mark(false);
        }
    }

    void check() {
        REQUIRE(map_.all() == extents_of(model_, 0, UINT64_MAX));
        const auto [first, count] = range();
        REQUIRE((*map_).range(nullptr, {first}, {count}).value() ==
                extents_of(model_, first, first + count));
        const auto after = (*map_).at_or_after(nullptr, {first}).value();
        const auto next = model_.lower_bound(first);
        REQUIRE(after.has_value() == (next != model_.end()));
        if (after) {
            REQUIRE(after->first.value <= next->first);
            REQUIRE(after->end().value > next->first);
        }
        const auto last = (*map_).last(nullptr).value();
        REQUIRE(last.has_value() == !model_.empty());
        if (last)
            REQUIRE(last->end().value == model_.rbegin()->first + 1);
    }

  private:
    static constexpr std::uint64_t file_blocks = 300;

    std::uint64_t random(std::uint64_t below) { return test::split_mix(state_) % below; }
    std::pair<std::uint64_t, std::uint64_t> range() {
        return {random(file_blocks), 1 + random(30)};
    }

    // Media as an allocator would give them: mostly what continues the block before.
    MediaBlock media_for(std::uint64_t block, std::uint64_t count) {
        const auto before = block > 0 ? model_.find(block - 1) : model_.end();
        if (before != model_.end() && random(3) != 0) {
            const MediaBlock next = before->second.media + BlockCount{1};
            if (next.block() + count < 2000)
                return next;
        }
        return MediaBlock::at(1 + static_cast<unsigned>(random(2)), 1 + random(1900));
    }

    void insert() {
        auto [first, count] = range();
        const auto next = model_.lower_bound(first);
        if (next != model_.end())
            count = std::min(count, next->first - first);
        if (count == 0)
            return;
        const MediaBlock start = media_for(first, count);
        const bool unwritten = random(2) != 0;
        REQUIRE(map_.insert(extent(first, start, count, unwritten)));
        for (std::uint64_t i = 0; i < count; ++i)
            model_[first + i] = {start + BlockCount{i}, unwritten};
    }

    void remove(std::size_t items_max) {
        const auto [first, count] = range();
        const auto removed = map_.remove(first, count, items_max);
        REQUIRE(removed);
        const auto gone = extents_of(model_, first, first + count);
        const std::size_t items = std::min(gone.size(), items_max);
        const std::uint64_t next =
            items < gone.size() ? gone[items - 1].end().value : first + count;
        // A step that ends with the last extent may stop at its end or at the range's.
        const bool at_end = items == gone.size() && items > 0 && removed->next == gone.back().end();
        REQUIRE((removed->next.value == next || at_end));
        std::uint64_t blocks = 0;
        for (std::size_t i = 0; i < items; ++i)
            blocks += gone[i].count.value;
        std::uint64_t freed = 0;
        for (const auto &one : removed->extents)
            freed += one.count.value;
        REQUIRE(freed == blocks);
        model_.erase(model_.lower_bound(first), model_.lower_bound(next));
    }

    void mark(bool written) {
        auto [first, count] = range();
        if (written) { // over allocated blocks only
            std::uint64_t covered = 0;
            while (covered < count && model_.contains(first + covered))
                ++covered;
            count = covered;
        }
        if (count == 0)
            return;
        REQUIRE(map_.mark(first, count, written));
        const auto end = model_.lower_bound(first + count);
        for (auto i = model_.lower_bound(first); i != end; ++i)
            i->second.unwritten = !written;
    }

    EngineFixture engine_;
    Map map_;
    Model model_;
    std::uint64_t state_;
};

} // namespace

TEST_CASE("extent map: random changes leave what a map of blocks says", "[extent_map]") {
    const std::uint64_t seed = GENERATE(1U, 2U, 3U);
    CAPTURE(seed);
    ModelTest test(seed);
    for (int step = 0; step < 3000; ++step) {
        CAPTURE(step);
        test.step();
        test.check();
    }
}

TEST_CASE("extent map: extents merge only where file, media and flag go on", "[extent_map]") {
    EngineFixture engine({.data_devices = 2});
    Map map(engine);
    REQUIRE(map.insert(extent(10, MediaBlock::at(1, 100), 5)));
    SECTION("behind and in front") {
        REQUIRE(map.insert(extent(20, MediaBlock::at(1, 110), 5)));
        REQUIRE(map.insert(extent(15, MediaBlock::at(1, 105), 5)));
        REQUIRE(map.all() == std::vector{extent(10, MediaBlock::at(1, 100), 15)});
    }
    SECTION("in front only") {
        REQUIRE(map.insert(extent(8, MediaBlock::at(1, 98), 2)));
        REQUIRE(map.all() == std::vector{extent(8, MediaBlock::at(1, 98), 7)});
    }
    SECTION("not another device") {
        REQUIRE(map.insert(extent(15, MediaBlock::at(2, 105), 5)));
        REQUIRE(map.all().size() == 2);
    }
    SECTION("not elsewhere on media") {
        REQUIRE(map.insert(extent(15, MediaBlock::at(1, 106), 5)));
        REQUIRE(map.all().size() == 2);
    }
    SECTION("not with another flag, until it changes") {
        REQUIRE(map.insert(extent(15, MediaBlock::at(1, 105), 5, true)));
        REQUIRE(map.all().size() == 2);
        REQUIRE(map.mark(15, 5, true));
        REQUIRE(map.all() == std::vector{extent(10, MediaBlock::at(1, 100), 10)});
    }
    SECTION("not elsewhere in the file") {
        REQUIRE(map.insert(extent(16, MediaBlock::at(1, 105), 5)));
        REQUIRE(map.all().size() == 2);
    }
}

TEST_CASE("extent map: a change in the middle splits an extent in three", "[extent_map]") {
    EngineFixture engine;
    Map map(engine);
    const auto at = [](std::uint64_t block) { return MediaBlock::at(0, 2000 + block); };
    REQUIRE(map.insert(extent(0, at(0), 100, true)));
    SECTION("mark_written") {
        REQUIRE(map.mark(40, 20, true));
        REQUIRE(map.all() == std::vector{extent(0, at(0), 40, true), extent(40, at(40), 20),
                                         extent(60, at(60), 40, true)});
        REQUIRE(map.mark(0, 100, true));
        REQUIRE(map.all() == std::vector{extent(0, at(0), 100)});
    }
    SECTION("remove") {
        const auto removed = map.remove(40, 20);
        REQUIRE(removed);
        REQUIRE(removed->extents == std::vector{extent(40, at(40), 20, true)});
        REQUIRE(removed->next == FileBlock{60});
        REQUIRE(map.all() == std::vector{extent(0, at(0), 40, true), extent(60, at(60), 40, true)});
    }
}

TEST_CASE("extent map: removal in steps frees every block once", "[extent_map]") {
    EngineFixture engine;
    Map map(engine);
    for (std::uint64_t i = 0; i < 100; ++i) // no two merge
        REQUIRE(map.insert(extent(i * 3, MediaBlock::at(0, 1000 + i * 4), 2)));
    FileBlock from{1};
    std::uint64_t freed = 0;
    unsigned steps = 0;
    while (from < beyond) {
        const auto removed = map.remove(from.value, everything.value, 7);
        REQUIRE(removed);
        REQUIRE(removed->extents.size() <= 7);
        REQUIRE(removed->next > from);
        for (const auto &one : removed->extents)
            freed += one.count.value;
        from = removed->next;
        ++steps;
    }
    REQUIRE(freed == 199);
    REQUIRE(steps == 15);
    REQUIRE(map.all() == std::vector{extent(0, MediaBlock::at(0, 1000), 1)});
}

TEST_CASE("extent map: range clips and stops at its limit", "[extent_map]") {
    EngineFixture engine;
    Map map(engine);
    REQUIRE(map.insert(extent(0, MediaBlock::at(0, 1000), 10)));
    REQUIRE(map.insert(extent(20, MediaBlock::at(0, 1100), 10)));
    REQUIRE(map.insert(extent(40, MediaBlock::at(0, 1200), 10)));
    REQUIRE((*map).range(nullptr, {5}, {40}).value() ==
            std::vector{extent(5, MediaBlock::at(0, 1005), 5),
                        extent(20, MediaBlock::at(0, 1100), 10),
                        extent(40, MediaBlock::at(0, 1200), 5)});
    REQUIRE((*map).range(nullptr, {5}, {40}, 1).value().size() == 1);
    REQUIRE((*map).range(nullptr, {5}, {40}, 2).value().size() == 2);
    REQUIRE((*map).range(nullptr, {10}, {10}).value().empty());
    REQUIRE((*map).range(nullptr, beyond, {1}).value().empty());
    REQUIRE(!(*map).at_or_after(nullptr, {50}).value());
}

TEST_CASE("extent map: files do not see each other's extents", "[extent_map]") {
    EngineFixture engine;
    Map before(engine, InodeNumber{file.value - 1});
    Map map(engine);
    Map after(engine, InodeNumber{file.value + 1});
    REQUIRE(before.insert(extent(7, MediaBlock::at(0, 1000), 4)));
    REQUIRE(after.insert(extent(7, MediaBlock::at(0, 1004), 4)));
    REQUIRE(map.all().empty());
    REQUIRE(!(*map).last(nullptr).value());
    REQUIRE(!(*map).at_or_after(nullptr, {0}).value());
    REQUIRE(map.remove(0, everything.value));
    REQUIRE(before.all().size() == 1);
    REQUIRE(after.all().size() == 1);
}

TEST_CASE("extent map: what was committed is there after a reopen", "[extent_map]") {
    EngineFixture engine;
    const auto expected = extent(3, MediaBlock::at(0, 1500), 9, true);
    REQUIRE(Map(engine).insert(expected));
    engine.reopen();
    REQUIRE(Map(engine).all() == std::vector{expected});
}

TEST_CASE("extent map: an item with impossible fields is corrupt", "[extent_map]") {
    EngineFixture engine({.data_devices = 1});
    Map map(engine);
    REQUIRE(put_item(engine, 0, MediaBlock::at(1, 2000), 48, 0)); // the device's last blocks
    REQUIRE((*map).last(nullptr));
    SECTION("beyond the device") {
        REQUIRE(put_item(engine, 0, MediaBlock::at(1, 2000), 49, 0));
    }
    SECTION("a device that is not there") {
        REQUIRE(put_item(engine, 0, MediaBlock::at(2, 1), 1, 0));
    }
    SECTION("the device that holds the metadata") {
        REQUIRE(put_item(engine, 0, MediaBlock::at(0, 1000), 1, 0));
    }
    SECTION("no blocks") {
        REQUIRE(put_item(engine, 0, MediaBlock::at(1, 1), 0, 0));
    }
    SECTION("an unknown flag") {
        REQUIRE(put_item(engine, 0, MediaBlock::at(1, 1), 1, 2));
    }
    SECTION("beyond the greatest file") {
        REQUIRE(engine.transact(
            [&](auto &tx) { return engine.tree().erase(tx, Key::of(file, ItemType::extent, 0)); }));
        REQUIRE(put_item(engine, beyond.value - 1, MediaBlock::at(1, 1), 2, 0));
    }
    SECTION("a value of another length") {
        const le64 value = 1;
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().replace(tx, Key::of(file, ItemType::extent, 0),
                                         btree::bytes_of(value));
        }));
    }
    REQUIRE((*map).last(nullptr).code() == Errc::corrupt);
    REQUIRE((*map).at_or_after(nullptr, {0}).code() == Errc::corrupt);
    REQUIRE((*map).range(nullptr, {0}, everything).code() == Errc::corrupt);
    REQUIRE(map.remove(0, everything.value).code() == Errc::corrupt);
}

TEST_CASE("extent map: overlapping extents are corrupt", "[extent_map]") {
    EngineFixture engine;
    Map map(engine);
    REQUIRE(put_item(engine, 0, MediaBlock::at(0, 1000), 10, 0));
    REQUIRE(put_item(engine, 9, MediaBlock::at(0, 1100), 10, 0));
    REQUIRE((*map).range(nullptr, {0}, everything).code() == Errc::corrupt);
    REQUIRE(map.remove(0, everything.value).code() == Errc::corrupt);
    REQUIRE(map.mark(0, 10, false).code() == Errc::corrupt);
    REQUIRE(map.insert(extent(5, MediaBlock::at(0, 1300), 1)).code() == Errc::corrupt);
}

TEST_CASE("extent map: a hole is not marked as written", "[extent_map]") {
    EngineFixture engine;
    Map map(engine);
    REQUIRE(map.insert(extent(0, MediaBlock::at(0, 1000), 5, true)));
    REQUIRE(map.insert(extent(6, MediaBlock::at(0, 1006), 5, true)));
    REQUIRE(map.mark(0, 11, true).code() == Errc::corrupt);
    REQUIRE(map.all().front().unwritten);
    REQUIRE(map.mark(0, 11, false));
}
