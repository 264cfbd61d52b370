// SPDX-License-Identifier: BSD-3-Clause
//
// Files without a name: kept while used, freed afterwards, in one step or many, in this mount or
// the next.
#include "base/sync.h"
#include "helpers.h"
#include "verify.h"

#include <atomic>
#include <chrono>
#include <thread>

using namespace daxpin;
using namespace daxpin::test;

namespace {

std::uint64_t free_blocks(volume::Volume &volume) {
    return must(volume.statistics()).free_blocks;
}

void add_xattr(volume::Volume &volume, InodeNumber file, int index, std::size_t length) {
    const std::vector<std::byte> value(length, std::byte{1});
    must(volume.set_xattr(root_caller(), file, "user.x" + std::to_string(index), value,
                          inode::XattrMode::any));
}

volume::Volume::Created open_new(volume::Volume &volume, std::string_view name) {
    volume::OpenRequest request;
    request.write = true;
    return must(volume.create(root_caller(), root_dir, name, node(S_IFREG | 0600), request));
}

// Writes one block at every second block: as many extents as calls.
void write_scattered(volume::Volume &volume, const volume::Volume::Created &file, int extents) {
    const std::vector<std::byte> block(block_size, std::byte{0x5a});
    for (int i = 0; i < extents; ++i)
        must(volume.write(file.attributes.number, file.open.handle,
                          std::uint64_t(i) * 2 * block_size, block));
}

// While it lives the thread that it is told of is slow wherever others may come in between.
class SlowThread final : public SchedulerHook {
  public:
    SlowThread() { scheduler_hook = this; }
    ~SlowThread() { scheduler_hook = nullptr; }
    void is_me() { slow_ = std::this_thread::get_id(); }

    void yield_point(bool waits) override {
        if (std::this_thread::get_id() == slow_)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        else if (waits)
            std::this_thread::yield();
    }

  private:
    std::atomic<std::thread::id> slow_;
};

} // namespace

TEST_CASE("removal: an open file without a name lives until it is closed", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = open_new(volume, "file");
    const auto number = file.attributes.number;
    unlink(volume, root_dir, "file");
    volume.forget(number, 1);
    finish_background(volume);
    CHECK(stat_of(volume, number).link_count == 0);
    volume.release(number, file.open.handle);
    CHECK(fails(volume.attributes(number), Errc::stale));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("removal: what is open without a name at unmount is the next mount's", "[volume]") {
    VolumeFixture fixture;
    fixture.volume().forget(make_file(fixture.volume(), root_dir, "keeps the tree's shape"), 1);
    const auto before = free_blocks(fixture.volume());
    const auto file = open_new(fixture.volume(), "file");
    write_scattered(fixture.volume(), file, 3);
    unlink(fixture.volume(), root_dir, "file");
    fixture.volume().forget(file.attributes.number, 1);
    fixture.remount();
    finish_background(fixture.volume());
    CHECK(fails(fixture.volume().attributes(file.attributes.number), Errc::stale));
    CHECK(free_blocks(fixture.volume()) == before);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("removal: every block comes back, of small files and large ones", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    volume.forget(make_file(volume, root_dir, "keeps the tree's shape"), 1);
    const auto before = free_blocks(volume);
    for (const int extents : {0, 1, 3, 60}) {
        const auto file = open_new(volume, "file");
        const auto number = file.attributes.number;
        write_scattered(volume, file, extents);
        for (int i = 0; i < extents; ++i)
            add_xattr(volume, number, i, 2000);
        volume.release(number, file.open.handle);
        unlink(volume, root_dir, "file");
        volume.forget(number, 1);
        if (extents <= 1)
            CHECK(free_blocks(volume) == before); // at once, nothing left to do
        finish_background(volume);
        CHECK(fails(volume.attributes(number), Errc::stale));
        CHECK(free_blocks(volume) == before);
    }
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("removal: small files wait until there are enough for a transaction", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    constexpr unsigned enough = 16;
    const auto add_orphan = [&](int blocks) {
        const auto file = open_new(volume, "file");
        write_scattered(volume, file, blocks);
        volume.release(file.attributes.number, file.open.handle);
        unlink(volume, root_dir, "file");
        volume.forget(file.attributes.number, 1);
        CHECK(fails(volume.attributes(file.attributes.number), Errc::stale));
    };
    for (unsigned i = 1; i < enough; ++i) {
        add_orphan(1);
        CHECK(contents_of(fixture).unfinished == i);
    }
    SECTION("until the last one of them") {
        add_orphan(1);
    }
    SECTION("or until there is a large one") {
        add_orphan(65);
        finish_background(volume);
    }
    SECTION("or until there is time") {
        CHECK(must(volume.background_step()) == false);
    }
    SECTION("or until somebody asks for the space that there is") {
        must(volume.statistics());
    }
    SECTION("or until the volume takes no changes") {
        must(volume.set_read_only(true));
    }
    SECTION("or until it is unmounted") {
        fixture.unmount();
    }
    CHECK(contents_of(fixture).unfinished == 0);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("removal: a kill before it leaves the files to the next mount", "[volume]") {
    VolumeFixture fixture;
    const auto before = free_blocks(fixture.volume());
    for (const auto *name : {"one", "another"}) {
        const auto file = open_new(fixture.volume(), name);
        write_scattered(fixture.volume(), file, 3);
        fixture->release(file.attributes.number, file.open.handle);
        unlink(fixture.volume(), root_dir, name);
        fixture->forget(file.attributes.number, 1);
    }
    must(fixture.kill_and_mount());
    CHECK(contents_of(fixture).unfinished == 2);
    finish_background(fixture.volume());
    CHECK(contents_of(fixture).unfinished == 0);
    CHECK(free_blocks(fixture.volume()) == before);
}

TEST_CASE("space: what unlinked files hold is there for the next one", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const std::vector<std::byte> large(50 * block_size, std::byte{1});
    const auto fill = [&](const volume::Volume::Created &file) {
        for (std::uint64_t at = 0;; at += large.size()) {
            const auto written = volume.write(file.attributes.number, file.open.handle, at, large);
            if (!written || *written < large.size())
                break;
        }
    };
    const auto victim = open_new(volume, "victim");
    must(volume.write(victim.attributes.number, victim.open.handle, 0, large));
    const auto hog = open_new(volume, "hog");
    fill(hog);
    const auto file = open_new(volume, "file");
    volume.release(victim.attributes.number, victim.open.handle);
    unlink(volume, root_dir, "victim");
    volume.forget(victim.attributes.number, 1);
    CHECK(contents_of(fixture).unfinished == 1);
    SECTION("to be written") {
        const std::span some(large.data(), 45 * block_size);
        CHECK(must(volume.write(file.attributes.number, file.open.handle, 0, some)) == some.size());
    }
    SECTION("to be set aside") {
        must(volume.fallocate(file.attributes.number, file.open.handle,
                              volume::FallocateMode::allocate, 0, 45 * block_size));
    }
    CHECK(contents_of(fixture).unfinished == 0);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("space: what is left of a file that goes in steps is there for the next one",
          "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto victim = open_new(volume, "victim");
    write_scattered(volume, victim, 40);
    const auto hog = open_new(volume, "hog");
    const std::vector<std::byte> piece(block_size, std::byte{1});
    for (std::uint64_t at = 0; volume.write(hog.attributes.number, hog.open.handle, at, piece);
         at += block_size)
        ;
    const auto file = open_new(volume, "file");
    volume.release(victim.attributes.number, victim.open.handle);
    unlink(volume, root_dir, "victim");
    volume.forget(victim.attributes.number, 1);
    if (GENERATE(false, true))
        must(fixture.kill_and_mount());
    must(fixture->fallocate(file.attributes.number, 0, volume::FallocateMode::allocate, 0,
                            38 * block_size));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("removal: what the last mount left undone is done after the next", "[volume]") {
    VolumeFixture fixture;
    const auto before = free_blocks(fixture.volume());
    const auto file = open_new(fixture.volume(), "file");
    write_scattered(fixture.volume(), file, 40);
    unlink(fixture.volume(), root_dir, "file");
    SECTION("after an orderly unmount") {
        fixture.remount();
    }
    SECTION("after a kill") {
        must(fixture.kill_and_mount());
    }
    CHECK(free_blocks(fixture.volume()) < before);
    CHECK(fails(fixture->attributes(file.attributes.number), Errc::stale));
    finish_background(fixture.volume());
    CHECK(free_blocks(fixture.volume()) == before);
    CHECK(names_in(fixture.volume(), root_dir).empty());
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("unnamed: a file without a name goes unless it is given one", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    volume::OpenRequest request;
    request.write = true;
    const auto make = [&] {
        return must(volume.create_unnamed(root_caller(), root_dir, node(S_IFREG | 0600), request));
    };
    const auto lost = make();
    const auto kept = make();
    CHECK(kept.attributes.link_count == 0);
    finish_background(volume);
    CHECK(must(volume.link(root_caller(), kept.attributes.number, root_dir, "kept")).link_count ==
          1);
    volume.release(lost.attributes.number, lost.open.handle);
    volume.forget(lost.attributes.number, 1);
    CHECK(fails(volume.attributes(lost.attributes.number), Errc::stale));
    must(fixture.kill_and_mount());
    finish_background(fixture.volume());
    CHECK(must(peek(fixture.volume(), root_dir, "kept")).number == kept.attributes.number);
    CHECK(stat_of(fixture.volume(), kept.attributes.number).link_count == 1);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("unnamed: what a truncation has left is freed before the file gets a name", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto before = free_blocks(volume);
    volume::OpenRequest request;
    request.write = true;
    const auto file =
        must(volume.create_unnamed(root_caller(), root_dir, node(S_IFREG | 0600), request));
    const InodeNumber number = file.attributes.number;
    write_scattered(volume, file, 200);
    must(volume.set_attributes(root_caller(), number, {.size = 0}));
    REQUIRE(stat_of(volume, number).block_count > 0); // not in one step
    must(volume.link(root_caller(), number, root_dir, "file"));
    finish_background(volume);
    CHECK(stat_of(volume, number).block_count == 0);
    volume.release(number, file.open.handle);
    CHECK(free_blocks(volume) + 2 >= before); // but for what the names take
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("space: what another thread is freeing is waited for", "[volume]") {
    const auto delay = std::chrono::milliseconds(GENERATE(2, 5, 10, 15, 20, 30, 40, 60));
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const std::vector<std::byte> block(block_size, std::byte{0x5a});
    const auto append = [&](const volume::Volume::Created &file, std::uint64_t at) {
        return volume.write(file.attributes.number, file.open.handle, at * block_size, block);
    };
    const auto gone = open_new(volume, "gone");
    for (std::uint64_t i = 0; i < 8; ++i)
        must(append(gone, i));
    const auto one = open_new(volume, "one");
    const auto other = open_new(volume, "other");
    const auto rest = open_new(volume, "rest");
    for (std::uint64_t i = 0; append(rest, i); ++i)
        ;
    unlink(volume, root_dir, "gone");
    volume.forget(gone.attributes.number, 1);
    volume.release(gone.attributes.number, gone.open.handle); // too small to be freed at once
    SlowThread slow;
    std::thread freeing([&] {
        slow.is_me();
        static_cast<void>(append(one, 0));
    });
    std::this_thread::sleep_for(delay);
    CHECK(append(other, 0));
    freeing.join();
    CHECK(stat_of(volume, one.attributes.number).size == block_size);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("space: unlink and rmdir work on a full volume", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    std::vector<std::string> made;
    for (int i = 0;; ++i) {
        const auto name = std::string(200, 'n') + std::to_string(i);
        const auto mode = i % 2 ? S_IFREG | 0644U : S_IFDIR | 0755U;
        const auto result = volume.make_node(root_caller(), root_dir, name, node(mode));
        if (!result) {
            CHECK(result.code() == Errc::no_space);
            break;
        }
        volume.forget(result->number, 1);
        made.push_back(name);
    }
    CHECK(made.size() > 1000);
    CHECK(stat_of(volume, root_dir).size == made.size());
    rename(volume, root_dir, made[0], root_dir, "short");
    made[0] = "short";
    for (std::size_t i = 0; i < made.size(); ++i) {
        if (i % 2)
            unlink(volume, root_dir, made[i]);
        else
            must(volume.remove_directory(root_caller(), root_dir, made[i]));
    }
    CHECK(names_in(volume, root_dir).empty());
    CHECK(stat_of(volume, root_dir).link_count == 2);
    make_file(volume, root_dir, "room again");
    CHECK(fsck_findings(fixture) == "");
}
