// SPDX-License-Identifier: BSD-3-Clause
#include "volume/access_lists.h"

#include "helpers.h"
#include "verify.h"

using namespace daxpin;
using namespace daxpin::test;
using volume::AttributeChange;
using volume::Caller;
using volume::Volume;

namespace {

constexpr std::uint16_t owner = 1, user = 2, owning_group = 4, mask = 16, others = 32;

struct Line {
    std::uint16_t tag, permissions;
    std::uint32_t id = 0xffffffff;
};

inode::Bytes list(std::initializer_list<Line> lines) {
    inode::Bytes bytes{std::byte{2}, {}, {}, {}};
    for (const Line &line : lines)
        for (const std::uint64_t number =
                 line.tag | std::uint64_t{line.permissions} << 16 | std::uint64_t{line.id} << 32;
             const unsigned i : {0U, 8U, 16U, 24U, 32U, 40U, 48U, 56U})
            bytes.push_back(static_cast<std::byte>(number >> i));
    return bytes;
}

inode::Bytes for_user_7(std::uint16_t mask_bits = 7) {
    return list({{owner, 7}, {user, 6, 7}, {owning_group, 5}, {mask, mask_bits}, {others, 1}});
}

void set(Volume &volume, InodeNumber inode, std::string_view name, const inode::Bytes &value,
         const Caller &caller = root_caller()) {
    must(volume.set_xattr(caller, inode, name, value, inode::XattrMode::any));
}

std::optional<inode::Bytes> get(Volume &volume, InodeNumber inode, std::string_view name) {
    auto value = volume.get_xattr(root_caller(), inode, name);
    return value ? std::optional(*value) : std::nullopt;
}

std::uint32_t mode_of(Volume &volume, InodeNumber inode) {
    return stat_of(volume, inode).mode & 07777;
}

InodeNumber make(Volume &volume, InodeNumber parent, std::string_view name, std::uint32_t mode,
                 std::uint32_t umask = 0) {
    Caller caller = root_caller();
    caller.umask = umask;
    return must(volume.make_node(caller, parent, name, {.mode = mode})).number;
}

} // namespace

TEST_CASE("access lists: setting the access list sets the mode", "[volume]") {
    VolumeFixture fixture;
    const auto file = make(fixture.volume(), root_dir, "file", S_IFREG | 0600);
    set(fixture.volume(), file, volume::access_list_name, for_user_7(4));
    CHECK(mode_of(fixture.volume(), file) == 0741);
    fixture.remount();
    CHECK(mode_of(fixture.volume(), file) == 0741);
    CHECK(get(fixture.volume(), file, volume::access_list_name) == for_user_7(4));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: one that says no more than the mode is not kept", "[volume]") {
    VolumeFixture fixture;
    const auto file = make(fixture.volume(), root_dir, "file", S_IFREG | 0600);
    set(fixture.volume(), file, volume::access_list_name, for_user_7());
    set(fixture.volume(), file, volume::access_list_name,
        list({{owner, 6}, {owning_group, 4}, {others, 0}}));
    CHECK(mode_of(fixture.volume(), file) == 0640);
    CHECK(must(fixture.volume().list_xattrs(file)).empty());
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: chmod changes the list with the mode", "[volume]") {
    VolumeFixture fixture;
    const auto file = make(fixture.volume(), root_dir, "file", S_IFREG | 0600);
    set(fixture.volume(), file, volume::access_list_name, for_user_7());
    AttributeChange change;
    change.mode = 0120;
    must(fixture.volume().set_attributes(root_caller(), file, change));
    CHECK(get(fixture.volume(), file, volume::access_list_name) ==
          list({{owner, 1}, {user, 6, 7}, {owning_group, 5}, {mask, 2}, {others, 0}}));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: a new file inherits the default list instead of the umask", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make(volume, root_dir, "dir", S_IFDIR | 0755);
    set(volume, dir, volume::default_list_name, for_user_7());
    CHECK(mode_of(volume, dir) == 0755); // the default list is not the directory's own

    const auto file = make(volume, dir, "file", S_IFREG | 0664, 077);
    CHECK(mode_of(volume, file) == 0660);
    CHECK(get(volume, file, volume::access_list_name) ==
          list({{owner, 6}, {user, 6, 7}, {owning_group, 5}, {mask, 6}, {others, 0}}));
    CHECK(!get(volume, file, volume::default_list_name));

    const auto below = make(volume, dir, "below", S_IFDIR | 0777, 077);
    CHECK(mode_of(volume, below) == 0771);
    CHECK(get(volume, below, volume::access_list_name) == for_user_7());
    CHECK(get(volume, below, volume::default_list_name) == for_user_7());
    fixture.remount(); // and not from a cache
    const auto deep = make(fixture.volume(), below, "deep", S_IFREG | 0600, 077);
    CHECK(get(fixture.volume(), deep, volume::access_list_name) ==
          list({{owner, 6}, {user, 6, 7}, {owning_group, 5}, {mask, 0}, {others, 0}}));
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: without a default list the umask applies", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    CHECK(mode_of(volume, make(volume, root_dir, "a", S_IFREG | 06666, 027)) == 06640);
    const auto dir = make(volume, root_dir, "dir", S_IFDIR | 0755);
    set(volume, dir, volume::default_list_name, for_user_7());
    make(volume, dir, "b", S_IFREG | 0666, 027);
    must(volume.remove_xattr(root_caller(), dir, volume::default_list_name));
    CHECK(mode_of(volume, make(volume, dir, "c", S_IFREG | 0666, 027)) == 0640);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: a default list of three entries leaves only a mode", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make(volume, root_dir, "dir", S_IFDIR | 0755);
    set(volume, dir, volume::default_list_name, list({{owner, 7}, {owning_group, 5}, {others, 0}}));
    const auto file = make(volume, dir, "file", S_IFREG | 0666, 0777);
    CHECK(mode_of(volume, file) == 0640);
    CHECK(must(volume.list_xattrs(file)).empty());
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: a file without a name inherits as others do", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto dir = make(volume, root_dir, "dir", S_IFDIR | 0755);
    set(volume, dir, volume::default_list_name, for_user_7());
    const auto made =
        must(volume.create_unnamed(root_caller(), dir, {.mode = S_IFREG | 0666}, {.write = true}));
    CHECK((made.attributes.mode & 07777) == 0660);
    CHECK(get(volume, made.attributes.number, volume::access_list_name).has_value());
    must(volume.link(root_caller(), made.attributes.number, dir, "named"));
    volume.release(made.attributes.number, made.open.handle);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: what has none is not given one", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make(volume, root_dir, "file", S_IFREG | 0600);
    const auto set_default = volume.set_xattr(root_caller(), file, volume::default_list_name,
                                              for_user_7(), inode::XattrMode::any);
    CHECK(set_default.code() == Errc::access);
    const auto broken = volume.set_xattr(root_caller(), file, volume::access_list_name,
                                         list({{owner, 7}}), inode::XattrMode::any);
    CHECK(broken.code() == Errc::invalid);
    CHECK(mode_of(volume, file) == 0600);
    must(volume.remove_xattr(root_caller(), file, volume::access_list_name)); // none: no error
    const auto link =
        must(volume.make_node(root_caller(), root_dir, "link", {.mode = S_IFLNK, .target = "x"}));
    CHECK(volume
              .set_xattr(root_caller(), link.number, volume::access_list_name, for_user_7(),
                         inode::XattrMode::any)
              .code() == Errc::unsupported);
    CHECK(fsck_findings(fixture) == "");
}

TEST_CASE("access lists: setgid stays for members of the group only", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto file = make(volume, root_dir, "file", S_IFREG | 02750);
    Caller member{.uid = 5, .gid = 6};
    member.has_group = [](std::uint32_t group) { return group == 0; };
    set(volume, file, volume::access_list_name, for_user_7(), member);
    CHECK(mode_of(volume, file) == 02771);
    set(volume, file, volume::access_list_name, for_user_7(), Caller{.uid = 5, .gid = 6});
    CHECK(mode_of(volume, file) == 0771);
    CHECK(fsck_findings(fixture) == "");
}
