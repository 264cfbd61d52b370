// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/caller.h"

#include <cstdlib>
#include <fstream>
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

} // namespace

std::optional<std::uint64_t> effective_capabilities(pid_t thread) {
    if (thread <= 0)
        return std::nullopt;
    const std::string process = "/proc/" + std::to_string(thread);
    if (!same_user_namespace(process))
        return std::nullopt;
    std::ifstream status(process + "/status");
    constexpr std::string_view field = "CapEff:";
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(field))
            return std::strtoull(line.c_str() + field.size(), nullptr, 16);
    return std::nullopt;
}

volume::Caller make_caller(uid_t uid, gid_t gid, mode_t umask, pid_t thread) {
    volume::Caller caller;
    caller.uid = uid;
    caller.gid = gid;
    caller.umask = umask;
    caller.has_capability = [thread](int capability) {
        const auto capabilities = effective_capabilities(thread);
        return capabilities && (*capabilities >> capability & 1) != 0;
    };
    return caller;
}

} // namespace daxpin::fusefs
