// SPDX-License-Identifier: BSD-3-Clause
#include "device/mappings.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace daxpin::device {

namespace {

// The inode numbers of the first namespaces are part of the kernel's interface.
constexpr char first_pid_namespace[] = "pid:[4026531836]";
constexpr char first_user_namespace[] = "user:[4026531837]";
constexpr unsigned cap_sys_ptrace = 19;

// Each look is shorter than the one before it, unless somebody forks without end.
constexpr unsigned looks_max = 100;
// How often a process is looked into again because it unmapped something meanwhile.
constexpr unsigned reads_max = 20;

std::string link_text(const std::string &path) {
    char text[64];
    const ssize_t length = ::readlink(path.c_str(), text, sizeof text);
    return length < 0 ? std::string() : std::string(text, static_cast<std::size_t>(length));
}

// The rest of the line of a status file that begins with `name`.
std::string status_field(const std::string &path, const std::string &name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name))
            return line.substr(name.size());
    return {};
}

bool is_number(const std::string &name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_gone(int error) {
    return error == ENOENT || error == ESRCH;
}

// What the daemon may not do it never may; anything else, but that there is nothing (not_found),
// may be over at the next look.
Error cannot_look(int error, const std::string &what) {
    if (is_gone(error))
        return {Errc::not_found, what + " is gone"};
    const bool refused = error == EACCES || error == EPERM;
    return {refused ? Errc::access : Errc::busy, "cannot look into " + what};
}

Result<std::vector<std::string>> numbers_in(const std::string &directory) {
    const std::unique_ptr<DIR, int (*)(DIR *)> open(::opendir(directory.c_str()), ::closedir);
    if (!open)
        return cannot_look(errno, directory);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent *entry = ::readdir(open.get()))
        if (is_number(entry->d_name))
            names.emplace_back(entry->d_name);
    if (errno != 0)
        return cannot_look(errno, directory);
    return names;
}

// The 22nd field of stat; the second one, the name, may hold anything.
Result<std::string> start_time(const std::string &process) {
    errno = 0;
    std::ifstream file(process + "/stat");
    std::string text;
    std::getline(file, text, '\0');
    std::size_t at = text.rfind(')');
    constexpr unsigned fields_behind_name = 20;
    for (unsigned i = 0; i < fields_behind_name && at != std::string::npos; ++i)
        at = text.find(' ', at + 1);
    if (at == std::string::npos)
        return cannot_look(text.empty() ? errno : 0, process);
    return text.substr(at + 1, text.find(' ', at + 1) - at - 1);
}

struct MapsLine {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    char modes[5] = {};
    std::uint64_t offset = 0;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    std::uint64_t inode = 0;
};

bool parse(const std::string &line, MapsLine &out) {
    return std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64,
                       &out.begin, &out.end, out.modes, &out.offset, &out.major_number,
                       &out.minor_number, &out.inode) == 7;
}

std::string hexadecimal(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%" PRIx64, value);
    return text;
}

} // namespace

Result<MappableFile> mappable_file(const std::string &path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
        return from_errno(errno);
    return MappableFile{status.st_dev, status.st_ino, S_ISCHR(status.st_mode) ? status.st_rdev : 0};
}

Result<void> MappingScan::check_privilege() const {
    if (link_text(proc_ + "/self/ns/pid") != first_pid_namespace ||
        link_text(proc_ + "/self/ns/user") != first_user_namespace)
        return Error{Errc::access, "not in the first process and user namespaces"};
    const std::string text = status_field(proc_ + "/self/status", "CapEff:\t");
    if (text.empty())
        return Error{Errc::busy, "cannot read " + proc_ + "/self/status"};
    std::uint64_t capabilities = 0;
    std::from_chars(text.data(), text.data() + text.size(), capabilities, 16);
    if ((capabilities >> cap_sys_ptrace & 1) == 0)
        return Error{Errc::access, "no CAP_SYS_PTRACE"};
    return {};
}

Result<void> MappingScan::check_recognized() {
    std::vector<MappedRange> own;
    DAXPIN_TRY(scan_process(std::to_string(self_), own));
    for (std::size_t i = 0; i < files_.size(); ++i)
        if (std::ranges::none_of(own, [&](const MappedRange &range) { return range.file == i; }))
            return Error{Errc::access, "mappings of the device are not recognized"};
    return {};
}

Result<MappingScan::Processes> MappingScan::list() const {
    DAXPIN_TRY_ASSIGN(const auto pids, numbers_in(proc_));
    Processes processes;
    for (const std::string &pid : pids) {
        auto time = start_time(proc_ + "/" + pid);
        if (time)
            processes.emplace(pid, std::move(*time));
        else if (time.code() != Errc::not_found)
            return std::move(time).error();
    }
    return processes;
}

std::size_t MappingScan::file_of(FileKey key) const {
    for (std::size_t i = 0; i < files_.size(); ++i)
        if (files_[i].filesystem == key.first && files_[i].inode == key.second)
            return i;
    return other_file;
}

// Which character device of ours a mapping is of, by whatever node of it.
Result<std::size_t> MappingScan::device_of(FileKey key, const std::string &map_file) {
    if (std::ranges::none_of(files_, [](const auto &file) { return file.character != 0; }))
        return other_file;
    if (const auto known = known_.find(key); known != known_.end())
        return known->second;
    // As the kernel knows it: a file server or a FUSE daemon might never answer. If nothing is
    // asked for, the mode is told all the same, but for a FUSE mount that refuses us: those have no
    // devices.
    struct statx status {};
    if (::statx(AT_FDCWD, map_file.c_str(), AT_STATX_DONT_SYNC, 0, &status) != 0) {
        if (is_gone(errno))
            return Error{Errc::stale, "mappings change while they are looked at"};
        return Error{Errc::busy, "cannot look at " + map_file};
    }
    const dev_t number = makedev(status.stx_rdev_major, status.stx_rdev_minor);
    std::size_t found = other_file;
    for (std::size_t i = 0; i < files_.size(); ++i)
        if (S_ISCHR(status.stx_mode) && number == files_[i].character)
            found = i;
    known_[key] = found;
    return found;
}

Result<void> MappingScan::scan_line(const std::string &process, const std::string &line,
                                    std::vector<MappedRange> &found) {
    MapsLine map;
    if (!parse(line, map) || map.end <= map.begin)
        return Error{Errc::busy, "cannot read " + process + "/maps"};
    if (map.inode == 0)
        return {};
    const FileKey key{makedev(map.major_number, map.minor_number), map.inode};
    std::size_t file = file_of(key);
    const bool shared = map.modes[3] == 's'; // device DAX knows no others
    if (file == other_file && shared) {
        DAXPIN_TRY_ASSIGN(file, device_of(key, process + "/map_files/" + hexadecimal(map.begin) +
                                                   "-" + hexadecimal(map.end)));
    }
    if (file != other_file)
        found.push_back({file, map.offset, map.end - map.begin});
    return {};
}

// False if there is nothing: a kernel thread, or a process whose first thread has ended.
Result<bool> MappingScan::scan_maps(const std::string &process, std::vector<MappedRange> &found) {
    errno = 0;
    std::ifstream file(process + "/maps");
    if (!file && is_gone(errno))
        return true;
    if (!file)
        return cannot_look(errno, process);
    bool any = false;
    for (std::string line; std::getline(file, line); any = true)
        DAXPIN_TRY(scan_line(process, line, found));
    if (file.bad())
        return Error{Errc::busy, "cannot read " + process + "/maps"};
    return any;
}

Result<void> MappingScan::scan_process(const std::string &pid, std::vector<MappedRange> &found) {
    const std::size_t before = found.size();
    for (unsigned read = 0; read < reads_max; ++read) {
        auto scanned = scan_once(pid, found);
        if (scanned || scanned.code() != Errc::stale)
            return scanned;
        // Another mapping may have the rest of the one that went.
        found.resize(before);
    }
    return Error{Errc::busy, "the mappings of process " + pid + " change all the time"};
}

Result<void> MappingScan::scan_once(const std::string &pid, std::vector<MappedRange> &found) {
    const std::string process = proc_ + "/" + pid;
    DAXPIN_TRY_ASSIGN(const bool any, scan_maps(process, found));
    if (any)
        return {};
    // The memory is the threads', and one of them may go on without the first.
    const auto threads = numbers_in(process + "/task");
    if (!threads && threads.code() == Errc::not_found)
        return {};
    if (!threads)
        return threads.error();
    for (const std::string &thread : *threads)
        if (thread != pid)
            DAXPIN_TRY(scan_maps(process + "/task/" + thread, found));
    return {};
}

Result<void> MappingScan::scan(std::vector<MappedRange> &found) {
    Processes seen{};
    for (unsigned look = 0; look < looks_max; ++look) {
        DAXPIN_TRY_ASSIGN(const auto now, list());
        bool any = false;
        for (const auto &process : now) {
            if (!seen.insert(process).second)
                continue;
            any = true;
            if (process.first != std::to_string(self_))
                DAXPIN_TRY(scan_process(process.first, found));
        }
        if (!any)
            return {};
    }
    return Error{Errc::busy, "processes come up faster than they can be looked into"};
}

Result<std::vector<MappedRange>> MappingScan::mapped() {
    DAXPIN_TRY(check_privilege());
    known_.clear();
    DAXPIN_TRY(check_recognized());
    std::vector<MappedRange> found;
    DAXPIN_TRY(scan(found));
    DAXPIN_TRY(scan(found));
    return found;
}

} // namespace daxpin::device
