// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin pins --list, --restore: pins are no attributes that cp or rsync would carry along, so a
// backup saves them in a list of its own.
#include "tools/daxpin/commands.h"
#include "tools/daxpin/file.h"

#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/stat.h>

namespace daxpin::tool {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Pinned {
    std::string path; // relative to the mount point
    bool whole = false;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges; // offset, length
};

std::string escape(const std::string &path) {
    std::string text;
    for (const unsigned char c : path) {
        if (c > 0x20 && c < 0x7f && c != '\\')
            text += static_cast<char>(c);
        else
            text += fmt::format("\\{:03o}", c);
    }
    return text;
}

std::string unescape(const std::string &text) {
    std::string path;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            path += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            path += text[i];
        }
    }
    return path;
}

Result<std::optional<Pinned>> pinned(const fs::path &root, const fs::path &path) {
    DAXPIN_TRY_ASSIGN(const auto text, attribute(path.string(), "user.daxpin.status"));
    if (!text)
        return std::optional<Pinned>{};
    Pinned found{path.lexically_relative(root).string(), false, {}};
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string key;
        fields >> key;
        if (key == "pinned") {
            std::string how;
            fields >> how;
            if (how == "no")
                return std::optional<Pinned>{};
            found.whole = how == "whole";
        } else if (key == "pin") {
            std::uint64_t offset = 0, length = 0;
            fields >> offset >> length;
            found.ranges.emplace_back(offset, length);
        }
    }
    return std::optional(std::move(found));
}

Result<std::vector<Pinned>> find_pins(const std::string &mount_point) {
    struct stat root;
    if (stat(mount_point.c_str(), &root) != 0)
        return Error{Errc::not_found, mount_point + ": there is no such directory"};
    std::vector<Pinned> pins;
    std::error_code failed;
    fs::recursive_directory_iterator entries(mount_point, failed), end;
    for (; !failed && entries != end; entries.increment(failed)) {
        struct stat status;
        if (lstat(entries->path().c_str(), &status) != 0)
            continue; // gone meanwhile
        if (status.st_dev != root.st_dev)
            entries.disable_recursion_pending();
        else if (S_ISREG(status.st_mode)) {
            DAXPIN_TRY_ASSIGN(auto found, pinned(mount_point, entries->path()));
            if (found)
                pins.push_back(std::move(*found));
        }
    }
    if (failed)
        return Error{Errc::io, mount_point + ": " + failed.message()};
    return pins;
}

Result<void> restore_line(const std::string &mount_point, const std::string &line) {
    std::istringstream fields(line);
    std::string first, path;
    RangeOptions options;
    options.quiet = true;
    fields >> first;
    if (first != "whole") {
        std::istringstream(first) >> options.offset;
        if (!(fields >> options.length) || first.find_first_not_of("0123456789") != first.npos)
            return Error{Errc::invalid, "not a line of 'daxpin pins --list': " + line};
    }
    if (!(fields >> path))
        return Error{Errc::invalid, "not a line of 'daxpin pins --list': " + line};
    return pin((fs::path(mount_point) / unescape(path)).string(), options);
}

} // namespace

Result<void> list_pins(const std::string &mount_point, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto pins, find_pins(mount_point));
    json list = json::array();
    for (const auto &pin : pins) {
        if (as_json) {
            json ranges = json::array();
            for (const auto &[offset, length] : pin.ranges)
                ranges.push_back({{"offset", offset}, {"length", length}});
            list.push_back({{"path", escape(pin.path)}, {"whole", pin.whole}, {"ranges", ranges}});
        } else if (pin.whole) {
            fmt::print("whole {}\n", escape(pin.path));
        } else {
            for (const auto &[offset, length] : pin.ranges)
                fmt::print("{} {} {}\n", offset, length, escape(pin.path));
        }
    }
    if (as_json)
        std::puts(list.dump(2).c_str());
    return {};
}

Result<void> restore_pins(const std::string &mount_point) {
    unsigned failures = 0;
    for (std::string line; std::getline(std::cin, line);) {
        if (line.empty())
            continue;
        if (const auto restored = restore_line(mount_point, line); !restored) {
            std::fprintf(stderr, "daxpin: %s\n", describe(restored.error()).c_str());
            ++failures;
        }
    }
    if (failures > 0)
        return Error{Errc::io, fmt::format("{} pin{} could not be restored", failures,
                                           failures == 1 ? "" : "s")};
    return {};
}

} // namespace daxpin::tool
