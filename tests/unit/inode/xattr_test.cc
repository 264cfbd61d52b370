// SPDX-License-Identifier: BSD-3-Clause
#include "inode/xattr.h"

#include "support/catch.h"
#include "support/engine_fixture.h"

#include <algorithm>
#include <map>

using namespace daxpin;
using namespace daxpin::inode;
using test::EngineFixture;

namespace {

constexpr InodeNumber file{30};
constexpr HashKey secret{std::byte{5}};

std::uint64_t colliding_hash(const HashKey &, std::string_view name) {
    return 1 + name.size() % 2;
}

Bytes content_of(std::size_t length, std::uint64_t seed) {
    Bytes bytes(length);
    for (std::byte &byte : bytes)
        byte = static_cast<std::byte>(test::split_mix(seed));
    return bytes;
}

class Attributes {
  public:
    explicit Attributes(EngineFixture &engine, NameHash hash = name_hash, InodeNumber inode = file)
        : engine_(engine), set_(engine.tree(), engine.devices(), secret, inode, hash) {}

    Result<Bytes> get(const std::string &name) { return set_.get(nullptr, name); }
    Result<void> set(const std::string &name, const Bytes &value, XattrMode mode = XattrMode::any) {
        return engine_.transact([&](auto &tx) { return set_.set(tx, name, value, mode); });
    }
    Result<void> remove(const std::string &name) {
        return engine_.transact([&](auto &tx) { return set_.remove(tx, name); });
    }
    Result<bool> remove_some(unsigned count) {
        return engine_.transact([&](auto &tx) { return set_.remove_some(tx, count); });
    }
    std::vector<std::string> names() {
        auto names = set_.names().value();
        std::ranges::sort(names);
        return names;
    }

  private:
    EngineFixture &engine_;
    XattrSet set_;
};

} // namespace

TEST_CASE("xattr: random changes leave what a map of names says", "[inode]") {
    const auto hash = GENERATE(name_hash, colliding_hash);
    EngineFixture engine;
    Attributes attributes(engine, hash);
    const auto free_before = engine.allocator().space().free_blocks;
    constexpr std::size_t sizes[] = {0, 1, 100, 1024, 1025, 4096, 5000, 65536};
    std::map<std::string, Bytes> model;
    std::uint64_t state = 11;
    for (int step = 0; step < 600; ++step) {
        CAPTURE(step);
        const auto number = test::split_mix(state) % 12;
        const std::string name = "user." + std::string(number, 'n') + std::to_string(number);
        if (test::split_mix(state) % 3 != 0) {
            const Bytes value = content_of(sizes[test::split_mix(state) % 8], state);
            REQUIRE(attributes.set(name, value));
            model[name] = value;
        } else if (model.erase(name) != 0) {
            REQUIRE(attributes.remove(name));
        } else {
            REQUIRE(attributes.remove(name).code() == Errc::no_attribute);
        }
        const auto expected = model.find(name);
        const auto got = attributes.get(name);
        REQUIRE(got.has_value() == (expected != model.end()));
        if (got)
            REQUIRE(*got == expected->second);
        else
            REQUIRE(got.code() == Errc::no_attribute);
        std::vector<std::string> names;
        for (const auto &[known, value] : model)
            names.push_back(known);
        REQUIRE(attributes.names() == names);
    }
    for (const auto &[name, value] : model)
        REQUIRE(attributes.get(name).value() == value);
    while (attributes.remove_some(3).value())
        ;
    REQUIRE(attributes.names().empty());
    // What stays in use are nodes of the tree at most, no block of a value.
    REQUIRE(engine.allocator().space().free_blocks + 8 >= free_before);
}

TEST_CASE("xattr: create and replace are strict", "[inode]") {
    EngineFixture engine;
    Attributes attributes(engine);
    const Bytes one = content_of(1, 1);
    const Bytes two = content_of(2000, 2);
    REQUIRE(attributes.set("user.a", one, XattrMode::replace).code() == Errc::no_attribute);
    REQUIRE(attributes.set("user.a", one, XattrMode::create));
    REQUIRE(attributes.set("user.a", two, XattrMode::create).code() == Errc::exists);
    REQUIRE(attributes.get("user.a").value() == one);
    REQUIRE(attributes.set("user.a", two, XattrMode::replace));
    REQUIRE(attributes.get("user.a").value() == two);
}

TEST_CASE("xattr: a refused value changes nothing", "[inode]") {
    EngineFixture engine;
    Attributes attributes(engine);
    const Bytes value = content_of(5000, 1);
    REQUIRE(attributes.set("user.a", value));
    REQUIRE(attributes.set("user.a", content_of(65537, 2)).code() == Errc::too_big);
    REQUIRE(attributes.get("user.a").value() == value);
    REQUIRE(attributes.set("", value).code() == Errc::range);
    REQUIRE(attributes.set(std::string(256, 'x'), value).code() == Errc::range);
    REQUIRE(attributes.set(std::string(255, 'x'), content_of(1024, 3)));
    REQUIRE(attributes.set(std::string(254, 'x'), content_of(65536, 3)));
}

TEST_CASE("xattr: an inode's attributes are its own", "[inode]") {
    EngineFixture engine;
    Attributes attributes(engine);
    Attributes others(engine, name_hash, InodeNumber{file.value + 1});
    REQUIRE(others.set("user.a", content_of(3000, 1)));
    REQUIRE(attributes.get("user.a").code() == Errc::no_attribute);
    REQUIRE(attributes.names().empty());
    REQUIRE_FALSE(attributes.remove_some(10).value());
    REQUIRE(others.names() == std::vector<std::string>{"user.a"});
}

TEST_CASE("xattr: removal in steps ends and tells when", "[inode]") {
    EngineFixture engine;
    Attributes attributes(engine);
    for (unsigned i = 0; i < 10; ++i)
        REQUIRE(attributes.set("user." + std::to_string(i), content_of(2000, i)));
    REQUIRE(attributes.remove_some(4).value());
    REQUIRE(attributes.names().size() == 6);
    REQUIRE(attributes.remove_some(5).value());
    REQUIRE_FALSE(attributes.remove_some(1).value());
    REQUIRE_FALSE(attributes.remove_some(1).value());
}

TEST_CASE("xattr: values are there after a reopen", "[inode]") {
    EngineFixture engine;
    const Bytes value = content_of(65536, 9);
    REQUIRE(Attributes(engine).set("user.a", value));
    engine.reopen();
    REQUIRE(Attributes(engine).get("user.a").value() == value);
}
