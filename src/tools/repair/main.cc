// SPDX-License-Identifier: BSD-3-Clause
//
// fsck.daxpinfs: checks volumes and repairs them. Exit status as fsck(8).
#include "base/standard_files.h"
#include "device/open.h"
#include "tools/repair/print.h"
#include "tools/repair/progress.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>

namespace {

using namespace daxpin;

enum ExitStatus {
    ok = 0,
    corrected = 1,
    errors_left = 4,
    operational = 8,
    usage = 16,
    cancelled = 32
};

volatile std::sig_atomic_t interrupted = 0;

struct Options {
    std::vector<std::string> devices;
    bool no = false;
    bool yes = false;
    bool automatic = false;
    bool verbose = false;
    bool json = false;
    bool skip_in_use = false;
    int progress_fd = 0;
    bool repair() const { return !no && (yes || automatic); }
};

void add_options(CLI::App &app, Options &options, bool &ignored) {
    app.add_option("DEVICE", options.devices,
                   "a device of the volume, or a file that holds one; several are checked one "
                   "after the other, members of one volume together")
        ->required();
    app.add_flag("-n", options.no, "check only, change nothing (the default)");
    app.add_flag("-y", options.yes, "repair everything that can be repaired");
    app.add_flag("-a,-p", options.automatic, "repair what loses no name and no byte");
    app.add_flag("-v,--verbose", options.verbose, "print counts of what was found");
    app.add_flag("--json", options.json, "print the report as JSON");
    app.add_flag("-M", options.skip_in_use, "pass over a volume that is in use, with status 0");
    app.add_option("-C", options.progress_fd, "write progress to this descriptor; 0: a bar")
        ->type_name("FD");
    app.add_flag("-f,--force,-r,-A,-R,-T", ignored, "accepted for fsck(8), without effect");
    app.set_version_flag("-V,--version", "fsck.daxpinfs " DAXPIN_VERSION);
    app.footer(
        "Exit status: 0 clean, 1 errors corrected, 4 errors left, 8 the check could not be made,\n"
        "16 usage, 32 cancelled. Those of all volumes, joined bit by bit.");
}

// One volume: the device given and whichever of the others are members of it.
struct Opened {
    fsck::Checked checked;
    int status = ok;
    std::vector<std::string> members; // paths
};

int status_of(const repair::Outcome &outcome) {
    const fsck::Report &report = outcome.after;
    if (report.cancelled)
        return cancelled;
    const bool unknown = std::ranges::any_of(report.findings, [](const fsck::Finding &finding) {
        return finding.subject == fsck::Subject::feature;
    });
    const int changed = outcome.done.empty() ? ok : corrected;
    return unknown ? operational : changed | (report.clean() ? ok : errors_left);
}

repair::Outcome run(device::DeviceTable &devices, const std::string &path, const Options &options) {
    fsck::Progress bar(path.c_str(), options.progress_fd);
    const auto progress = [&](double done) {
        if (!options.json)
            bar.show(done);
        return interrupted == 0;
    };
    if (options.repair()) {
        const auto level = options.yes ? repair::Level::all : repair::Level::safe;
        return repair::repair(devices, system_env(), {level, progress});
    }
    fsck::CheckOptions check;
    check.progress = progress;
    repair::Outcome outcome;
    outcome.before = outcome.after = fsck::check(devices, check);
    return outcome;
}

Opened check_volume(const std::string &path, const std::vector<std::string> &others,
                    const Options &options) {
    Opened opened{{path, {}, {}, false}, ok, {path}};
    device::OpenOptions how;
    how.read_only = !options.repair();
    how.more_paths = others;
    how.remedies = {"name them after this one", "check it with -n, or make it writable"};
    auto devices = device::open_volume_devices(path, how);
    if (!devices && devices.code() == Errc::busy && options.skip_in_use) {
        opened.checked.skipped = true;
        return opened;
    }
    if (!devices) {
        opened.checked.failure = describe(devices.error());
        opened.status = operational;
        return opened;
    }
    for (unsigned i = 0; i < devices->count(); ++i)
        opened.members.push_back(devices->at(i).info().path);
    opened.checked.outcome = run(*devices, path, options);
    opened.status = status_of(opened.checked.outcome);
    return opened;
}

void print(const fsck::Checked &checked, const Options &options) {
    if (!checked.failure.empty())
        std::fprintf(stderr, "fsck.daxpinfs: %s\n", checked.failure.c_str());
    else if (checked.skipped)
        std::printf("%s: in use, passed over\n", checked.device.c_str());
    else
        fsck::print_text(checked.device, checked.outcome, {options.verbose});
}

bool same_file(const std::string &a, const std::string &b) {
    std::error_code failed;
    return a == b || std::filesystem::equivalent(a, b, failed);
}

int check_all(const Options &options) {
    int status = ok;
    std::vector<fsck::Checked> all;
    std::vector<std::string> left = options.devices;
    while (!left.empty() && interrupted == 0) {
        // All of them, also what an earlier round refused: a copy must not take its place here.
        const auto opened = check_volume(left.front(), options.devices, options);
        status |= opened.status;
        std::erase_if(left, [&](const std::string &path) {
            return std::ranges::any_of(
                opened.members, [&](const std::string &member) { return same_file(path, member); });
        });
        if (!options.json)
            print(opened.checked, options);
        all.push_back(opened.checked);
    }
    if (options.json)
        fsck::print_json(all);
    return interrupted != 0 ? status | cancelled : status;
}

void on_signal(int) {
    interrupted = 1;
}

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGHUP, &action, nullptr); // the terminal was closed
}

} // namespace

int main(int argc, char **argv) {
    open_standard_files();
    CLI::App app("Checks and repairs daxpinfs volumes.", "fsck.daxpinfs");
    Options options;
    bool ignored = false;
    add_options(app, options, ignored);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? ok : usage;
    }
    if (options.no && (options.yes || options.automatic)) {
        std::fputs("fsck.daxpinfs: -n and -y, -a or -p exclude each other\n", stderr);
        return usage;
    }
    catch_signals();
    try {
        const int status = check_all(options);
        if (write_standard_output())
            return status;
        std::fputs("fsck.daxpinfs: standard output cannot be written\n", stderr);
        return status | operational;
    } catch (const std::bad_alloc &) {
        std::fputs("fsck.daxpinfs: out of memory\n", stderr);
        return operational;
    }
}
