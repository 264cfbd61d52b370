// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin leases: who leases what of a mount, and what is in quarantine for it.
#include "base/size_text.h"
#include "tools/daxpin/commands.h"
#include "tools/daxpin/file.h"
#include "tools/daxpin/paths.h"
#include "tools/daxpin/print.h"

#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

namespace daxpin::tool {

namespace {

using nlohmann::json;

constexpr std::uint64_t at_end = ~std::uint64_t{0};

struct Leasing {
    std::vector<daxpin_lease_info> leases;
    // By inode and generation: a call tells of a part of the quarantine.
    std::map<std::pair<std::uint64_t, std::uint64_t>, daxpin_quarantined> quarantined;
    PathsByInode paths;
};

Result<Leasing> ask(const std::string &mount_point) {
    Leasing found;
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(mount_point, false));
    auto leases = std::make_unique<daxpin_leases>();
    for (; leases->cursor_inode != at_end; leases->count = 0) {
        DAXPIN_TRY(request(mount_point, fd.get(), DAXPIN_IOC_LEASES, leases.get()));
        found.leases.insert(found.leases.end(), leases->leases, leases->leases + leases->count);
    }
    auto quarantine = std::make_unique<daxpin_quarantine>();
    for (; quarantine->cursor != at_end; quarantine->count = 0) {
        DAXPIN_TRY(request(mount_point, fd.get(), DAXPIN_IOC_QUARANTINE, quarantine.get()));
        for (const auto &part : std::span(quarantine->files).first(quarantine->count)) {
            auto &file = found.quarantined[{part.inode, part.generation}];
            file.inode = part.inode;
            file.generation = part.generation;
            file.bytes += part.bytes;
            file.flags |= part.flags;
        }
    }
    for (const auto &lease : found.leases)
        found.paths[lease.inode];
    for (const auto &[key, file] : found.quarantined)
        found.paths[file.inode];
    find_paths(mount_point, found.paths);
    return found;
}

// The name of the thread's program; empty if it is gone, or another one may have its number.
std::string command_of(std::int32_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

std::uint64_t age_seconds(const daxpin_lease_info &lease) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const std::int64_t age =
        now.tv_sec - static_cast<std::int64_t>(lease.granted_ns) / 1'000'000'000;
    return age > 0 ? static_cast<std::uint64_t>(age) : 0;
}

bool is_asked_back(const daxpin_lease_info &lease) {
    return (lease.flags & DAXPIN_LEASE_ASKED_BACK) != 0;
}

const char *access_text(const daxpin_lease_info &lease) {
    return lease.access == DAXPIN_LEASE_WRITE ? "write" : "read";
}

void print_as_json(const std::string &path, const Leasing &found) {
    json leases = json::array();
    for (const auto &lease : found.leases)
        leases.push_back({{"inode", lease.inode},
                          {"paths", found.paths.at(lease.inode)},
                          {"id", lease.id},
                          {"access", access_text(lease)},
                          {"offset", lease.offset},
                          {"length", lease.length},
                          {"uid", lease.uid},
                          {"pid", lease.pid},
                          {"command", command_of(lease.pid)},
                          {"age_seconds", age_seconds(lease)},
                          {"asked_back", is_asked_back(lease)}});
    json quarantined = json::array();
    for (const auto &[key, file] : found.quarantined)
        quarantined.push_back({{"inode", file.inode},
                               {"generation", file.generation},
                               {"paths", found.paths.at(file.inode)},
                               {"bytes", file.bytes},
                               {"lost", (file.flags & DAXPIN_QUARANTINE_LOST) != 0}});
    print_json(json{{"path", path}, {"leases", leases}, {"quarantine", quarantined}}.dump(
        2, ' ', false, json::error_handler_t::replace));
}

void print_text(const Leasing &found) {
    for (const auto &lease : found.leases)
        fmt::print("{}: {} lease of bytes {} to {}, uid {}, pid {} {}, {} s{}\n",
                   names_of(found.paths, lease.inode), access_text(lease), lease.offset,
                   lease.offset + lease.length - 1, lease.uid, lease.pid, command_of(lease.pid),
                   age_seconds(lease), is_asked_back(lease) ? ", asked back" : "");
    for (const auto &[key, file] : found.quarantined)
        fmt::print(
            "{}: {} in quarantine{}\n", names_of(found.paths, file.inode), size_text(file.bytes),
            (file.flags & DAXPIN_QUARANTINE_LOST) != 0 ? ", for leases of an earlier daemon too"
                                                       : "");
    fmt::print("{} lease{}\n", found.leases.size(), found.leases.size() == 1 ? "" : "s");
}

} // namespace

Result<void> leases(const std::string &mount_point, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto found, ask(mount_point));
    if (as_json)
        print_as_json(mount_point, found);
    else
        print_text(found);
    return {};
}

Result<void> ask_leases_back(const std::string &path) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    daxpin_break argument{};
    return request(path, fd.get(), DAXPIN_IOC_BREAK, &argument);
}

Result<void> forget_leases(const std::string &path) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    daxpin_forget argument{};
    return request(path, fd.get(), DAXPIN_IOC_FORGET, &argument);
}

} // namespace daxpin::tool
