// SPDX-License-Identifier: BSD-3-Clause
#include "helpers.h"
#include "verify.h"

using namespace daxpin;
using namespace daxpin::test;
using volume::RenameMode;
using Names = std::vector<std::string>;

TEST_CASE("rename: the new name leads to the inode, the old one nowhere", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto a = make_dir(volume, root_dir, "a");
    const auto b = make_dir(volume, root_dir, "b");
    const auto file = make_file(volume, a, "file");
    const auto before = stat_of(volume, file);
    rename(volume, a, "file", b, "moved");
    fixture.remount();
    CHECK(names_in(fixture.volume(), a).empty());
    CHECK(must(peek(fixture.volume(), b, "moved")).number == file);
    CHECK(stat_of(fixture.volume(), a).size == 0);
    CHECK(stat_of(fixture.volume(), b).size == 1);
    const auto after = stat_of(fixture.volume(), file);
    CHECK(after.ctime_ns > before.ctime_ns);
    CHECK(after.mtime_ns == before.mtime_ns);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: a replaced file loses its name, a replaced directory its life", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto source = make_file(volume, root_dir, "source");
    const auto target = make_file(volume, root_dir, "target");
    rename(volume, root_dir, "source", root_dir, "target");
    CHECK(must(peek(volume, root_dir, "target")).number == source);
    CHECK(stat_of(volume, target).link_count == 0);
    volume.forget(target, 1);
    CHECK(fails(volume.attributes(target), Errc::stale));

    const auto dir = make_dir(volume, root_dir, "dir");
    const auto empty = make_dir(volume, root_dir, "empty");
    CHECK(stat_of(volume, root_dir).link_count == 4);
    rename(volume, root_dir, "dir", root_dir, "empty");
    CHECK(must(peek(volume, root_dir, "empty")).number == dir);
    CHECK(stat_of(volume, empty).link_count == 0);
    CHECK(stat_of(volume, root_dir).link_count == 3);
    CHECK(stat_of(volume, root_dir).size == 2);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: kinds that do not fit are refused", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto full = make_dir(volume, root_dir, "full");
    make_file(volume, full, "inner");
    make_dir(volume, root_dir, "dir");
    make_file(volume, root_dir, "file");
    const auto plain = [&](std::string_view from, std::string_view to) {
        return volume.rename(caller, root_dir, from, root_dir, to, RenameMode::plain);
    };
    CHECK(fails(plain("dir", "file"), Errc::not_directory));
    CHECK(fails(plain("file", "dir"), Errc::is_directory));
    CHECK(fails(plain("dir", "full"), Errc::not_empty));
    CHECK(fails(plain("none", "x"), Errc::not_found));
    CHECK(fails(plain("file", "."), Errc::busy));
    CHECK(fails(plain("file", ""), Errc::invalid));
    CHECK(fails(plain("file", std::string(256, 'x')), Errc::name_too_long));
    CHECK(fails(volume.rename(caller, root_dir, "file", root_dir, "dir", RenameMode::no_replace),
                Errc::exists));
    CHECK(fails(volume.rename(caller, root_dir, "file", root_dir, "x", RenameMode::exchange),
                Errc::not_found));
    CHECK(names_in(volume, root_dir) == Names{"dir", "file", "full"});
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: a directory never comes to lie below itself", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto a = make_dir(volume, root_dir, "a");
    const auto b = make_dir(volume, a, "b");
    const auto c = make_dir(volume, b, "c");
    CHECK(fails(volume.rename(caller, root_dir, "a", c, "x", RenameMode::plain), Errc::invalid));
    CHECK(fails(volume.rename(caller, root_dir, "a", a, "x", RenameMode::plain), Errc::invalid));
    CHECK(fails(volume.rename(caller, root_dir, "a", b, "c", RenameMode::exchange), Errc::invalid));
    make_file(volume, root_dir, "file");
    CHECK(fails(volume.rename(caller, b, "c", root_dir, "a", RenameMode::exchange), Errc::invalid));
    CHECK(fails(volume.rename(caller, b, "c", a, "b", RenameMode::plain), Errc::not_empty));
    rename(volume, b, "c", root_dir, "c");
    CHECK(stat_of(volume, c).parent == root_dir);
    CHECK(must(peek(volume, c, "..")).number == root_dir);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: moved directories take their links along", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto a = make_dir(volume, root_dir, "a");
    const auto b = make_dir(volume, root_dir, "b");
    const auto moved = make_dir(volume, a, "moved");
    const auto file = make_file(volume, b, "file");
    rename(volume, a, "moved", b, "moved");
    CHECK(stat_of(volume, a).link_count == 2);
    CHECK(stat_of(volume, b).link_count == 3);
    CHECK(stat_of(volume, moved).parent == b);
    // Exchange of a directory with a file in another directory.
    make_file(volume, a, "other");
    rename(volume, b, "moved", a, "other", RenameMode::exchange);
    CHECK(must(peek(volume, a, "other")).number == moved);
    CHECK(stat_of(volume, moved).parent == a);
    CHECK(stat_of(volume, a).link_count == 3);
    CHECK(stat_of(volume, b).link_count == 2);
    CHECK(stat_of(volume, a).size == 1);
    CHECK(stat_of(volume, b).size == 2);
    CHECK(must(peek(volume, b, "file")).number == file);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: exchange swaps two names in one directory", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto x = make_file(volume, root_dir, "x");
    const auto y = make_dir(volume, root_dir, "y");
    rename(volume, root_dir, "x", root_dir, "y", RenameMode::exchange);
    const auto listed_type = [&](std::string_view wanted) {
        unsigned type = 0;
        must(volume.list(root_dir, 2, false, [&](const volume::ListedEntry &entry, auto *) {
            if (entry.name == wanted)
                type = entry.type;
            return true;
        }));
        return type;
    };
    CHECK(must(peek(volume, root_dir, "x")).number == y);
    CHECK(must(peek(volume, root_dir, "y")).number == x);
    CHECK(listed_type("x") == S_IFDIR >> 12);
    CHECK(listed_type("y") == S_IFREG >> 12);
    CHECK(stat_of(volume, root_dir).link_count == 3);
    CHECK(stat_of(volume, x).link_count == 1);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: between two names of one inode nothing happens", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make_file(volume, root_dir, "a");
    must(volume.link(root_caller(), file, root_dir, "b"));
    const auto before = stat_of(volume, file);
    rename(volume, root_dir, "a", root_dir, "b");
    rename(volume, root_dir, "a", root_dir, "a");
    CHECK(fails(volume.rename(root_caller(), root_dir, "a", root_dir, "b", RenameMode::no_replace),
                Errc::exists));
    CHECK(names_in(volume, root_dir) == Names{"a", "b"});
    CHECK(stat_of(volume, file).link_count == 2);
    CHECK(stat_of(volume, file).ctime_ns == before.ctime_ns);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("rename: a whiteout takes the old name", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make_dir(volume, root_dir, "dir");
    const auto file = make_file(volume, root_dir, "file");
    rename(volume, root_dir, "file", dir, "file", RenameMode::whiteout);
    const auto left = must(peek(volume, root_dir, "file"));
    CHECK((left.mode & S_IFMT) == S_IFCHR);
    CHECK(left.rdev == 0);
    CHECK(must(peek(volume, dir, "file")).number == file);
    CHECK(stat_of(volume, root_dir).size == 2);
    CHECK(fsck_findings(fixture) == "");
}
