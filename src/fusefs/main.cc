// SPDX-License-Identifier: BSD-3-Clause
//
// daxpinfs: mounts a daxpin volume and serves it. See daxpinfs(8).
#include "base/standard_files.h"
#include "fusefs/daemon.h"
#include "fusefs/fuse.h"
#include "fusefs/launcher.h"
#include "fusefs/options.h"
#include "fusefs/remount.h"

#include <cstdio>
#include <fmt/format.h>
#include <string>

namespace {

using namespace daxpin;
using namespace daxpin::fusefs;

int print_failure(int status, const Error &error) {
    std::fprintf(stderr, "daxpinfs: %s\n", describe(error).c_str());
    return status;
}

int print(const std::string &text) {
    std::fputs(text.c_str(), stdout);
    if (write_standard_output())
        return exit_success;
    std::fputs("daxpinfs: standard output cannot be written\n", stderr);
    return exit_system;
}

} // namespace

int main(int argc, char **argv) {
    open_standard_files();
    const auto options = parse_options(std::span(argv + 1, static_cast<std::size_t>(argc - 1)));
    if (!options)
        return print_failure(exit_usage, options.error());
    if (options->help)
        return print(usage_text());
    if (options->version)
        return print(fmt::format("daxpinfs {} (libfuse {})\n", DAXPIN_VERSION, fuse_pkgversion()));
    if (options->remount) {
        const auto done = remount(*options);
        return done ? exit_success : print_failure(exit_status(done.code()), done.error());
    }
    return launch(options->foreground,
                  [&](Reporter &reporter) { return serve(*options, reporter); });
}
