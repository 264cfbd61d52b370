// SPDX-License-Identifier: BSD-3-Clause
//
// DaemonOptions: what the command line of daxpinfs says. Options and defaults: daxpinfs(8).
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "device/device.h"
#include "volume/types.h"

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daxpin::fusefs {

struct DaemonOptions {
    std::string device;     // a member of the volume, as given
    std::string mountpoint; // as given
    std::vector<std::string> more_devices;
    std::chrono::seconds wait{0}; // for devices that are missing
    std::optional<device::Domain> domain;
    volume::Options volume; // without on_damage

    bool help = false;
    bool version = false;
    bool foreground = false;
    bool debug = false;   // libfuse prints each request
    bool remount = false; // talk to the daemon that serves the mount point
    bool verbose = false;
    bool prezero = false;      // zero free space when idle
    bool broker = false;       // dax=broker
    std::string broker_socket; // its path; empty = chosen by broker_path()
    LogLevel log_level = LogLevel::info;

    unsigned threads = 0;                    // 0 = by the number of processors
    unsigned max_idle = 0;                   // 0 = idle threads stay
    std::chrono::microseconds stay_awake{0}; // spin_us=

    std::vector<std::string> words; // the names after -o, in their order, known or not
    bool sloppy = false;            // unknown ones are ignored

    // For libfuse and the kernel.
    std::optional<bool> allow_other; // unset = yes if root mounts
    bool allow_root = false;
    bool suid = false;
    bool dev = false;
    std::string fsname; // empty = the device's absolute path
    std::vector<std::string> passed_on;
};

// Parses the arguments after the program's name. Later options win over earlier ones.
// ERRORS: invalid, with one line that names the argument.
Result<DaemonOptions> parse_options(std::span<const char *const> arguments);

// Splits the value of -o at its commas; a backslash takes the next character as it is.
std::vector<std::string> split_mount_options(std::string_view text);

// What --help prints.
const char *usage_text();

// How many threads may serve requests at the same time.
unsigned worker_threads(const DaemonOptions &options);
// How many of them do so as long as none is held up (receiver.h): as many as there are processors
// that this thread may run on, for more would only be in each other's way; but all of them where
// they sleep until the kernel has written pages.
unsigned active_threads(const DaemonOptions &options, device::Domain domain);
unsigned usable_processors();

} // namespace daxpin::fusefs
