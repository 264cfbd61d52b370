// SPDX-License-Identifier: BSD-3-Clause
#include "volume/privileges.h"

#include "file_helpers.h"
#include "verify.h"

using namespace daxpin;
using namespace daxpin::test;
using volume::AttributeChange;
using volume::Volume;

namespace {

// A file with every privilege there is.
InodeNumber armed_file(Volume &volume, std::uint32_t mode) {
    const auto file = make_node(volume, root_dir, "file", S_IFREG | 0644);
    AttributeChange arm;
    arm.mode = mode;
    must(volume.set_attributes(root_caller(), file, arm));
    must(volume.set_xattr(root_caller(), file, volume::capability_name,
                          std::vector<std::byte>(20, std::byte{1}), inode::XattrMode::any));
    return file;
}

bool has_capabilities(Volume &volume, InodeNumber file) {
    return volume.get_xattr(root_caller(), file, volume::capability_name).has_value();
}

// open(2) with O_TRUNC by somebody without CAP_FSETID.
Result<volume::OpenReply> open_truncated(Volume &volume, InodeNumber file) {
    const volume::OpenRequest request{.write = true, .truncate = true, .kill_privileges = true};
    return volume.open_file(user_caller(7), file, request);
}

class Observer final : public volume::CacheObserver {
  public:
    void invalidate_data(InodeNumber) override { ++data; }
    void invalidate_attributes(InodeNumber) override { ++attributes; }
    int data = 0, attributes = 0;
};

} // namespace

TEST_CASE("privileges: new content takes them away, and the kernel is told", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    Observer observer;
    volume.set_observer(&observer);
    const auto file = armed_file(volume, 06755);
    must(volume.drop_privileges(root_caller(), file, [] { return false; }));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 0755));
    CHECK(!has_capabilities(volume, file));
    CHECK(observer.attributes == 1);
    must(volume.drop_privileges(root_caller(), file, [] { return false; }));
    CHECK(observer.attributes == 1); // there was nothing left
    volume.set_observer(nullptr);
    fixture.remount();
    CHECK(stat_of(fixture.volume(), file).mode == (S_IFREG | 0755));
    CHECK(!has_capabilities(fixture.volume(), file));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: CAP_FSETID keeps set-id bits, nobody keeps capabilities", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 06755);
    must(volume.drop_privileges(root_caller(), file, [] { return true; }));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 06755));
    CHECK(!has_capabilities(volume, file));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: setgid without group execute is none", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 06745);
    must(volume.drop_privileges(root_caller(), file, [] { return false; }));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 02745));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: what was remembered of a file's capabilities follows changes", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 0755);
    const auto keeps = [] { return true; };
    must(volume.drop_privileges(root_caller(), file, keeps));
    must(volume.set_xattr(root_caller(), file, volume::capability_name,
                          std::vector<std::byte>(20, std::byte{1}), inode::XattrMode::create));
    must(volume.drop_privileges(root_caller(), file, keeps));
    CHECK(!has_capabilities(volume, file));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: a new size takes capabilities away", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 04755);
    AttributeChange change;
    change.size = 100;
    must(volume.set_attributes(root_caller(), file, change));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 04755));
    CHECK(!has_capabilities(volume, file));
    change.size = 50;
    change.kill_privileges = true;
    must(volume.set_attributes(root_caller(), file, change));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 0755));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: setgid without group execute stays for members of the group", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 02765);
    AttributeChange to_group;
    to_group.gid = 100;
    must(volume.set_attributes(root_caller(), file, to_group));
    REQUIRE(stat_of(volume, file).mode == (S_IFREG | 02765));

    const volume::Caller member{.uid = 7, .gid = 5, .has_group = [](auto g) { return g == 100; }};
    must(volume.drop_privileges(member, file, [] { return false; }));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 02765));
    const volume::Caller other{.uid = 7, .gid = 5};
    must(volume.drop_privileges(other, file, [] { return false; }));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 0765));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: an immutable file keeps them, for its content cannot change", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 06755);
    must(volume.set_flags(root_caller(), file, format::inode_flag_immutable, {}));
    must(volume.drop_privileges(root_caller(), file, [] { return false; }));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 06755));
    CHECK(has_capabilities(volume, file));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: a read-only volume keeps them", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 04755);
    must(volume.set_read_only(true));
    CHECK(
        fails(volume.drop_privileges(root_caller(), file, [] { return false; }), Errc::read_only));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 04755));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: open(2) with O_TRUNC takes them with the content", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    Observer observer;
    volume.set_observer(&observer);
    const auto file = armed_file(volume, 06755);
    write_at(volume, file, 0, filled(100, 1));
    must(open_truncated(volume, file));
    CHECK(stat_of(volume, file).size == 0);
    CHECK(stat_of(volume, file).mode == (S_IFREG | 0755));
    CHECK_FALSE(has_capabilities(volume, file));
    CHECK(observer.attributes == 1);
    volume.set_observer(nullptr);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("privileges: root's O_TRUNC leaves the set-id bits", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 06755);
    must(volume.open_file(root_caller(), file, {.write = true, .truncate = true}));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 06755));
    CHECK_FALSE(has_capabilities(volume, file));
}

TEST_CASE("privileges: an O_TRUNC that is refused leaves them", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 06755);
    write_at(volume, file, 0, filled(block_size, 1));
    Errc wanted{};
    SECTION("by a pin") {
        must(volume.pin(root_caller(), file, {}));
        wanted = Errc::pinned;
    }
    SECTION("by +a") {
        must(volume.set_flags(root_caller(), file, format::inode_flag_append, {}));
        wanted = Errc::not_permitted;
    }
    SECTION("by +i") {
        must(volume.set_flags(root_caller(), file, format::inode_flag_immutable, {}));
        wanted = Errc::not_permitted;
    }
    const auto before = stat_of(volume, file);
    CHECK(fails(open_truncated(volume, file), wanted));
    CHECK(stat_of(volume, file).mode == before.mode);
    CHECK(stat_of(volume, file).ctime_ns == before.ctime_ns);
    CHECK(has_capabilities(volume, file));
}

TEST_CASE("privileges: a write that will be refused leaves them", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = armed_file(volume, 06755);
    write_at(volume, file, 0, filled(block_size, 1));
    must(volume.pin(root_caller(), file, {}));
    const auto handle = open_handle(volume, file, for_writing(true));
    const auto drop_for = [&](const volume::PlannedWrite &write) {
        return volume.drop_privileges(
            user_caller(7), file, [] { return false; }, write);
    };
    using volume::WriteMode;
    CHECK(fails(drop_for({handle, block_size, 1, WriteMode::append}), Errc::pinned));
    CHECK(fails(drop_for({handle, block_size, 1, WriteMode::offset}), Errc::pinned));
    CHECK(fails(drop_for({handle + 1, 0, 1, WriteMode::offset}), Errc::bad_handle));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 06755));
    CHECK(has_capabilities(volume, file));
    must(drop_for({handle, 0, 1, WriteMode::offset}));
    CHECK(stat_of(volume, file).mode == (S_IFREG | 0755));
    CHECK_FALSE(has_capabilities(volume, file));
    volume.release(file, handle);
}
