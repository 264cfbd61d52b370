// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin pins --list, --restore: pins are no attributes that cp or rsync would carry along, so a
// backup saves them in a list of its own.
#include "tools/daxpin/commands.h"
#include "tools/daxpin/file.h"
#include "tools/daxpin/print.h"

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
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

// The character that the three octal digits at the start of `digits` stand for.
std::optional<char> octal(std::string_view digits) {
    unsigned code = 0;
    if (digits.size() < 3 || digits.substr(0, 3).find_first_not_of("01234567") != digits.npos)
        return std::nullopt;
    std::from_chars(digits.data(), digits.data() + 3, code, 8);
    return code <= 0xff ? std::optional(static_cast<char>(code)) : std::nullopt;
}

// Nothing for what escape() does not write.
std::optional<std::string> unescape(std::string_view text) {
    std::string path;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            path += text[i];
            continue;
        }
        const auto character = octal(text.substr(i + 1));
        if (!character)
            return std::nullopt;
        path += *character;
        i += 3;
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

// The pins of a mount, as far as one may look. What one may not is named, and counted.
class PinSearch {
  public:
    Result<void> run(const std::string &mount_point) {
        struct stat root;
        if (stat(mount_point.c_str(), &root) != 0)
            return Error{Errc::not_found, mount_point + ": there is no such directory"};
        root_ = mount_point;
        device_ = root.st_dev;
        left_.push_back(root_);
        while (!left_.empty()) {
            const fs::path directory = std::move(left_.back());
            left_.pop_back();
            look_into(directory);
        }
        return {};
    }

    const std::vector<Pinned> &pins() const { return pins_; }
    unsigned failures() const { return failures_; }

  private:
    void look_into(const fs::path &directory) {
        std::error_code failed;
        fs::directory_iterator entries(directory, failed);
        for (; !failed && entries != fs::directory_iterator(); entries.increment(failed))
            look_at(entries->path());
        if (failed)
            fail(Error{Errc::io, directory.string() + ": " + failed.message()});
    }

    void look_at(const fs::path &path) {
        struct stat status;
        if (lstat(path.c_str(), &status) != 0 || status.st_dev != device_)
            return; // gone meanwhile, or another mount
        if (S_ISDIR(status.st_mode)) {
            left_.push_back(path);
        } else if (S_ISREG(status.st_mode)) {
            auto found = pinned(root_, path);
            if (!found)
                fail(found.error());
            else if (*found)
                pins_.push_back(std::move(**found));
        }
    }

    void fail(const Error &error) {
        std::fprintf(stderr, "daxpin: %s\n", describe(error).c_str());
        ++failures_;
    }

    fs::path root_;
    dev_t device_ = 0;
    std::vector<fs::path> left_; // directories
    std::vector<Pinned> pins_;
    unsigned failures_ = 0;
};

// A line's fields are taken apart by blanks; a number is digits alone.
Result<std::uint64_t> parse_number(const std::string &text) {
    std::uint64_t number = 0;
    const auto *end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc{} || stop != end)
        return Errc::invalid;
    return number;
}

// ERRORS: invalid for what `daxpin pins --list` does not print.
Result<std::pair<std::string, RangeOptions>> parse_line(const std::string &line) {
    std::istringstream fields(line);
    std::string offset, length, escaped, more;
    RangeOptions options;
    options.quiet = true;
    fields >> offset;
    if (offset != "whole") {
        fields >> length;
        DAXPIN_TRY_ASSIGN(options.offset, parse_number(offset));
        DAXPIN_TRY_ASSIGN(options.length, parse_number(length));
    }
    if (!(fields >> escaped) || fields >> more)
        return Errc::invalid;
    auto path = unescape(escaped);
    if (!path)
        return Errc::invalid;
    return std::pair(std::move(*path), options);
}

Result<void> restore_line(int root, const std::string &mount_point, const std::string &line) {
    const auto parsed = parse_line(line);
    if (!parsed)
        return Error{Errc::invalid, "not a line of 'daxpin pins --list': " + line};
    const auto &[path, options] = *parsed;
    const std::string shown = (fs::path(mount_point) / path).string();
    DAXPIN_TRY_ASSIGN(const auto fd, open_below(root, path, shown));
    return pin(shown, fd.get(), options);
}

} // namespace

Result<void> list_pins(const std::string &mount_point, bool as_json) {
    DAXPIN_TRY(devices_of(mount_point)); // nothing pinned, or no daxpin filesystem?
    PinSearch search;
    DAXPIN_TRY(search.run(mount_point));
    json list = json::array();
    for (const auto &pin : search.pins()) {
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
        print_json(list.dump(2));
    if (search.failures() > 0)
        return Error{Errc::io, mount_point + ": the list is not complete"};
    return {};
}

Result<void> restore_pins(const std::string &mount_point) {
    DAXPIN_TRY(devices_of(mount_point));
    DAXPIN_TRY_ASSIGN(const auto root, open_file(mount_point, false));
    unsigned failures = 0;
    for (std::string line; std::getline(std::cin, line);) {
        if (line.empty())
            continue;
        if (const auto restored = restore_line(root.get(), mount_point, line); !restored) {
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
