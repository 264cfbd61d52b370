// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin(1): pins files and shows what lies under them.
#include "base/size_text.h"
#include "base/standard_files.h"
#include "tools/daxpin/commands.h"
#include "tools/daxpin/map_info.h"
#include "tools/daxpin/print.h"

#include <CLI/CLI.hpp>
#include <bit>
#include <cstdio>
#include <new>

namespace {

using namespace daxpin;

enum ExitStatus { ok = 0, failed = 1, usage = 2 };

// What the volume takes as hint --align; bytes.
constexpr std::uint64_t align_min = 4096;
constexpr std::uint64_t align_max = std::uint64_t{1} << 30;

struct Arguments {
    std::vector<std::string> paths;
    std::string offset, length, align;
    bool no_prepare = false;
    bool quiet = false;
    bool json = false;
    bool dax = false, no_dax = false;
    bool list = false, restore = false;
    bool bad = false;
    std::string pid, address;
    bool forget = false;
    bool ask_back = false;
};

int exit_status(const Result<void> &done) {
    if (done)
        return ok;
    std::fprintf(stderr, "daxpin: %s\n", describe(done.error()).c_str());
    return done.code() == Errc::invalid ? usage : failed;
}

// Runs `command` on each path; one that fails does not keep the others back.
template <typename Command> int for_each_path(const Arguments &arguments, Command command) {
    int status = ok;
    const bool json_list = arguments.json && arguments.paths.size() > 1;
    if (json_list)
        tool::begin_json_list();
    for (const auto &path : arguments.paths)
        if (const auto done = command(path); !done) {
            std::fprintf(stderr, "daxpin: %s\n", describe(done.error()).c_str());
            status = failed;
        }
    if (json_list)
        tool::end_json_list();
    return status;
}

Result<tool::RangeOptions> range_options(const Arguments &arguments) {
    tool::RangeOptions options;
    options.prepare = !arguments.no_prepare;
    options.quiet = arguments.quiet;
    for (const auto &[text, target] : {std::pair{&arguments.offset, &options.offset},
                                       {&arguments.length, &options.length},
                                       {&arguments.align, &options.align}})
        if (!text->empty()) {
            DAXPIN_TRY_ASSIGN(*target, parse_size(*text));
        }
    return options;
}

int run_range(const Arguments &arguments,
              Result<void> (*command)(const std::string &, const tool::RangeOptions &)) {
    const auto options = range_options(arguments);
    if (!options) {
        std::fprintf(stderr, "daxpin: %s\n", describe(options.error()).c_str());
        return usage;
    }
    return for_each_path(arguments,
                         [&](const std::string &path) { return command(path, *options); });
}

int run_hint(const Arguments &arguments) {
    tool::HintOptions options;
    if (arguments.dax || arguments.no_dax)
        options.dax = arguments.dax;
    if (!arguments.align.empty()) {
        const auto align = parse_size(arguments.align);
        if (!align) {
            std::fprintf(stderr, "daxpin: %s\n", describe(align.error()).c_str());
            return usage;
        }
        if (*align != 0 &&
            (!std::has_single_bit(*align) || *align < align_min || *align > align_max)) {
            std::fprintf(stderr,
                         "daxpin: --align: %s is not 0 or a power of two from 4 KiB to "
                         "1 GiB\n",
                         arguments.align.c_str());
            return usage;
        }
        options.align = *align;
    }
    return for_each_path(arguments, [&](const std::string &path) {
        return tool::hint(path, options, arguments.json);
    });
}

class CommandLine {
  public:
    CommandLine()
        : app_("Pins files of a daxpin filesystem and shows what lies under them.", "daxpin") {
        app_.require_subcommand(1);
        app_.set_version_flag("-V,--version", "daxpin " DAXPIN_VERSION);
        app_.footer("Exit status: 0 done, 1 failed for some file, 2 usage.\nSee daxpin(1).");
        add_range_commands();
        add_show_commands();
        add_pins();
        add_map_info();
        add_leases();
    }

    int run(int argc, char **argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError &error) {
            return app_.exit(error) == 0 ? ok : usage;
        }
        return command_();
    }

  private:
    CLI::App *add(const char *name, const char *about, std::function<int()> command) {
        auto *sub = app_.add_subcommand(name, about);
        sub->callback([this, command = std::move(command)] { command_ = command; });
        return sub;
    }

    void add_paths(CLI::App *sub, const char *what) {
        sub->add_option("path", arguments_.paths, what)->required()->type_name("PATH");
    }

    void add_range_commands() {
        auto *pin = add("pin", "freeze the block map of files, or of a range of them",
                        [this] { return run_range(arguments_, tool::pin); });
        auto *unpin = add("unpin", "let the block map change again",
                          [this] { return run_range(arguments_, tool::unpin); });
        for (auto *sub : {pin, unpin}) {
            add_paths(sub, "file");
            auto *length = sub->add_option("--length", arguments_.length, "length of the range")
                               ->type_name("SIZE");
            sub->add_option("--offset", arguments_.offset, "start of the range")
                ->type_name("SIZE")
                ->needs(length);
        }
        pin->add_option("--align", arguments_.align, "align extents to this")->type_name("SIZE");
        pin->add_flag("--no-prepare", arguments_.no_prepare,
                      "fail instead of filling holes and moving extents");
        pin->add_flag("-q,--quiet", arguments_.quiet, "no notes, no progress");
    }

    void add_show_commands() {
        struct Show {
            const char *name, *about, *what;
            Result<void> (*command)(const std::string &, bool);
        };
        for (const Show &show :
             {Show{"status", "pins and leases of files", "file", tool::status},
              Show{"extents", "where files lie on the devices", "file", tool::extents}}) {
            auto *sub = add(show.name, show.about, [this, command = show.command] {
                return for_each_path(arguments_, [&](const std::string &path) {
                    return command(path, arguments_.json);
                });
            });
            add_paths(sub, show.what);
            sub->add_flag("--json", arguments_.json, "print JSON");
        }
        auto *info = add("info", "the volume and its devices", [this] {
            return for_each_path(arguments_, [&](const std::string &path) {
                return arguments_.bad ? tool::bad_blocks(path, arguments_.json)
                                      : tool::info(path, arguments_.json);
            });
        });
        add_paths(info, "mount point");
        info->add_flag("--json", arguments_.json, "print JSON");
        info->add_flag("--bad", arguments_.bad,
                       "the blocks that cannot be read, and whose they are");
        auto *hint = add("hint", "show or set the hint that files will be mapped",
                         [this] { return run_hint(arguments_); });
        add_paths(hint, "file or directory");
        hint->add_flag("--json", arguments_.json, "print JSON");
        hint->add_option("--align", arguments_.align, "alignment of new extents, 0 = the device's")
            ->type_name("SIZE");
        auto *dax = hint->add_flag("--dax", arguments_.dax, "will be mapped (chattr +x)");
        hint->add_flag("--no-dax", arguments_.no_dax, "will not be mapped")->excludes(dax);
    }

    void add_pins() {
        auto *pins = add("pins", "save or re-create the pins of a mount", [this] {
            return for_each_path(arguments_, [&](const std::string &path) {
                return arguments_.restore ? tool::restore_pins(path)
                                          : tool::list_pins(path, arguments_.json);
            });
        });
        add_paths(pins, "mount point");
        auto *list = pins->add_flag("--list", arguments_.list, "print the pins (the default)");
        pins->add_flag("--restore", arguments_.restore, "pin what a list on stdin names")
            ->excludes(list);
        pins->add_flag("--json", arguments_.json, "print JSON");
    }

    void add_map_info() {
        auto *info =
            add("map-info", "what a process maps, and what its stores need to last", [this] {
                return exit_status(
                    tool::map_info(arguments_.pid, arguments_.address, arguments_.json));
            });
        info->add_option("pid", arguments_.pid, "process")->required()->type_name("PID");
        info->add_option("address", arguments_.address, "only the mapping of this address")
            ->type_name("ADDRESS");
        info->add_flag("--json", arguments_.json, "print JSON");
    }

    void add_leases() {
        auto *leases = add("leases", "who leases what, and what is in quarantine for it", [this] {
            return for_each_path(arguments_, [&](const std::string &path) {
                if (arguments_.ask_back)
                    return tool::ask_leases_back(path);
                return arguments_.forget ? tool::forget_leases(path)
                                         : tool::leases(path, arguments_.json);
            });
        });
        add_paths(leases, "mount point; with --break a file; with --forget a file, or the mount "
                          "point for all");
        auto *ask_back =
            leases->add_flag("--break", arguments_.ask_back, "ask the leases of the file back");
        auto *forget = leases->add_flag("--forget", arguments_.forget,
                                        "nobody maps what an earlier daemon leased: give it back");
        leases->add_flag("--json", arguments_.json, "print JSON")
            ->excludes(forget)
            ->excludes(ask_back);
        forget->excludes(ask_back);
    }

    Arguments arguments_;
    std::function<int()> command_;
    CLI::App app_;
};

} // namespace

int main(int argc, char **argv) {
    open_standard_files();
    try {
        const int status = CommandLine().run(argc, argv);
        if (write_standard_output())
            return status;
        std::fputs("daxpin: standard output cannot be written\n", stderr);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "daxpin: %s\n", error.what());
    }
    return failed;
}
