// SPDX-License-Identifier: BSD-3-Clause
//
// What damaged metadata leads to: mount option errors=.
#include "helpers.h"
#include "tools/fsck/check.h"
#include "volume/engine.h"

#include <cstring>
#include <set>

using namespace daxpin;
using namespace daxpin::test;
using volume::OnDamage;

namespace {

constexpr std::string_view large_name = "user.large";

// A volume with a file "hurt", whose extended attribute lies in a block that is damaged, and a
// file "sound".
struct Damaged {
    explicit Damaged(OnDamage errors) : fixture({}, options(errors)) {
        hurt = make_file(fixture.volume(), root_dir, "hurt");
        make_file(fixture.volume(), root_dir, "sound");
        std::vector<std::byte> value(5000, std::byte{0x5a});
        must(fixture->set_xattr(root_caller(), hurt, large_name, value, inode::XattrMode::any));
        fixture.remount();
        flip(value);
    }

    volume::Options options(OnDamage errors) {
        volume::Options options;
        options.errors = errors;
        options.on_damage = [this](const volume::DamageReport &report) {
            ++announced;
            first = report.first;
        };
        return options;
    }

    void flip(std::span<const std::byte> value) {
        const auto bytes = fixture.media().bytes();
        for (std::size_t at = 0; at + value.size() < bytes.size(); at += block_size)
            if (std::memcmp(bytes.data() + at, value.data(), block_size) == 0) {
                place = at + 100;
                bytes[place] ^= std::byte{1};
                return;
            }
        FAIL("the attribute is not on media");
    }

    // As the daemon does with the errors that it answers.
    template <typename T> Errc meet(const Result<T> &result) {
        REQUIRE_FALSE(result);
        fixture->note_failure(result.error());
        return result.code();
    }
    Errc meet_damage() { return meet(fixture->get_xattr(root_caller(), hurt, large_name)); }

    unsigned announced = 0;
    std::string first;
    InodeNumber hurt;
    std::size_t place = 0;
    VolumeFixture fixture;
};

// Changes the inode's item behind its name's back.
template <typename Change>
void forge(VolumeFixture &fixture, InodeNumber number, const Change &change) {
    fixture.unmount();
    {
        volume::Engine engine(open_table(fixture.all_media()), fixture.env(), {});
        must(engine.start());
        const auto guard = must(engine.begin_change());
        auto attributes = must(engine.table->load(nullptr, number));
        must(engine.transact([&](auto &tx) { return change(tx, *engine.table, attributes); }));
    }
    must(fixture.mount());
}

} // namespace

TEST_CASE("damage: a name that leads to no inode hides none beside it", "[volume]") {
    volume::Options options;
    options.errors = OnDamage::go_on;
    VolumeFixture fixture({}, options);
    for (const char *name : {"a", "b", "c"})
        make_file(fixture.volume(), root_dir, name);
    const auto lost = must(peek(fixture.volume(), root_dir, "b")).number;
    SECTION("its item is gone") {
        forge(fixture, lost, [&](auto &tx, auto &table, auto &) { return table.erase(tx, lost); });
    }
    SECTION("it says that it has no name") {
        forge(fixture, lost, [](auto &tx, auto &table, auto &attributes) {
            attributes.link_count = 0;
            return table.store(tx, attributes);
        });
    }
    SECTION("its number is another inode's") {
        forge(fixture, lost, [](auto &tx, auto &table, auto &attributes) {
            ++attributes.generation;
            return table.store(tx, attributes);
        });
    }
    std::set<std::string> with, without;
    must(fixture->list(root_dir, 2, true, [&](const auto &entry, const auto *attributes) {
        (attributes != nullptr ? with : without).emplace(entry.name);
        if (attributes != nullptr)
            fixture->forget(entry.number, 1);
        return true;
    }));
    CHECK(with == std::set<std::string>{"a", "c"});
    CHECK(without == std::set<std::string>{"b"});
    CHECK(fixture->damage().count == 1);
    const auto looked_up = fixture->lookup(root_dir, "b");
    REQUIRE(fails(looked_up, Errc::corrupt));
    CHECK(describe(looked_up.error()).find(std::to_string(lost.value)) != std::string::npos);
    CHECK(fails(fixture->unlink(root_caller(), root_dir, "b"), Errc::corrupt));
    CHECK(is_there(fixture.volume(), root_dir, "c"));
}

TEST_CASE("damage: the volume is read-only from the first on, and is read on", "[volume]") {
    Damaged test(OnDamage::read_only);
    CHECK(test.fixture->damage().count == 0);
    CHECK_FALSE(test.fixture->read_only());
    CHECK(test.meet_damage() == Errc::corrupt);
    CHECK(test.fixture->read_only());
    CHECK(fails(
        test.fixture->set_xattr(root_caller(), test.hurt, "user.more", {}, inode::XattrMode::any),
        Errc::read_only));
    CHECK(must(test.fixture->lookup(root_dir, "sound")).is_regular());
}

TEST_CASE("damage: it is announced once and counted each time", "[volume]") {
    Damaged test(OnDamage::read_only);
    test.meet_damage();
    test.meet_damage();
    CHECK(test.announced == 1);
    CHECK(test.fixture->damage().count == 2);
    CHECK(test.fixture->damage().first == test.first);
    CHECK(test.first.find("extended attribute") != std::string::npos);
}

TEST_CASE("damage: other errors are none", "[volume]") {
    Damaged test(OnDamage::read_only);
    CHECK(test.meet(test.fixture->lookup(root_dir, "nothing")) == Errc::not_found);
    test.fixture->note_failure(Error{Errc::io}); // of data
    CHECK(test.fixture->damage().count == 0);
    CHECK_FALSE(test.fixture->read_only());
}

TEST_CASE("damage: no remount makes the volume writable", "[volume]") {
    Damaged test(OnDamage::read_only);
    test.meet_damage();
    const auto writable = test.fixture->set_read_only(false);
    REQUIRE(fails(writable, Errc::read_only));
    CHECK(describe(writable.error()).find("fsck.daxpinfs -y") != std::string::npos);
    must(test.fixture->set_read_only(true));
    CHECK(test.fixture->read_only());
}

TEST_CASE("damage: with errors=continue the volume stays writable", "[volume]") {
    Damaged test(OnDamage::go_on);
    CHECK(test.meet_damage() == Errc::corrupt);
    CHECK_FALSE(test.fixture->read_only());
    make_file(test.fixture.volume(), root_dir, "new");
    must(test.fixture->set_read_only(true));
    must(test.fixture->set_read_only(false));
    CHECK(test.announced == 1);
}

TEST_CASE("damage: unmounting writes nothing, and fsck finds it", "[volume]") {
    Damaged test(OnDamage::read_only);
    make_file(test.fixture.volume(), root_dir, "late"); // a record to be checkpointed
    test.meet_damage();
    const auto bytes = test.fixture.media().bytes();
    const std::vector<std::byte> before(bytes.begin(), bytes.end());
    test.fixture.unmount();
    CHECK(std::memcmp(before.data(), bytes.data(), bytes.size()) == 0);
    CHECK(fsck::check(open_table(test.fixture.all_media())).errors == 1);
}

TEST_CASE("damage: metadata that cannot be read is damaged", "[volume]") {
    Damaged test(OnDamage::read_only);
    test.fixture.media().poison(test.place, 1);
    CHECK(test.meet_damage() == Errc::corrupt);
    CHECK(test.first.find("media error") != std::string::npos);
}

TEST_CASE("removal: a symbolic link goes though fsck has taken its damaged target", "[volume]") {
    VolumeFixture fixture;
    const std::string target(2000, 'x'); // in a block of its own
    auto link = node(S_IFLNK | 0777);
    link.target = target;
    const auto number = must(fixture->make_node(root_caller(), root_dir, "link", link)).number;
    unlink(fixture.volume(), root_dir, "link");
    fixture.unmount();
    {
        volume::Engine engine(open_table(fixture.all_media()), fixture.env(), {});
        must(engine.start());
        const auto guard = must(engine.begin_change());
        const auto key = btree::Key::of(number, format::ItemType::symlink);
        must(engine.transact([&](alloc::Transaction &tx) -> Result<void> {
            btree::Item item;
            if (!must(engine.tree->find(&tx, key, item)))
                return Errc::not_found;
            DAXPIN_TRY(inode::free_blob(tx, item.value()));
            return engine.tree->erase(tx, key);
        }));
        must(engine.journal->checkpoint());
    }
    must(fixture.mount());
    finish_background(fixture.volume());
    CHECK(fixture->damage().count == 0);
    CHECK(fails(fixture->attributes(number), Errc::stale));
    CHECK(fsck::check(open_table(fixture.all_media())).errors == 0);
}
