// SPDX-License-Identifier: BSD-3-Clause
#include "inode/directory.h"

#include "support/catch.h"
#include "support/engine_fixture.h"

#include <dirent.h>
#include <map>
#include <set>

using namespace daxpin;
using namespace daxpin::inode;
using btree::Key;
using format::ItemType;
using test::EngineFixture;

namespace {

constexpr InodeNumber directory_number{format::root_inode};
constexpr HashKey secret{std::byte{1}, std::byte{2}};
constexpr std::uint64_t hash_max = (std::uint64_t{1} << 52) - 1;

// Three chains for all names, at both ends and in the middle of the range of hashes.
std::uint64_t colliding_hash(const HashKey &, std::string_view name) {
    switch (name.back() % 3) {
    case 0:
        return 1;
    case 1:
        return hash_max;
    default:
        return 77;
    }
}

std::uint64_t one_hash(const HashKey &, std::string_view) {
    return hash_max;
}

Entry entry_of(std::uint64_t number, unsigned type = DT_REG) {
    return {{number}, number * 3, type};
}

class Names {
  public:
    explicit Names(EngineFixture &engine, NameHash hash = name_hash,
                   InodeNumber number = directory_number)
        : engine_(engine), directory_(engine.tree(), secret, number, hash) {}

    Result<void> insert(const std::string &name, const Entry &entry) {
        return engine_.transact([&](auto &tx) { return directory_.insert(tx, name, entry); });
    }
    Result<void> replace(const std::string &name, const Entry &entry) {
        return engine_.transact([&](auto &tx) { return directory_.replace(tx, name, entry); });
    }
    Result<void> erase(const std::string &name) {
        return engine_.transact([&](auto &tx) { return directory_.erase(tx, name); });
    }
    std::optional<std::uint64_t> number(const std::string &name) {
        const auto entry = directory_.find(nullptr, name).value();
        return entry ? std::optional(entry->number.value) : std::nullopt;
    }
    // name -> cookie, in at most `batch` entries a call, each going on behind the last cookie.
    std::map<std::string, std::uint64_t> list(std::size_t batch = SIZE_MAX) {
        std::map<std::string, std::uint64_t> found;
        std::uint64_t after = 0;
        for (bool more = true; more;) {
            more = false;
            std::size_t seen = 0;
            const auto visit = [&](std::uint64_t cookie, std::string_view name, const Entry &) {
                REQUIRE(cookie > after);
                REQUIRE(found.emplace(name, cookie).second);
                after = cookie;
                more = ++seen == batch;
                return !more;
            };
            REQUIRE(directory_.list(after, visit));
        }
        return found;
    }
    Directory &operator*() { return directory_; }

  private:
    EngineFixture &engine_;
    Directory directory_;
};

void run_model(NameHash hash, std::uint64_t seed) {
    EngineFixture engine;
    Names names(engine, hash);
    std::map<std::string, std::uint64_t> model;
    std::map<std::string, std::uint64_t> cookies;
    for (int step = 0; step < 2500; ++step) {
        CAPTURE(step);
        const std::string name = "name-" + std::to_string(test::split_mix(seed) % 200);
        const std::uint64_t number = 16 + test::split_mix(seed) % 1000;
        const bool present = model.contains(name);
        switch (test::split_mix(seed) % 4) {
        case 0:
        case 1: {
            const auto inserted = names.insert(name, entry_of(number));
            REQUIRE(inserted.has_value() == !present);
            if (present)
                REQUIRE(inserted.code() == Errc::exists);
            else
                model[name] = number;
            break;
        }
        case 2: {
            const auto replaced = names.replace(name, entry_of(number));
            REQUIRE(replaced.has_value() == present);
            if (present)
                model[name] = number;
            else
                REQUIRE(replaced.code() == Errc::not_found);
            break;
        }
        default: {
            const auto erased = names.erase(name);
            REQUIRE(erased.has_value() == present);
            if (!present)
                REQUIRE(erased.code() == Errc::not_found);
            model.erase(name);
            cookies.erase(name);
        }
        }
        const auto expected = model.find(name);
        REQUIRE(names.number(name) ==
                (expected != model.end() ? std::optional(expected->second) : std::nullopt));
        if (step % 10 != 0)
            continue;
        const auto listed = names.list(1 + test::split_mix(seed) % 50);
        REQUIRE(listed.size() == model.size());
        for (const auto &[known, cookie] : listed) {
            REQUIRE(model.contains(known));
            const auto seen = cookies.try_emplace(known, cookie).first;
            REQUIRE(seen->second == cookie); // as long as the entry lives
        }
    }
}

} // namespace

TEST_CASE("directory: random changes leave what a map of names says", "[inode]") {
    SECTION("hashes as on media") {
        run_model(name_hash, GENERATE(1U, 2U));
    }
    SECTION("three hashes for all names") {
        run_model(colliding_hash, GENERATE(3U, 4U));
    }
}

TEST_CASE("directory: a listing sees what stays exactly once, whatever comes and goes", "[inode]") {
    const auto hash = GENERATE(name_hash, colliding_hash);
    EngineFixture engine;
    Names names(engine, hash);
    std::set<std::string> staying;
    for (unsigned i = 0; i < 120; ++i) {
        const std::string name = (i % 2 ? "stays-" : "goes-") + std::to_string(i);
        REQUIRE(names.insert(name, entry_of(100 + i)));
        if (i % 2)
            staying.insert(name);
    }
    std::set<std::string> seen;
    std::uint64_t after = 0;
    for (unsigned round = 0;; ++round) {
        bool any = false;
        const auto visit_one = [&](std::uint64_t cookie, std::string_view name, const Entry &) {
            any = true;
            after = cookie;
            REQUIRE(seen.emplace(name).second);
            return false;
        };
        REQUIRE((*names).list(after, visit_one));
        if (!any)
            break;
        if (round < 60) {
            REQUIRE(names.erase("goes-" + std::to_string(2 * round)));
            REQUIRE(names.insert("comes-" + std::to_string(round), entry_of(300 + round)));
        }
    }
    for (const std::string &name : staying)
        REQUIRE(seen.contains(name));
}

TEST_CASE("directory: 256 names share a hash, one more is refused", "[inode]") {
    EngineFixture engine;
    Names names(engine, one_hash);
    for (unsigned i = 0; i < 256; ++i)
        REQUIRE(names.insert("n" + std::to_string(i), entry_of(100 + i)));
    REQUIRE(names.insert("one more", entry_of(99)).code() == Errc::no_space);
    REQUIRE(names.insert("n255", entry_of(99)).code() == Errc::exists);
    for (unsigned i = 0; i < 256; ++i)
        REQUIRE(names.number("n" + std::to_string(i)) == 100 + i);
    const auto cookie = names.list().at("n17");
    REQUIRE(names.erase("n17"));
    REQUIRE(names.insert("one more", entry_of(99)));
    REQUIRE(names.list().at("one more") == cookie);
}

TEST_CASE("directory: cookies are in [256, 2^60)", "[inode]") {
    EngineFixture engine;
    Names names(engine, GENERATE(colliding_hash, name_hash));
    for (unsigned i = 0; i < 50; ++i)
        REQUIRE(names.insert("n" + std::to_string(i), entry_of(100 + i)));
    for (const auto &[name, cookie] : names.list()) {
        REQUIRE(cookie >= 256);
        REQUIRE(cookie < std::uint64_t{1} << 60);
    }
    const auto nothing = [](std::uint64_t, std::string_view, const Entry &) {
        FAIL("an entry behind the last cookie");
        return true;
    };
    REQUIRE((*names).list((std::uint64_t{1} << 60) - 1, nothing));
    REQUIRE((*names).list(UINT64_MAX, nothing));
}

TEST_CASE("directory: names that no entry may have are refused", "[inode]") {
    EngineFixture engine;
    Names names(engine);
    const std::string longest(255, 'x');
    REQUIRE(names.insert(longest, entry_of(16)));
    REQUIRE(names.number(longest) == 16);
    REQUIRE(names.insert(longest + "x", entry_of(16)).code() == Errc::name_too_long);
    REQUIRE((*names).find(nullptr, longest + "x").code() == Errc::name_too_long);
    for (const std::string name : {"", ".", "..", "a/b"})
        REQUIRE(names.insert(name, entry_of(16)).code() == Errc::invalid);
    REQUIRE(names.insert(std::string("a\0b", 3), entry_of(16)).code() == Errc::invalid);
}

TEST_CASE("directory: an entry keeps number, generation and type over a reopen", "[inode]") {
    EngineFixture engine;
    REQUIRE(Names(engine).insert("sub", {{40}, 0x1234567890abcdefU, DT_DIR}));
    engine.reopen();
    const auto entry = (*Names(engine)).find(nullptr, "sub").value();
    REQUIRE(entry);
    REQUIRE(entry->number == InodeNumber{40});
    REQUIRE(entry->generation == 0x1234567890abcdefU);
    REQUIRE(entry->type == DT_DIR);
}

TEST_CASE("directory: neighbours in the tree are no entries", "[inode]") {
    EngineFixture engine;
    Names names(engine);
    Names other(engine, name_hash, InodeNumber{50});
    REQUIRE(other.insert("theirs", entry_of(60)));
    const le64 junk = 7;
    for (const ItemType type : {ItemType::inode, ItemType::xattr}) {
        REQUIRE(engine.transact([&](auto &tx) {
            return engine.tree().insert(tx, Key::of(directory_number, type, 300),
                                        btree::bytes_of(junk));
        }));
    }
    REQUIRE(names.list().empty());
    REQUIRE(!names.number("theirs"));
    REQUIRE(other.list().size() == 1);
}

TEST_CASE("directory: an impossible entry is corrupt", "[inode]") {
    EngineFixture engine;
    Names names(engine, one_hash);
    struct {
        format::DirentItem item;
        char name[8];
    } raw{};
    std::size_t length = sizeof raw.item + 4;
    raw.item.inode = 20;
    raw.item.name_length = 4;
    raw.item.type = DT_REG;
    std::memcpy(raw.name, "name", 4);
    const auto put = [&] {
        return engine.transact([&](auto &tx) {
            return engine.tree().replace(
                tx, Key::of(directory_number, ItemType::dirent, first_place(hash_max)),
                btree::bytes_of(raw).first(length));
        });
    };
    REQUIRE(put());
    REQUIRE(names.number("name") == 20);

    SECTION("an inode number that is reserved") {
        raw.item.inode = format::unfinished_table;
    }
    SECTION("an inode number beyond all") {
        raw.item.inode = format::inode_max + 1;
    }
    SECTION("an unknown type") {
        raw.item.type = 3;
    }
    SECTION("a longer name than item") {
        raw.item.name_length = 5;
    }
    SECTION("a shorter name than item") {
        raw.item.name_length = 3;
    }
    SECTION("no name") {
        raw.item.name_length = 0;
        length = sizeof raw.item;
    }
    SECTION("half an item") {
        length = sizeof raw.item - 1;
    }
    SECTION("a slash") {
        raw.name[1] = '/';
    }
    SECTION("a zero byte") {
        raw.name[1] = '\0';
    }
    REQUIRE(put());
    REQUIRE((*names).find(nullptr, "name").code() == Errc::corrupt);
    REQUIRE((*names).list(0, [](auto, auto, auto &) { return true; }).code() == Errc::corrupt);
    REQUIRE(names.insert("other", entry_of(16)).code() == Errc::corrupt);
    REQUIRE(names.erase("name").code() == Errc::corrupt);
}

TEST_CASE("directory: the hash depends on the volume's secret and is 52 bits, never 0", "[inode]") {
    constexpr HashKey other{std::byte{9}};
    std::set<std::uint64_t> hashes;
    for (unsigned i = 0; i < 1000; ++i) {
        const std::string name = "n" + std::to_string(i);
        const std::uint64_t hash = name_hash(secret, name);
        REQUIRE(hash > 0);
        REQUIRE(hash <= hash_max);
        REQUIRE(hash != name_hash(other, name));
        hashes.insert(hash);
    }
    REQUIRE(hashes.size() == 1000);
}
