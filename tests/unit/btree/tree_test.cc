// SPDX-License-Identifier: BSD-3-Clause
#include "base/sync.h"
#include "btree/node.h"
#include "btree/tree.h"
#include "support/catch.h"
#include "support/engine_fixture.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

using namespace daxpin;
using btree::Item;
using btree::Key;

namespace {

using Value = std::vector<std::byte>;
using Model = std::map<Key, Value>;

Value value_of(std::size_t length, std::uint64_t seed) {
    Value value(length);
    for (std::size_t i = 0; i < length; ++i)
        value[i] = std::byte(seed * 31 + i * 7);
    return value;
}

// A key space with runs of neighbours and wide gaps.
Key random_key(std::uint64_t &random, std::uint64_t inodes) {
    const auto draw = test::split_mix(random);
    return Key::of({16 + draw % inodes * 97}, format::ItemType::extent, draw >> 32 & 0x3f);
}

Model read_all(test::EngineFixture &engine) {
    Model found;
    const auto scanned =
        engine.tree().scan(nullptr, Key{}, Key{~0ULL, ~0ULL}, [&](Key key, auto value) {
            CHECK(found.emplace(key, Value(value.begin(), value.end())).second);
            return true;
        });
    CHECK(scanned.has_value());
    return found;
}

// A scan from `key` on finds what the model has there, each once.
void check_scan(test::EngineFixture &engine, const Model &model, Key key) {
    auto expected = model.lower_bound(key);
    unsigned visits = 0;
    const auto scanned = engine.tree().scan(nullptr, key, Key{~0ULL, ~0ULL}, [&](Key at, auto) {
        const bool right = expected != model.end() && at == expected->first;
        CHECK(right);
        return right && ++expected != model.end() && ++visits < 50;
    });
    CHECK(scanned.has_value());
    CHECK((visits == 50 || expected == model.end()));
}

void check_neighbours(test::EngineFixture &engine, const Model &model, Key key) {
    Item item;
    const auto above = model.lower_bound(key);
    CHECK(engine.tree().next(nullptr, key, item).value() == (above != model.end()));
    if (above != model.end())
        CHECK(item.key == above->first);
    auto below = model.upper_bound(key);
    CHECK(engine.tree().previous(nullptr, key, item).value() == (below != model.begin()));
    if (below != model.begin())
        CHECK(item.key == std::prev(below)->first);
}

void random_changes(test::EngineFixture &engine, Model &model, std::uint64_t &random, int count,
                    std::uint64_t inodes, unsigned erase_percent, std::size_t length_max) {
    for (int i = 0; i < count; ++i) {
        if (i % 4 == 0) // what the thread remembers of the tree is older than the next changes
            check_scan(engine, model, random_key(random, inodes));
        const auto key = random_key(random, inodes);
        if (test::split_mix(random) % 100 < erase_percent) {
            const auto erased =
                engine.transact([&](auto &tx) { return engine.tree().erase(tx, key); });
            CHECK(erased.has_value() == (model.erase(key) == 1));
            if (!erased)
                CHECK(erased.code() == Errc::not_found);
            continue;
        }
        const auto value = value_of(test::split_mix(random) % (length_max + 1), random);
        const bool exists = model.contains(key);
        const bool replace = test::split_mix(random) % 2 == 0;
        const auto put = engine.transact([&](auto &tx) {
            return replace ? engine.tree().replace(tx, key, value)
                           : engine.tree().insert(tx, key, value);
        });
        CHECK(put.has_value() == (replace || !exists));
        if (put)
            model[key] = value;
    }
}

const std::byte *root_of(test::EngineFixture &engine) {
    return engine.media().bytes().data() + engine.superblock().root * block_size;
}

// The keys of the root's children ascend. Returns its level.
unsigned check_keys(test::EngineFixture &engine) {
    const auto *const root = root_of(engine);
    const btree::InnerView inner(root);
    for (unsigned i = 1; i < inner.count(); ++i)
        CHECK(inner.child(i - 1).key < inner.child(i).key);
    return btree::header_of(root).level;
}

// Does something when the thread is next about to take a lock, as another thread might.
class Meanwhile : public SchedulerHook {
  public:
    explicit Meanwhile(std::function<void()> act) : act_(std::move(act)) { scheduler_hook = this; }
    ~Meanwhile() override { scheduler_hook = nullptr; }
    void yield_point(bool) override {
        if (const auto act = std::exchange(act_, nullptr))
            act();
    }

  private:
    std::function<void()> act_;
};

} // namespace

TEST_CASE("tree: an empty tree finds nothing", "[btree]") {
    test::EngineFixture engine;
    Item item;
    CHECK_FALSE(engine.tree().find(nullptr, Key{1, 1}, item).value());
    CHECK_FALSE(engine.tree().next(nullptr, Key{}, item).value());
    CHECK_FALSE(engine.tree().previous(nullptr, Key{~0ULL, ~0ULL}, item).value());
}

TEST_CASE("tree: agrees with a map under random changes, also after reopening", "[btree]") {
    const auto length_max = GENERATE(std::size_t{0}, std::size_t{40}, btree::value_bytes_max);
    test::EngineFixture engine;
    const auto free_when_empty = engine.allocator().space().free_blocks;
    Model model;
    std::uint64_t random = 7 + length_max;
    for (const unsigned erase_percent : {20U, 50U, 80U}) {
        random_changes(engine, model, random, 1500, 60, erase_percent, length_max);
        CHECK(read_all(engine) == model);
        for (int i = 0; i < 200; ++i)
            check_neighbours(engine, model, random_key(random, 60));
        engine.reopen();
        CHECK(read_all(engine) == model);
    }
    while (!model.empty()) {
        REQUIRE(engine.transact(
            [&](auto &tx) { return engine.tree().erase(tx, model.begin()->first); }));
        model.erase(model.begin());
    }
    CHECK(read_all(engine).empty());
    CHECK(engine.allocator().space().free_blocks == free_when_empty);
}

TEST_CASE("tree: grows to three levels and back, ascending and descending", "[btree]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{64} << 20});
    const auto free_when_empty = engine.allocator().space().free_blocks;
    constexpr std::uint64_t count = 8000; // of 400 bytes: some 900 leaves
    const auto value = value_of(400, 3);
    const bool ascending = GENERATE(true, false);
    for (std::uint64_t i = 0; i < count; ++i)
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key{16, ascending ? i : count - i}, value);
        }));
    CHECK(read_all(engine).size() == count);
    engine.reopen();
    Item item;
    for (std::uint64_t i = 1; i < count; i += 97)
        CHECK(engine.tree().find(nullptr, Key{16, i}, item).value());
    for (std::uint64_t i = 0; i < count; ++i)
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().erase(tx, Key{16, ascending ? i : count - i});
        }));
    CHECK(read_all(engine).empty());
    CHECK(engine.allocator().space().free_blocks == free_when_empty);
}

TEST_CASE("tree: ascending keys fill leaves whole", "[btree]") {
    test::EngineFixture engine;
    const auto before = engine.allocator().space().free_blocks;
    const auto value = value_of(100, 1);
    for (std::uint64_t i = 0; i < 3300; ++i)
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key{16, i}, value);
        }));
    const auto used = before - engine.allocator().space().free_blocks;
    CHECK(used * block_size < 3300 * 130 * 115 / 100); // 124 bytes an item and its slot
}

TEST_CASE("tree: runs of inodes that grow have leaves of their own", "[btree]") {
    test::EngineFixture engine;
    const auto value = value_of(100, 1);
    const auto insert = [&](alloc::Transaction &tx, std::uint64_t run, std::uint64_t i) {
        return engine.tree().insert(tx, Key{run * btree::inodes_of_a_run + i, 0}, value);
    };
    for (std::uint64_t i = 0; i < 100; ++i)
        REQUIRE(engine.transact([&](auto &tx) { return insert(tx, 0, i); }));
    const std::uint64_t first_run = GENERATE(1, 5); // the others come behind, or before
    for (const std::uint64_t run : {first_run, std::uint64_t{2}, std::uint64_t{3}})
        REQUIRE(engine.transact([&](auto &tx) { return insert(tx, run, 0); }));
    alloc::Transaction one(engine.allocator()), another(engine.allocator());
    REQUIRE(insert(one, 2, 1));
    REQUIRE(insert(another, 3, 1)); // and not Errc::retry
    REQUIRE(insert(one, 2, 2));
    REQUIRE(another.commit());
    REQUIRE(one.commit());
    CHECK(read_all(engine).size() == 106);
}

TEST_CASE("tree: leaves of two runs stay apart when they shrink", "[btree]") {
    test::EngineFixture engine;
    const std::uint64_t second_run = 40 * btree::inodes_of_a_run;
    const std::vector<std::uint64_t> firsts{second_run - btree::inodes_of_a_run, second_run};
    const auto value = value_of(200, 1);
    for (const std::uint64_t first : firsts)
        for (std::uint64_t i = 0; i < 100; ++i)
            REQUIRE(engine.transact([&](auto &tx) {
                return engine.tree().insert(tx, Key{first + i, 0}, value);
            }));
    for (const std::uint64_t first : firsts)
        for (std::uint64_t i = 99; i >= 2; --i) // so that leaves have no holes
            REQUIRE(engine.transact([&](auto &tx) {
                return engine.tree().erase(tx, Key{first + i, 0});
            }));
    alloc::Transaction one(engine.allocator()), another(engine.allocator());
    REQUIRE(engine.tree().replace(one, Key{firsts[0], 0}, value));
    REQUIRE(engine.tree().replace(another, Key{firsts[1], 0}, value));
    REQUIRE(another.commit());
    REQUIRE(one.commit());
    CHECK(read_all(engine).size() == 4);
}

TEST_CASE("tree: what comes below a node's first key keeps its keys in order", "[btree]") {
    test::EngineFixture engine;
    const std::uint64_t run = 40 * btree::inodes_of_a_run;
    const auto insert = [&](std::uint64_t inode, std::uint64_t place, std::size_t length = 1300) {
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key{inode, place}, value_of(length, 1));
        }));
    };
    const auto erase = [&](std::uint64_t inode, std::uint64_t place) {
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().erase(tx, Key{inode, place});
        }));
    };
    insert(run - 1, 0);
    for (std::uint64_t i = 0; i < 6; ++i)
        insert(run, i);
    erase(run - 1, 0);

    SECTION("in a leaf") {
        for (std::uint64_t i = 0; i < 6; ++i)
            insert(run - 2, i);
        CHECK(check_keys(engine) == 1);
    }
    SECTION("in a leaf, from above") {
        for (std::uint64_t i = 6; i > 0; --i)
            insert(run - 2, i);
        CHECK(check_keys(engine) == 1);
    }
    SECTION("behind a leaf") {
        erase(run, 2);
        erase(run, 1);
        for (std::uint64_t i = 0; i < 8; ++i)
            insert(run - 2, i, 300);
        erase(run, 0);
        for (std::uint64_t i = 8; i < 14; ++i)
            insert(run - 2, i, 300);
        CHECK(check_keys(engine) == 1);
    }
    SECTION("in a node") {
        for (std::uint64_t i = 0; i < 1200; ++i) // three nodes under the root
            insert(run, 10'000 + i);
        for (std::uint64_t i = 0; i < 6; ++i)
            erase(run, i);
        for (std::uint64_t i = 0; i < 700; ++i) // all of the first
            erase(run, 10'000 + i);
        std::uint64_t random = 3;
        for (std::uint64_t i = 0; i < 1200; ++i)
            insert(run - 1 - test::split_mix(random) % 100, i);
        CHECK(check_keys(engine) == 2);
    }
}

TEST_CASE("tree: who waits for a leaf keeps nobody from splitting it", "[btree]") {
    test::EngineFixture engine;
    const auto value = value_of(500, 1);
    const auto insert = [&](alloc::Transaction &tx, std::uint64_t i) {
        return engine.tree().insert(tx, Key{16, i}, value);
    };
    for (std::uint64_t i = 0; i < 1000; ++i)
        REQUIRE(engine.transact([&](auto &tx) { return insert(tx, 2 * i); }));
    std::atomic<bool> found{false};
    std::thread reader;
    {
        alloc::Transaction tx(engine.allocator());
        REQUIRE(engine.tree().replace(tx, Key{16, 1000}, value)); // holds the leaf, and no more
        reader = std::thread([&] {
            Item item;
            found = engine.tree().find(nullptr, Key{16, 1000}, item).value_or(false);
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        CHECK_FALSE(found);
        CHECK(insert(tx, 1001)); // the leaf is full
        CHECK(tx.commit());
    }
    reader.join();
    CHECK(found);
}

TEST_CASE("tree: a leaf that was found lately needs no way down", "[btree]") {
    test::EngineFixture engine;
    const auto put = [&](Key key) {
        return engine.transact(
            [&](auto &tx) { return engine.tree().replace(tx, key, value_of(500, 1)); });
    };
    const auto finds = [&](Key key) {
        alloc::Transaction tx(engine.allocator()); // it does not wait for long
        Item item;
        return engine.tree().find(&tx, key, item);
    };
    const auto changes = [&](Key key) {
        alloc::Transaction tx(engine.allocator());
        return engine.tree().replace(tx, key, value_of(500, 2));
    };
    for (std::uint64_t i = 0; i < 1000; ++i)
        REQUIRE(put(Key{16, 2 * i}));
    const auto root = MediaBlock::at(0, engine.superblock().root);
    auto &units = engine.allocator().journal().units();
    const auto without_root = [&](auto &&look) {
        REQUIRE(units.try_lock(root));
        auto done = look();
        units.unlock(root);
        return done;
    };
    const Key near{16, 500}, far{16, 1500};
    REQUIRE(finds(near).value());
    CHECK(without_root([&] { return finds(near); }).value());
    CHECK(without_root([&] { return changes(near); }));
    CHECK(without_root([&] { return finds(far); }).code() == Errc::retry);
    CHECK(without_root([&] { return changes(far); }).code() == Errc::retry);

    SECTION("but after a split it does") {
        for (std::uint64_t i = 0; i < 8; ++i)
            REQUIRE(put(Key{16, 501 + 2 * i}));
        CHECK(without_root([&] { return finds({16, 0}); }).code() == Errc::retry);
    }
    SECTION("but after a merge it does") {
        for (std::uint64_t i = 700; i < 720; ++i)
            REQUIRE(engine.transact([&](auto &tx) {
                return engine.tree().erase(tx, Key{16, 2 * i});
            }));
        CHECK(without_root([&] { return finds({16, 0}); }).code() == Errc::retry);
    }
    CHECK(finds(near).value());
    CHECK(changes(near));
}

TEST_CASE("tree: a leaf that was found lately may be split before it is locked", "[btree]") {
    test::EngineFixture engine;
    const auto put = [&](alloc::Transaction &tx, Key key, std::uint64_t seed) {
        return engine.tree().replace(tx, key, value_of(500, seed));
    };
    const auto value_at = [&](Key key) {
        Item item;
        REQUIRE(engine.tree().find(nullptr, key, item).value());
        return Value(item.value().begin(), item.value().end());
    };
    for (std::uint64_t i = 0; i < 100; ++i)
        REQUIRE(engine.transact([&](auto &tx) { return put(tx, {16, 100 * i}, 1); }));
    const Key key{16, 5000};
    REQUIRE(value_at(key) == value_of(500, 1));
    const auto split = [&] {
        for (std::uint64_t i = 1; i <= 8; ++i)
            REQUIRE(engine.transact([&](auto &tx) { return put(tx, {16, 5000 + i}, 2); }));
        REQUIRE(engine.transact([&](auto &tx) { return put(tx, key, 2); }));
    };
    SECTION("by one who reads") {
        const Meanwhile meanwhile(split);
        CHECK(value_at(key) == value_of(500, 2));
    }
    SECTION("by one who changes it") {
        alloc::Transaction tx(engine.allocator());
        {
            const Meanwhile meanwhile(split);
            REQUIRE(put(tx, key, 3));
        }
        REQUIRE(tx.commit());
        CHECK(value_at(key) == value_of(500, 3));
    }
    CHECK(read_all(engine).size() == 108);
}

TEST_CASE("tree: a scan finds once what joined a leaf that was read before", "[btree]") {
    test::EngineFixture engine;
    Model model;
    for (std::uint64_t i = 40; i-- > 0;) { // descending, which leaves half of most leaves free
        const Key key{16, i};
        REQUIRE(engine.transact(
            [&](auto &tx) { return engine.tree().insert(tx, key, value_of(300, i)); }));
        model[key] = value_of(300, i);
    }
    const btree::InnerView root(root_of(engine));
    const auto leaves = root.count();
    REQUIRE(leaves >= 4);
    const Key first = root.child(1).key, second = root.child(2).key, third = root.child(3).key;
    Item item;
    REQUIRE(engine.tree().find(nullptr, first, item).value());
    for (auto at = second; btree::InnerView(root_of(engine)).count() == leaves; ++at.place) {
        REQUIRE(engine.transact([&](auto &tx) { return engine.tree().erase(tx, at); }));
        model.erase(at);
    }
    REQUIRE(model.lower_bound(second)->first < third); // some of it is left
    check_scan(engine, model, first);
    CHECK(read_all(engine) == model);
}

TEST_CASE("tree: a leaf that was read and then became the root is changed there", "[btree]") {
    test::EngineFixture engine;
    for (std::uint64_t i = 0; i < 8; ++i)
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key{16, i}, value_of(900, i));
        }));
    Item item;
    REQUIRE(engine.tree().find(nullptr, Key{16, 7}, item).value());
    for (std::uint64_t i = 0; i < 7; ++i)
        REQUIRE(engine.transact([&](auto &tx) { return engine.tree().erase(tx, Key{16, i}); }));
    REQUIRE(btree::header_of(root_of(engine)).level == 0);
    REQUIRE(engine.transact([&](auto &tx) {
        return engine.tree().replace(tx, Key{16, 7}, value_of(900, 70));
    }));
    engine.reopen(); // nobody remembers where it was
    REQUIRE(engine.tree().find(nullptr, Key{16, 7}, item).value());
    CHECK(std::ranges::equal(item.value(), value_of(900, 70)));
}

TEST_CASE("tree: a leaf whose joining had to wait is still the transaction's own", "[btree]") {
    test::EngineFixture engine;
    for (std::uint64_t i = 0; i < 30; ++i)
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key{16, i}, value_of(500, i));
        }));
    const auto root = MediaBlock::at(0, engine.superblock().root);
    auto &units = engine.allocator().journal().units();
    alloc::Transaction tx(engine.allocator());
    Item item;
    REQUIRE(engine.tree().find(&tx, Key{16, 0}, item).value());
    REQUIRE(engine.tree().replace(tx, Key{16, 0}, value_of(500, 50)));
    REQUIRE(units.try_lock(root));
    for (std::uint64_t i = 6; i >= 1; --i)
        REQUIRE(engine.tree().erase(tx, Key{16, i}));
    units.unlock(root);
    REQUIRE(engine.tree().find(&tx, Key{16, 0}, item).value());
    CHECK(std::ranges::equal(item.value(), value_of(500, 50)));
    REQUIRE(tx.commit());
    CHECK(read_all(engine).size() == 24);
}

TEST_CASE("tree: where a dropped transaction's changes led to is forgotten", "[btree]") {
    test::EngineFixture engine;
    Model model;
    std::uint64_t random = 11;
    random_changes(engine, model, random, 300, 20, 0, 300);
    const auto put_many = [&](alloc::Transaction &tx) {
        Item item;
        for (std::uint64_t i = 0; i < 40; ++i) {
            REQUIRE(engine.tree().insert(tx, Key{~0ULL, i}, value_of(1000, i)));
            for (std::uint64_t k = 0; k <= i; ++k) // in leaves of its own, too
                REQUIRE(engine.tree().find(&tx, Key{~0ULL, k}, item).value());
        }
    };
    {
        alloc::Transaction tx(engine.allocator());
        put_many(tx);
    }
    Item item;
    for (std::uint64_t i = 40; i-- > 0;) { // the last one is what it was led to last
        const auto found = engine.tree().find(nullptr, Key{~0ULL, i}, item);
        REQUIRE(found.has_value());
        CHECK_FALSE(*found);
    }
    CHECK(read_all(engine) == model);
}

TEST_CASE("tree: a transaction that is dropped leaves nothing", "[btree]") {
    test::EngineFixture engine;
    Model model;
    std::uint64_t random = 5;
    random_changes(engine, model, random, 500, 20, 20, 300);
    const auto free_before = engine.allocator().space().free_blocks;
    {
        alloc::Transaction tx(engine.allocator());
        for (std::uint64_t i = 0; i < 50; ++i)
            REQUIRE(engine.tree().replace(tx, Key{99, i}, value_of(1000, i)));
        Item item;
        CHECK(engine.tree().find(&tx, Key{99, 7}, item).value()); // its own changes it sees
    }
    CHECK(read_all(engine) == model);
    CHECK(engine.allocator().space().free_blocks == free_before);
}

TEST_CASE("tree: a damaged node is reported and never followed", "[btree]") {
    test::EngineFixture engine;
    for (std::uint64_t i = 0; i < 400; ++i)
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key{16, i}, value_of(90, i));
        }));
    engine.reopen(); // replays, which verifies
    engine.reopen(); // forgets what was verified
    engine.media().bytes()[engine.superblock().root * block_size + 40] ^= std::byte{4};
    Item item;
    const auto found = engine.tree().find(nullptr, Key{16, 5}, item);
    REQUIRE_FALSE(found.has_value());
    CHECK(found.code() == Errc::corrupt);
}

TEST_CASE("tree: threads that change one tree lose nothing", "[btree]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{32} << 20});
    constexpr unsigned thread_count = 4;
    constexpr std::uint64_t keys = 1200;
    std::vector<std::thread> threads;
    std::atomic<unsigned> failures{0};
    for (unsigned t = 0; t < thread_count; ++t)
        threads.emplace_back([&, t] {
            Item item;
            for (std::uint64_t i = 0; i < keys; ++i) {
                const Key key{16 + i % 7, i * thread_count + t}; // neighbours of other threads'
                failures += !engine.transact([&](auto &tx) -> Result<void> {
                    DAXPIN_TRY(engine.tree().insert(tx, key, value_of(150, i)));
                    return engine.tree().insert(tx, Key{100 + t, i}, value_of(30, i));
                });
                failures += !engine.tree().find(nullptr, key, item).value_or(false);
                if (i % 3 == 0)
                    failures +=
                        !engine.transact([&](auto &tx) { return engine.tree().erase(tx, key); });
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(failures == 0);
    CHECK(read_all(engine).size() == thread_count * (keys + keys - (keys + 2) / 3));
    engine.reopen();
    CHECK(read_all(engine).size() == thread_count * (keys + keys - (keys + 2) / 3));
}
