// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/use.h"

#include "fuzz/input.h"
#include "support/volume_fixture.h"
#include "tools/fsck/check.h"

namespace daxpin::fuzz {

namespace {

constexpr InodeNumber root{format::root_inode};
constexpr unsigned depth_max = 8;
constexpr unsigned background_steps_max = 50;

const volume::Caller &superuser() {
    static const volume::Caller caller{
        .uid = 0, .gid = 0, .umask = 0, .has_capability = [](int) { return true; }};
    return caller;
}

std::string problems(const MediaList &media) {
    std::string text;
    for (const auto &finding : fsck::check(test::open_table(media)).findings)
        if (finding.severity == fsck::Severity::error)
            text += "\n  " + finding.text;
    return text;
}

class Use {
  public:
    Use(volume::Volume &volume, bool sound) : volume_(volume), sound_(sound) {}

    void walk(InodeNumber directory, unsigned depth) {
        std::vector<InodeNumber> found;
        note("list", volume_.list(directory, 0, true,
                                  [&](const volume::ListedEntry &entry, const auto *attributes) {
                                      if (attributes != nullptr && entry.cookie >= 3)
                                          found.push_back(entry.number);
                                      return true;
                                  }));
        for (const InodeNumber number : found) {
            const auto attributes = volume_.attributes(number);
            note("attributes", attributes);
            look_at(number, attributes ? attributes->mode : 0);
            if (attributes && attributes->is_directory() && depth < depth_max)
                walk(number, depth + 1);
            volume_.forget(number, 1);
        }
    }

    void change() {
        const std::vector<std::byte> data(9000, std::byte{0x44});
        for (const char *name : {"file", "shared", "pinned", "sparse"}) {
            const auto found = volume_.lookup(root, name);
            note("lookup", found);
            if (!found)
                continue;
            note("write", volume_.write(found->number, 0, 100, data));
            volume::AttributeChange change;
            change.size = 5000;
            note("truncate", volume_.set_attributes(superuser(), found->number, change));
            note("setxattr", volume_.set_xattr(superuser(), found->number, "user.new", data,
                                               inode::XattrMode::any));
            volume_.forget(found->number, 1);
        }
        for (int i = 0; i < 8; ++i) {
            const auto made =
                volume_.make_node(superuser(), root, "new" + std::to_string(i), {0100600, 0, {}});
            note("create", made);
            if (made)
                volume_.forget(made->number, 1);
        }
        note("rename",
             volume_.rename(superuser(), root, "new0", root, "link", volume::RenameMode::plain));
        for (const char *name : {"file", "link", "sparse", "long", "pipe"})
            note("unlink", volume_.unlink(superuser(), root, name));
        for (unsigned i = 0; i < background_steps_max; ++i) {
            const auto more = volume_.background_step();
            note("background step", more);
            if (!more || !*more)
                break;
        }
    }

  private:
    void look_at(InodeNumber number, std::uint32_t mode) {
        const auto names = volume_.list_xattrs(number);
        note("list_xattrs", names);
        if (names)
            for (const std::string &name : *names)
                note("get_xattr", volume_.get_xattr(superuser(), number, name));
        if (mode >> 12 == 012)
            note("readlink", volume_.read_link(number));
        if (mode >> 12 != 010)
            return;
        note("read", volume_.read(number, 0, 0, 65536));
        note("extents", volume_.show_extents(number));
        note("pins", volume_.pin_status(number));
        note("seek", volume_.seek(number, 0, true));
    }

    // A sound volume may refuse, but it is neither damaged nor unreadable.
    template <typename T> void note(const char *what, const Result<T> &result) {
        if (sound_ && !result && (result.code() == Errc::corrupt || result.code() == Errc::io))
            fail(std::string(what) +
                 " on a volume that fsck finds sound: " + describe(result.error()));
    }

    volume::Volume &volume_;
    const bool sound_;
};

} // namespace

void check_and_use(const MediaList &media) {
    const bool sound = problems(media).empty();
    test::TestEnv env;
    {
        auto opened = volume::Volume::open(test::open_table(media), env, {});
        if (!opened) {
            if (sound && opened.code() != Errc::unsupported && opened.code() != Errc::read_only)
                fail("fsck finds it sound, and it does not mount: " + describe(opened.error()));
            return;
        }
        Use use(**opened, sound);
        use.walk(root, 0);
        use.change();
    }
    if (const auto text = sound ? problems(media) : ""; !text.empty())
        fail("sound before it was used, not after:" + text);
}

} // namespace daxpin::fuzz
