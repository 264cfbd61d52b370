// SPDX-License-Identifier: BSD-3-Clause
//
// What fsstress does with names and attributes.
#include "fsstress.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace stress {
namespace {

int errno_of(long result) {
    return result < 0 ? errno : 0;
}

} // namespace

int Actor::create() {
    const auto flags = O_CREAT | O_RDWR | O_NONBLOCK | (random_.one_in(4) ? O_EXCL : 0) |
                       (random_.one_in(6) ? O_TRUNC : 0);
    const int descriptor = open(file_name().c_str(), flags | O_CLOEXEC, 0600 | random_.below(0200));
    return descriptor < 0 ? errno : close(descriptor);
}

int Actor::make_directory() {
    auto path = folder() + format("d%lu", random_.below(3));
    note(path);
    return errno_of(mkdir(path.c_str(), 0700 | static_cast<mode_t>(random_.below(0100))));
}

int Actor::make_node() {
    static constexpr std::array<mode_t, 4> types = {S_IFIFO, S_IFSOCK, S_IFCHR, S_IFREG};
    const auto type = random_.pick(std::span<const mode_t>(types));
    // A device that is not there: nobody can open it and wait.
    return errno_of(mknod(file_name().c_str(), type | 0600, type == S_IFCHR ? makedev(0, 0) : 0));
}

int Actor::make_symlink() {
    const auto target = link_target();
    return errno_of(symlink(target.c_str(), file_name().c_str()));
}

int Actor::make_link() {
    const auto from = name();
    return errno_of(link(from.c_str(), file_name().c_str()));
}

int Actor::rename_with(unsigned flags) {
    const auto from = name();
    return errno_of(renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, name().c_str(), flags));
}

int Actor::rename_any() {
    return rename_with(0);
}
int Actor::rename_exchange() {
    return rename_with(RENAME_EXCHANGE);
}
int Actor::rename_noreplace() {
    return rename_with(RENAME_NOREPLACE);
}
int Actor::rename_whiteout() {
    return rename_with(RENAME_WHITEOUT);
}

int Actor::remove_file() {
    return errno_of(unlink(name().c_str()));
}

int Actor::remove_directory() {
    auto path = folder() + format("d%lu", random_.below(3));
    note(path);
    return errno_of(rmdir(path.c_str()));
}

int Actor::read_link() {
    std::array<char, 4096> target;
    const auto length = readlink(name().c_str(), target.data(), target.size());
    if (length < 0)
        return errno;
    const std::string_view text(target.data(), static_cast<std::size_t>(length));
    if (text.find_first_not_of('x') != text.npos &&
        text.find_first_not_of("./df0123456789") != text.npos)
        throw Violation("a target that nobody wrote");
    return 0;
}

int Actor::list_directory() {
    const auto path = folder();
    note(path);
    DIR *listing = opendir(path.c_str());
    if (listing == nullptr)
        return errno;
    std::set<std::string> dots;
    std::string strange;
    errno = 0;
    for (const dirent *entry; (entry = readdir(listing)) != nullptr; errno = 0) {
        const std::string found = entry->d_name;
        const bool dot = found == "." || found == "..";
        const bool known = found.find_first_not_of('x') == found.npos || // a target, created
                           (found[0] == 'd' && found.size() == 2) ||
                           ((found[0] == 'f' || found[0] == 'u') && found.size() == 3);
        if (dot ? !dots.insert(found).second : !known)
            strange = found;
    }
    const int error = errno;
    closedir(listing);
    if (!strange.empty())
        throw Violation("readdir: " + strange + " is no name of ours, or is there twice");
    return error;
}

int Actor::change_mode() {
    // Not the sticky bit: the kernel's protected_symlinks would refuse what is below.
    const auto mode = static_cast<mode_t>(0700 | (random_.below(07777) & ~S_ISVTX));
    return errno_of(chmod(name().c_str(), mode));
}

int Actor::change_owner() {
    const auto owner = static_cast<uid_t>(random_.below(5));
    const auto path = name();
    return errno_of(geteuid() == 0 ? lchown(path.c_str(), owner, owner)
                                   : lchown(path.c_str(), geteuid(), getegid()));
}

int Actor::change_times() {
    timespec times[2] = {};
    for (auto &time : times)
        time = {static_cast<time_t>(random_.below(1U << 31)),
                random_.one_in(4) ? UTIME_NOW : static_cast<long>(random_.below(1000000000))};
    return errno_of(utimensat(AT_FDCWD, name().c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int Actor::set_attribute() {
    static constexpr std::array<int, 4> flags = {0, 0, XATTR_CREATE, XATTR_REPLACE};
    const auto attribute = format("user.%lu", random_.below(6));
    const std::string value(random_.length(3000), static_cast<char>('a' + random_.below(26)));
    const int how = random_.pick(std::span<const int>(flags));
    return errno_of(lsetxattr(name().c_str(), attribute.c_str(), value.data(), value.size(), how));
}

int Actor::remove_attribute() {
    const auto attribute = format("user.%lu", random_.below(6));
    return errno_of(lremovexattr(name().c_str(), attribute.c_str()));
}

int Actor::list_attributes() {
    std::array<char, 4096> text;
    const auto path = name();
    if (llistxattr(path.c_str(), text.data(), text.size()) < 0)
        return errno;
    const auto attribute = format("user.%lu", random_.below(6));
    const auto length = lgetxattr(path.c_str(), attribute.c_str(), text.data(), text.size());
    for (ssize_t i = 1; i < length; ++i)
        if (text[static_cast<std::size_t>(i)] != text[0])
            throw Violation("an attribute that nobody wrote");
    return errno_of(length);
}

int Actor::stat_any() {
    struct stat info {};
    if (lstat(name().c_str(), &info) != 0)
        return errno;
    if (S_ISREG(info.st_mode) &&
        (info.st_size % 8 != 0 || info.st_size > 2 * static_cast<off_t>(file_size_max)))
        throw Violation(format("a size that nobody made: %ld", info.st_size));
    return 0;
}

} // namespace stress
