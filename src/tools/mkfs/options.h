// SPDX-License-Identifier: BSD-3-Clause
//
// What the command line of mkfs.daxpinfs says. Options and defaults: mkfs.daxpinfs(8).
#pragma once

#include "base/result.h"
#include "base/uuid.h"
#include "device/device.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace daxpin::mkfs {

struct Options {
    std::string device;                    // will be device 0
    std::vector<std::string> data_devices; // devices 1, 2, ...
    std::optional<std::uint64_t> size;     // bytes: make `device` a file of this size
    std::string label;
    std::optional<Uuid> uuid;
    std::uint64_t journal_bytes = 0; // 0 = chosen by the device's size
    std::optional<device::Domain> domain;
    bool force = false;
    bool json = false;
    bool quiet = false;
};

// Text to print instead of doing anything: --help, --version.
struct Answer {
    std::string text;
};

// ERRORS: invalid, with one line that names the argument.
Result<std::variant<Options, Answer>> parse_options(int argc, const char *const *argv);

} // namespace daxpin::mkfs
