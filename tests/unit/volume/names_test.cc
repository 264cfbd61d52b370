// SPDX-License-Identifier: BSD-3-Clause
#include "helpers.h"
#include "verify.h"

#include <algorithm>
#include <set>

using namespace daxpin;
using namespace daxpin::test;
using Names = std::vector<std::string>;

TEST_CASE("names: a created node is found, before and after a mount", "[volume]") {
    VolumeFixture fixture;
    const auto file = make_file(fixture.volume(), root_dir, "file");
    const auto dir = make_dir(fixture.volume(), root_dir, "dir");
    const auto inner = make_file(fixture.volume(), dir, "inner");
    for (int round = 0; round < 2; ++round) {
        CHECK(must(peek(fixture.volume(), root_dir, "file")).number == file);
        CHECK(must(peek(fixture.volume(), dir, "inner")).number == inner);
        CHECK(names_in(fixture.volume(), root_dir) == Names{"dir", "file"});
        CHECK(fails(peek(fixture.volume(), root_dir, "other"), Errc::not_found));
        fixture.remount();
    }
    CHECK(fixture->records_replayed() == 0);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("names: link counts of directories count subdirectories, sizes count entries",
          "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make_dir(volume, root_dir, "dir");
    make_dir(volume, dir, "sub");
    make_file(volume, dir, "file");
    CHECK(stat_of(volume, root_dir).link_count == 3);
    CHECK(stat_of(volume, dir).link_count == 3);
    CHECK(stat_of(volume, dir).size == 2);
    must(volume.remove_directory(root_caller(), dir, "sub"));
    unlink(volume, dir, "file");
    CHECK(stat_of(volume, dir).link_count == 2);
    CHECK(stat_of(volume, dir).size == 0);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("names: what Linux refuses as a name is refused", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto make = [&](std::string_view name) {
        return volume.make_node(root_caller(), root_dir, name, node(S_IFREG | 0644));
    };
    CHECK(fails(make(""), Errc::invalid));
    CHECK(fails(make("."), Errc::exists));
    CHECK(fails(make(".."), Errc::exists));
    CHECK(fails(make("a/b"), Errc::invalid));
    CHECK(make(std::string(255, 'x')).has_value());
    CHECK(fails(make(std::string(256, 'x')), Errc::name_too_long));
    CHECK(fails(make(std::string(255, 'x')), Errc::exists));
    CHECK(fails(volume.lookup(root_dir, std::string(256, 'x')), Errc::name_too_long));
    CHECK(fails(volume.make_node(root_caller(), root_dir, "odd", node(0644)), Errc::invalid));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("names: dot leads to the directory, dot-dot to its parent", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make_dir(volume, root_dir, "dir");
    CHECK(must(peek(volume, dir, ".")).number == dir);
    CHECK(must(peek(volume, dir, "..")).number == root_dir);
    CHECK(must(peek(volume, root_dir, "..")).number == root_dir);
    CHECK(fails(volume.lookup(make_file(volume, root_dir, "file"), "x"), Errc::not_directory));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("unlink: directories and files are told apart", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make_dir(volume, root_dir, "dir");
    make_file(volume, dir, "file");
    CHECK(fails(volume.unlink(root_caller(), root_dir, "dir"), Errc::is_directory));
    CHECK(fails(volume.remove_directory(root_caller(), dir, "file"), Errc::not_directory));
    CHECK(fails(volume.remove_directory(root_caller(), root_dir, "dir"), Errc::not_empty));
    CHECK(fails(volume.unlink(root_caller(), dir, "none"), Errc::not_found));
    CHECK(names_in(volume, dir) == Names{"file"});
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("unlink: a removed directory takes no new entries", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make_dir(volume, root_dir, "dir"); // its lookup keeps it alive
    must(volume.remove_directory(root_caller(), root_dir, "dir"));
    CHECK(fails(volume.make_node(root_caller(), dir, "x", node(S_IFREG)), Errc::not_found));
    CHECK(stat_of(volume, dir).link_count == 0);
    volume.forget(dir, 1);
    CHECK(fails(volume.attributes(dir), Errc::stale));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("link: two names are one inode until the last is gone", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make_file(volume, root_dir, "a");
    const auto dir = make_dir(volume, root_dir, "dir");
    CHECK(must(volume.link(root_caller(), file, dir, "b")).link_count == 2);
    CHECK(fails(volume.link(root_caller(), file, dir, "b"), Errc::exists));
    CHECK(fails(volume.link(root_caller(), dir, root_dir, "c"), Errc::not_permitted));
    CHECK(must(peek(volume, dir, "b")).number == file);
    unlink(volume, root_dir, "a");
    CHECK(must(peek(volume, dir, "b")).link_count == 1);
    unlink(volume, dir, "b");
    CHECK(stat_of(volume, file).link_count == 0);
    CHECK(fails(volume.link(root_caller(), file, dir, "again"), Errc::not_found));
    volume.forget(file, 2);
    CHECK(fails(volume.attributes(file), Errc::stale));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("symlink: the target comes back, short and long", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    volume::NewNode link = node(S_IFLNK | 0777);
    CHECK(fails(volume.make_node(root_caller(), root_dir, "empty", link), Errc::not_found));
    for (const std::size_t length : {1U, 100U, 1024U, 1025U, 4095U}) {
        const std::string target(length, 't');
        link.target = target;
        const auto name = "l" + std::to_string(length);
        const auto made = must(volume.make_node(root_caller(), root_dir, name, link));
        CHECK(made.size == length);
        CHECK(must(volume.read_link(made.number)) == target);
        unlink(volume, root_dir, name);
        volume.forget(made.number, 1);
        CHECK(fails(volume.attributes(made.number), Errc::stale));
    }
    const std::string longest(4096, 't');
    link.target = longest;
    CHECK(fails(volume.make_node(root_caller(), root_dir, "x", link), Errc::name_too_long));
    CHECK(fails(volume.read_link(root_dir), Errc::invalid));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("create: a setgid directory hands down its group, its hints too", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make_dir(volume, root_dir, "dir");
    volume::AttributeChange change;
    change.mode = 02775;
    change.gid = 77;
    must(volume.set_attributes(root_caller(), dir, change));
    must(volume.set_flags(root_caller(), dir, format::inode_flag_dax, 2U << 20));
    const auto user = user_caller(5);
    const auto file = must(volume.make_node(user, dir, "file", node(S_IFREG | 0640)));
    const auto sub = must(volume.make_node(user, dir, "sub", node(S_IFDIR | 0750)));
    CHECK(file.uid == 5);
    CHECK(file.gid == 77);
    CHECK(file.mode == (S_IFREG | 0640));
    CHECK(sub.gid == 77);
    CHECK(sub.mode == (S_IFDIR | S_ISGID | 0750));
    for (const auto &made : {file, sub}) {
        CHECK(made.flags == format::inode_flag_dax);
        CHECK(made.align_hint == 2U << 20);
    }
    volume::NewNode fifo = node(S_IFIFO | 0600);
    CHECK(must(volume.make_node(user, dir, "fifo", fifo)).flags == 0);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("chattr: +i and +a rule over names", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto dir = make_dir(volume, root_dir, "dir");
    const auto file = make_file(volume, dir, "file");
    const auto refuses = [](const auto &result) { return fails(result, Errc::not_permitted); };
    must(volume.set_flags(caller, dir, format::inode_flag_immutable, {}));
    CHECK(refuses(volume.make_node(caller, dir, "x", node(S_IFREG))));
    CHECK(refuses(volume.unlink(caller, dir, "file")));
    CHECK(refuses(volume.rename(caller, dir, "file", root_dir, "x", volume::RenameMode::plain)));
    must(volume.set_flags(caller, dir, format::inode_flag_append, {}));
    make_file(volume, dir, "more");
    CHECK(refuses(volume.unlink(caller, dir, "more")));
    CHECK(refuses(volume.rename(caller, dir, "file", dir, "x", volume::RenameMode::plain)));
    must(volume.set_flags(caller, dir, 0, {}));
    for (const auto flag : {format::inode_flag_immutable, format::inode_flag_append}) {
        must(volume.set_flags(caller, file, flag, {}));
        CHECK(refuses(volume.unlink(caller, dir, "file")));
        CHECK(refuses(volume.link(caller, file, dir, "x")));
        CHECK(refuses(volume.rename(caller, dir, "file", dir, "x", volume::RenameMode::plain)));
        CHECK(refuses(volume.rename(caller, dir, "more", dir, "file", volume::RenameMode::plain)));
        CHECK(
            refuses(volume.rename(caller, dir, "more", dir, "file", volume::RenameMode::exchange)));
    }
    CHECK(names_in(volume, dir) == Names{"file", "more"});
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("list: every entry once, in steps of any size, while entries come and go", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    std::set<std::string> stay;
    for (int i = 0; i < 300; ++i) {
        const auto name = "stay" + std::to_string(i);
        volume.forget(make_file(volume, root_dir, name), 1);
        stay.insert(name);
    }
    std::multiset<std::string> seen;
    std::uint64_t after = 0;
    for (int step = 0;; ++step) {
        int left = 7;
        must(volume.list(root_dir, after, false, [&](const volume::ListedEntry &entry, auto *) {
            if (left-- == 0)
                return false;
            seen.emplace(entry.name);
            after = entry.cookie;
            return true;
        }));
        if (left > 0)
            break;
        const auto passing = "passing" + std::to_string(step);
        make_file(volume, root_dir, passing);
        if (step % 2 == 0)
            unlink(volume, root_dir, passing);
    }
    for (const auto &name : stay)
        CHECK(seen.count(name) == 1);
    CHECK(seen.count(".") == 1);
    CHECK(seen.count("..") == 1);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("list: with attributes each entry taken is looked up", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto taken = make_file(volume, root_dir, "only");
    volume.forget(taken, 1);
    int accepted = 3; // ".", "..", then the file
    const auto visit = [&](const volume::ListedEntry &entry, const inode::Attributes *attributes) {
        CHECK(attributes != nullptr);
        CHECK(attributes->number == entry.number);
        CHECK(entry.type == (attributes->mode & S_IFMT) >> 12);
        return --accepted >= 0;
    };
    must(volume.list(root_dir, 0, true, visit));
    unlink(volume, root_dir, "only");
    CHECK(stat_of(volume, taken).link_count == 0); // alive by the reference from list()
    volume.forget(taken, 1);
    CHECK(fails(volume.attributes(taken), Errc::stale));

    const auto refused = make_file(volume, root_dir, "refused");
    volume.forget(refused, 1);
    accepted = 2;
    must(volume.list(root_dir, 0, true, visit));
    unlink(volume, root_dir, "refused");
    CHECK(fails(volume.attributes(refused), Errc::stale));
    CHECK(fsck_findings(fixture) == "");
}
