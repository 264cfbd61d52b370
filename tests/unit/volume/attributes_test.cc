// SPDX-License-Identifier: BSD-3-Clause
#include "helpers.h"
#include "verify.h"

using namespace daxpin;
using namespace daxpin::test;
using volume::AttributeChange;

namespace {

std::vector<std::byte> bytes(std::string_view text) {
    const auto view = std::as_bytes(std::span(text.data(), text.size()));
    return {view.begin(), view.end()};
}

inode::Attributes set(volume::Volume &volume, InodeNumber number, const AttributeChange &change) {
    return must(volume.set_attributes(root_caller(), number, change));
}

} // namespace

TEST_CASE("attributes: what is set is there, also after a mount", "[volume]") {
    VolumeFixture fixture;
    const auto file = make_file(fixture.volume(), root_dir, "file");
    const auto before = stat_of(fixture.volume(), file);
    AttributeChange change;
    change.mode = S_IFDIR | 04711; // the type is not the caller's to change
    change.atime_ns = -5;
    change.mtime_ns = std::int64_t{1} << 60;
    set(fixture.volume(), file, change);
    fixture.remount();
    const auto after = stat_of(fixture.volume(), file);
    CHECK(after.mode == (S_IFREG | 04711));
    CHECK(after.atime_ns == -5);
    CHECK(after.mtime_ns == std::int64_t{1} << 60);
    CHECK(after.ctime_ns > before.ctime_ns);
    CHECK(after.btime_ns == before.btime_ns);
    CHECK(after.generation == before.generation);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("attributes: `now` is the volume's clock", "[volume]") {
    VolumeFixture fixture;
    const auto file = make_file(fixture.volume(), root_dir, "file");
    fixture.env().set_now_ns(4'000'000'000);
    AttributeChange change;
    change.atime_now = true;
    const auto after = set(fixture.volume(), file, change);
    CHECK(after.atime_ns / 1'000'000'000 == 4);
    CHECK(after.ctime_ns == after.atime_ns);
    CHECK(after.mtime_ns != after.atime_ns);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("attributes: a new owner takes setuid, setgid and capabilities away", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make_file(volume, root_dir, "file");
    const auto capability = bytes("file capability");
    AttributeChange arm;
    arm.mode = 06755;
    set(volume, file, arm);
    must(volume.set_xattr(root_caller(), file, "security.capability", capability,
                          inode::XattrMode::any));
    AttributeChange change;
    change.uid = 7;
    const auto after = set(volume, file, change);
    CHECK(after.uid == 7);
    CHECK(after.gid == 0);
    CHECK(after.mode == (S_IFREG | 0755));
    CHECK(must(volume.list_xattrs(file)).empty());

    arm.mode = 06745; // setgid without group execute is not a privilege
    set(volume, file, arm);
    CHECK(set(volume, file, change).mode == (S_IFREG | 02745));

    const auto dir = make_dir(volume, root_dir, "dir");
    arm.mode = 02755;
    set(volume, dir, arm);
    CHECK(set(volume, dir, change).mode == (S_IFDIR | 02755));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("attributes: +i and +a refuse changes and change nothing", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make_file(volume, root_dir, "file");
    AttributeChange mode, now;
    mode.mode = 0600;
    now.mtime_now = true;
    for (const auto flag : {format::inode_flag_immutable, format::inode_flag_append}) {
        must(volume.set_flags(root_caller(), file, flag, {}));
        const auto before = stat_of(volume, file);
        CHECK(fails(volume.set_attributes(root_caller(), file, mode), Errc::not_permitted));
        CHECK(fails(volume.set_xattr(root_caller(), file, "user.a", {}, inode::XattrMode::any),
                    Errc::not_permitted));
        CHECK(stat_of(volume, file).ctime_ns == before.ctime_ns);
        // touch(1) may work on +a, as in the kernel.
        CHECK(volume.set_attributes(root_caller(), file, now).has_value() ==
              (flag == format::inode_flag_append));
    }
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("attributes: what an append takes away may go from +a, not from +i", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make_file(volume, root_dir, "file");
    AttributeChange arm, drop, owner;
    arm.mode = 04755;
    set(volume, file, arm);
    drop.kill_privileges = true;
    owner.kill_privileges = true;
    owner.uid = 7;
    must(volume.set_flags(root_caller(), file, format::inode_flag_immutable, {}));
    CHECK(fails(volume.set_attributes(root_caller(), file, drop), Errc::not_permitted));
    must(volume.set_flags(root_caller(), file, format::inode_flag_append, {}));
    CHECK(fails(volume.set_attributes(root_caller(), file, owner), Errc::not_permitted));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 04755));
    CHECK(set(volume, file, drop).mode == (S_IFREG | 0755));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("attributes: only files have a size to set", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    AttributeChange change;
    change.size = 0;
    CHECK(fails(volume.set_attributes(root_caller(), root_dir, change), Errc::is_directory));
    const auto fifo = make_node(volume, root_dir, "fifo", S_IFIFO | 0644);
    CHECK(fails(volume.set_attributes(root_caller(), fifo, change), Errc::invalid));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("flags: unknown ones and odd hints are refused, the pin's is not touched", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto file = make_file(volume, root_dir, "file");
    CHECK(fails(volume.set_flags(caller, file, 1U << 20, {}), Errc::unsupported));
    CHECK(fails(volume.set_flags(caller, file, 0, 4097), Errc::invalid));
    CHECK(fails(volume.set_flags(caller, file, 0, 2048), Errc::invalid));
    const auto fifo = make_node(volume, root_dir, "fifo", S_IFIFO | 0644);
    CHECK(fails(volume.set_flags(caller, fifo, format::inode_flag_dax, {}), Errc::invalid));
    must(volume.set_flags(caller, file, format::inode_flag_pinned_whole, 1U << 21));
    CHECK(stat_of(volume, file).flags == 0);
    must(volume.set_flags(caller, file, format::inode_flag_noatime, {}));
    CHECK(stat_of(volume, file).align_hint == 1U << 21);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("xattrs: set, read, list, remove; modes of setxattr hold", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto file = make_file(volume, root_dir, "file");
    const auto set = [&](std::string_view name, std::size_t length, inode::XattrMode mode) {
        return volume.set_xattr(caller, file, name, std::vector<std::byte>(length, std::byte{7}),
                                mode);
    };
    CHECK(fails(set("user.a", 1, inode::XattrMode::replace), Errc::no_attribute));
    for (const char *name : {"user.a", "trusted.b", "security.c"})
        must(set(name, 10, inode::XattrMode::create));
    CHECK(fails(set("user.a", 1, inode::XattrMode::create), Errc::exists));
    must(set("user.a", 65536, inode::XattrMode::replace));
    CHECK(set("user.a", 65537, inode::XattrMode::any).code() == Errc::too_big);
    fixture.remount();
    auto &again = fixture.volume();
    CHECK(must(again.get_xattr(caller, file, "user.a")).size() == 65536);
    CHECK(must(again.list_xattrs(file)).size() == 3);
    must(again.remove_xattr(caller, file, "user.a"));
    CHECK(fails(again.get_xattr(caller, file, "user.a"), Errc::no_attribute));
    CHECK(fails(again.remove_xattr(caller, file, "user.a"), Errc::no_attribute));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("xattrs: foreign namespaces and the daemon's own names are not stored", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto set = [&](std::string_view name) {
        return volume.set_xattr(caller, root_dir, name, {}, inode::XattrMode::any);
    };
    for (const char *name : {"user.", "user", "system.other", "btrfs.x", ""})
        CHECK(fails(set(name), Errc::unsupported));
    CHECK(fails(set("user.daxpin.pin"), Errc::invalid));
    CHECK(fails(volume.get_xattr(caller, root_dir, "user.daxpin.pin"), Errc::no_attribute));
    CHECK(fails(set("user." + std::string(251, 'x')), Errc::range));
    must(set("user." + std::string(250, 'x')));
    CHECK(fsck_findings(fixture) == "");
}
