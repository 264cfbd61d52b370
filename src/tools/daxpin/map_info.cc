// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/map_info.h"

#include "base/size_text.h"
#include "client/query.h"
#include "tools/daxpin/file.h"
#include "tools/daxpin/print.h"

#include <charconv>
#include <cstdio>
#include <daxpin/daxpin.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace daxpin::tool {

namespace {

using client::MapInfo;

template <typename Number> std::optional<Number> parse_number(std::string_view text, int base) {
    Number number = 0;
    const auto end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number, base);
    if (error != std::errc{} || stop != end)
        return std::nullopt;
    return number;
}

// Hexadecimal with 0x, as debuggers print it, or decimal.
Result<std::uint64_t> parse_address(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    const auto address =
        parse_number<std::uint64_t>(text.substr(hexadecimal ? 2 : 0), hexadecimal ? 16 : 10);
    if (!address)
        return Error{Errc::invalid, std::string(text) + ": not an address (0x1234, or decimal)"};
    return *address;
}

const char *fsync_text(const MapInfo &info) {
    if ((info.flags & DAXPIN_MAP_INFO_SHARED) == 0)
        return "private";
    if (info.domain == DAXPIN_GRANULARITY_NONE)
        return "volatile";
    return (info.flags & DAXPIN_MAP_INFO_NO_FSYNC) != 0 ? "no fsync" : "fsync";
}

void print(const MapInfo &info) {
    fmt::print("{:#014x} {:>9} {:>9} {:<3} {:<9} {:<10} {:>#12x} {}\n", info.address,
               size_text(info.length), size_text(info.page_size),
               (info.flags & DAXPIN_MAP_INFO_DAX) != 0 ? "DAX" : "-", fsync_text(info),
               granularity_text(info.domain), info.file_offset,
               info.path.empty() ? "(anonymous)" : info.path);
}

nlohmann::json to_json(const MapInfo &info) {
    return {{"address", info.address},
            {"length", info.length},
            {"page_size", info.page_size},
            {"dax", (info.flags & DAXPIN_MAP_INFO_DAX) != 0},
            {"no_fsync", (info.flags & DAXPIN_MAP_INFO_NO_FSYNC) != 0},
            {"shared", (info.flags & DAXPIN_MAP_INFO_SHARED) != 0},
            {"writable", (info.flags & DAXPIN_MAP_INFO_WRITABLE) != 0},
            {"domain", granularity_text(info.domain)},
            {"file_offset", info.file_offset},
            {"path", info.path}};
}

} // namespace

Result<void> map_info(const std::string &pid, const std::string &address, bool json) {
    if (!parse_number<unsigned>(pid, 10))
        return Error{Errc::invalid, pid + ": not a process number"};
    std::uint64_t start = 0, end = UINT64_MAX;
    if (!address.empty()) {
        DAXPIN_TRY_ASSIGN(start, parse_address(address));
        end = start + 1;
    }
    DAXPIN_TRY_ASSIGN(auto infos, client::query_process({}, pid, 0, UINT64_MAX));
    std::erase_if(infos, [&](const MapInfo &info) {
        return info.address >= end || info.address + info.length <= start;
    });
    if (infos.empty() && !address.empty())
        return Error{Errc::not_found, "process " + pid + " has nothing mapped at " + address};
    if (json) {
        auto list = nlohmann::json::array();
        for (const auto &info : infos)
            list.push_back(to_json(info));
        const nlohmann::json whole = {{"pid", std::stoul(pid)}, {"mappings", list}};
        print_json(whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
        return {};
    }
    fmt::print("{:<14} {:>9} {:>9} {:<3} {:<9} {:<10} {:>12} {}\n", "address", "length", "page",
               "DAX", "to last", "domain", "file offset", "file");
    for (const auto &info : infos)
        print(info);
    return {};
}

} // namespace daxpin::tool
