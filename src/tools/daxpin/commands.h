// SPDX-License-Identifier: BSD-3-Clause
//
// The commands of daxpin(1). Each prints to stdout, as text or JSON, and returns what went wrong.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace daxpin::tool {

struct RangeOptions {
    std::uint64_t offset = 0; // bytes
    std::uint64_t length = 0; // 0 with offset 0: the whole file
    std::uint64_t align = 0;  // 0: what the device needs
    bool prepare = true;
    bool quiet = false;
};
Result<void> pin(const std::string &path, const RangeOptions &options);
Result<void> pin(const std::string &path, int fd, const RangeOptions &options); // an open file
Result<void> unpin(const std::string &path, const RangeOptions &options);

Result<void> status(const std::string &path, bool json);
Result<void> extents(const std::string &path, bool json);

struct HintOptions {
    std::optional<bool> dax;
    std::optional<std::uint64_t> align; // bytes
};
Result<void> hint(const std::string &path, const HintOptions &options, bool json);

Result<void> info(const std::string &path, bool json);
Result<void> bad_blocks(const std::string &mount_point, bool json);

Result<void> leases(const std::string &mount_point, bool json);
Result<void> ask_leases_back(const std::string &path);
Result<void> forget_leases(const std::string &path); // a file, or the mount point for all

// One line a pinned file: "whole PATH" or "OFFSET LENGTH PATH" for each range of a partial pin;
// PATH relative to the mount point, with \ooo for bytes that are no printable ASCII.
Result<void> list_pins(const std::string &mount_point, bool json);
// Reads such lines from stdin. Goes on after a file that cannot be pinned; fails at the end.
Result<void> restore_pins(const std::string &mount_point);

} // namespace daxpin::tool
