// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/caller.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/stat.h>

namespace daxpin::fusefs {
namespace {

bool same_user_namespace(const std::string &process) {
    struct stat own {};
    struct stat other {};
    return ::stat("/proc/self/ns/user", &own) == 0 &&
           ::stat((process + "/ns/user").c_str(), &other) == 0 && own.st_dev == other.st_dev &&
           own.st_ino == other.st_ino;
}

// The value of a field of /proc/<thread>/status; nothing if the thread is gone or not ours to see.
std::optional<std::string> status_field(pid_t thread, std::string_view field) {
    std::ifstream status("/proc/" + std::to_string(thread) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(field))
            return line.substr(field.size());
    return std::nullopt;
}

} // namespace

std::optional<std::uint64_t> effective_capabilities(pid_t thread) {
    if (thread <= 0 || !same_user_namespace("/proc/" + std::to_string(thread)))
        return std::nullopt;
    const auto value = status_field(thread, "CapEff:");
    if (!value)
        return std::nullopt;
    return std::strtoull(value->c_str(), nullptr, 16);
}

pid_t process_of(pid_t thread) {
    if (thread <= 0)
        return 0;
    return static_cast<pid_t>(
        std::strtol(status_field(thread, "Tgid:").value_or("0").c_str(), nullptr, 10));
}

bool has_supplementary_group(pid_t thread, gid_t group) {
    if (thread <= 0)
        return false;
    std::istringstream groups(status_field(thread, "Groups:").value_or(""));
    for (gid_t found = 0; groups >> found;)
        if (found == group)
            return true;
    return false;
}

volume::Caller make_caller(uid_t uid, gid_t gid, mode_t umask, pid_t thread) {
    volume::Caller caller;
    caller.uid = uid;
    caller.gid = gid;
    caller.umask = umask;
    caller.pid = thread;
    caller.has_capability = [thread](int capability) {
        const auto capabilities = effective_capabilities(thread);
        return capabilities && (*capabilities >> capability & 1) != 0;
    };
    caller.has_group = [thread](std::uint32_t group) {
        return has_supplementary_group(thread, group);
    };
    return caller;
}

} // namespace daxpin::fusefs
