// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/remount.h"

#include "base/unique_fd.h"
#include "wire/control.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

namespace daxpin::fusefs {
namespace {

Error failure(const std::string &path, const std::string &what, int number) {
    return {from_errno(number),
            "remount of " + path + ": " + what + ": " + to_string(from_errno(number))};
}

// The flags of the mount that mount(2) would otherwise clear.
unsigned long kept_flags(unsigned long shown) {
    static constexpr std::pair<unsigned long, unsigned long> flags[] = {
        {ST_NOSUID, MS_NOSUID},          {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
        {ST_NOATIME, MS_NOATIME},        {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME},
        {ST_SYNCHRONOUS, MS_SYNCHRONOUS}};
    unsigned long kept = 0;
    for (const auto &[status, mount] : flags)
        if ((shown & status) != 0)
            kept |= mount;
    return kept;
}

struct Word {
    std::string_view name;
    unsigned long flag; // of statvfs(3)
    bool is_set;
};

constexpr Word words[] = {
    {"suid", ST_NOSUID, false},      {"nosuid", ST_NOSUID, true},
    {"dev", ST_NODEV, false},        {"nodev", ST_NODEV, true},
    {"exec", ST_NOEXEC, false},      {"noexec", ST_NOEXEC, true},
    {"relatime", ST_NOATIME, false}, {"strictatime", ST_NOATIME, false},
    {"noatime", ST_NOATIME, true},
};

// A remount may say again how the mount is, as mount(8) does, and nothing else of these. Of
// contradicting words the last counts.
Result<void> check_words(const DaemonOptions &options, unsigned long shown) {
    const auto has = [&](std::string_view word) {
        return std::ranges::find(options.words, word) != options.words.end();
    };
    if (!has("ro") && !has("rw"))
        return Error{Errc::invalid, "remount of " + options.mountpoint +
                                        ": say ro or rw; nothing "
                                        "else can be changed"};
    std::map<unsigned long, const Word *> wanted;
    for (std::string_view name : options.words) {
        if (name == "atime") // of any value, or none
            name = options.volume.atime == volume::Atime::none ? "noatime" : "relatime";
        for (const Word &word : words)
            if (word.name == name)
                wanted[word.flag] = &word;
    }
    for (const auto &[flag, word] : wanted)
        if (((shown & flag) != 0) != word->is_set)
            return Error{Errc::invalid, "remount of " + options.mountpoint + ": " +
                                            std::string(word->name) +
                                            " cannot be changed while mounted: unmount, and mount "
                                            "with it"};
    return {};
}

Result<void> change_kernel(const std::string &path, bool read_only) {
    struct statvfs now {};
    if (::statvfs(path.c_str(), &now) != 0)
        return failure(path, "statvfs", errno);
    unsigned long flags = MS_REMOUNT | kept_flags(now.f_flag);
    if (read_only)
        flags |= MS_RDONLY;
    if (::mount(nullptr, path.c_str(), nullptr, flags, nullptr) == 0)
        return {};
    if (errno == EBUSY)
        return failure(path, "a file is open for writing there", errno);
    return failure(path, "mount", errno);
}

Result<void> change_daemon(const std::string &path, int root, bool read_only) {
    wire::ControlRemount wanted{};
    wanted.read_only = read_only ? 1 : 0;
    if (::ioctl(root, wire::control_remount, &wanted) != 0)
        return failure(path, "the daemon refuses", errno);
    return {};
}

} // namespace

Result<void> remount(const DaemonOptions &options) {
    const std::string &path = options.mountpoint;
    const bool read_only = options.volume.read_only;
    const UniqueFd root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        return failure(path, "open", errno);
    wire::ControlHello hello{};
    if (::ioctl(root.get(), wire::control_hello, &hello) != 0)
        return Error{Errc::invalid,
                     "remount of " + path + ": no daxpin filesystem is mounted there"};
    struct statvfs now {};
    if (::statvfs(path.c_str(), &now) != 0)
        return failure(path, "statvfs", errno);
    DAXPIN_TRY(check_words(options, now.f_flag));
    // The kernel stops writers before the daemon refuses them, and lets them in after it does.
    if (!read_only && hello.damaged != 0)
        return Error{Errc::read_only,
                     "remount of " + path +
                         ": metadata is damaged (daxpin info says where): unmount and run "
                         "fsck.daxpinfs -y, or mount with errors=continue"};
    if (!read_only) {
        DAXPIN_TRY(change_daemon(path, root.get(), false));
        return change_kernel(path, false);
    }
    DAXPIN_TRY(change_kernel(path, true));
    auto changed = change_daemon(path, root.get(), true);
    if (!changed)
        static_cast<void>(change_kernel(path, hello.read_only != 0));
    return changed;
}

} // namespace daxpin::fusefs
