// SPDX-License-Identifier: BSD-3-Clause
//
// dump.daxpinfs: shows what is on a volume's devices. Never writes to them; a mounted volume may
// be looked at, but is a moving target.
#include "base/standard_files.h"
#include "device/open.h"
#include "tools/dump/commands.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <new>

namespace {

using namespace daxpin;

enum ExitStatus { ok = 0, failed = 1, usage = 2 };

struct Options {
    std::string device;
    std::vector<std::string> more_devices;
    bool json = false;
    bool no_replay = false;
    bool secrets = false;
    bool entries = false;
    bool items = false;
    bool list = false;
    std::uint64_t number = 1;
    std::string block;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

using Command = std::function<Result<void>(const dump::Context &)>;
// Whether a command goes beyond what stands at fixed places: then it must know all features.
enum class Reads { fixed_places, everything };

// "17" is block 17 of device 0, "1:17" of device 1.
Result<MediaBlock> parse_block(const std::string &text) {
    const auto colon = text.find(':');
    const std::string device = colon == std::string::npos ? "0" : text.substr(0, colon);
    const std::string block = colon == std::string::npos ? text : text.substr(colon + 1);
    unsigned device_number = 0;
    std::uint64_t block_number = 0;
    if (!CLI::detail::lexical_cast(device, device_number) || device_number > 15 ||
        !CLI::detail::lexical_cast(block, block_number) || block_number >> 48 != 0)
        return Error{Errc::invalid, "'" + text + "' is not a block: use BLOCK or DEVICE:BLOCK"};
    return MediaBlock::at(device_number, block_number);
}

Result<void> hex(const dump::Context &context, const Options &options) {
    DAXPIN_TRY_ASSIGN(const auto block, parse_block(options.block));
    return dump::dump_hex(context, block, options.offset, options.length);
}

class CommandLine {
  public:
    CommandLine() : app_("Shows what is on the devices of a daxpinfs volume.", "dump.daxpinfs") {
        app_.require_subcommand(1);
        app_.set_version_flag("-V,--version", "dump.daxpinfs " DAXPIN_VERSION);
        app_.fallthrough();
        app_.add_flag("--json", options.json, "print one JSON object");
        app_.add_flag("--no-replay", options.no_replay,
                      "show the home blocks alone, without the journal's records over them");
        app_.add_flag("--secrets", options.secrets,
                      "show the journal's epoch and the name hash key too");
        app_.add_option("--device", options.more_devices, "another device of the volume")
            ->type_name("PATH")
            ->allow_extra_args(false);
        app_.footer("Exit status: 0 shown, 1 something could not be read, 2 usage.");
        add_commands();
    }

    int parse(int argc, char **argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError &error) {
            return app_.exit(error) == 0 ? ok : usage;
        }
        return -1;
    }

    Options options;
    Command command;
    Reads reads = Reads::everything;

  private:
    CLI::App *add(const char *name, const char *help, Command run, Reads what = Reads::everything) {
        auto *sub = app_.add_subcommand(name, help);
        sub->add_option("DEVICE", options.device, "a device of the volume")->required();
        sub->callback([this, run, what] {
            command = run;
            reads = what;
        });
        return sub;
    }

    void add_commands() {
        add("superblock", "the superblock and the device table", dump::dump_superblock,
            Reads::fixed_places);
        add("labels", "both labels of every device", dump::dump_labels, Reads::fixed_places);
        add("cells", "both tail cells of the journal", dump::dump_cells, Reads::fixed_places);
        add("ring", "the records that a mount would replay", [this](const auto &context) {
            return dump::dump_ring(context, options.entries);
        })->add_flag("--entries", options.entries, "and the bytes in each");
        add("tree", "the nodes of the tree", [this](const auto &context) {
            return dump::dump_tree(context, options.items);
        })->add_flag("--items", options.items, "the items instead");
        add("bitmaps", "the bitmap chunks and their free counts", dump::dump_bitmaps);
        add("bad", "the list of bad blocks", dump::dump_bad_blocks);
        add("quarantine", "blocks that no file has and a program may map", dump::dump_quarantine);
        add("owners", "how many blocks of each device hold metadata and data",
            [this](const auto &context) { return dump::dump_owners(context, options.list); })
            ->add_flag("--list", options.list, "and who owns each run of blocks");
        add_number("inode", "attributes, extended attributes and pins", dump::dump_inode);
        add_number("directory", "the entries", dump::dump_directory);
        add_number("extents", "the map from file blocks to media", dump::dump_extents);
        auto *sub = add(
            "hex", "bytes of one block",
            [this](const auto &context) { return hex(context, options); }, Reads::fixed_places);
        sub->add_option("BLOCK", options.block, "BLOCK or DEVICE:BLOCK")->required();
        sub->add_option("--offset", options.offset, "first byte");
        sub->add_option("--length", options.length, "bytes; all that follow if not given");
    }

    void add_number(const char *name, const char *help,
                    Result<void> (*run)(const dump::Context &, std::uint64_t)) {
        add(name, help, [this, run](const auto &context) { return run(context, options.number); })
            ->add_option("INODE", options.number, "inode number; 1 is the root")
            ->capture_default_str();
    }

    CLI::App app_;
};

Result<void> run(const CommandLine &line) {
    device::OpenOptions how;
    how.read_only = true;
    how.exclusive = false;
    how.more_paths = line.options.more_devices;
    how.remedies.missing_member = "name them with --device PATH";
    DAXPIN_TRY_ASSIGN(const auto devices, device::open_volume_devices(line.options.device, how));
    const auto labels = reader::read_labels(devices.metadata());
    const auto superblocks = reader::read_superblocks(devices.metadata(), labels.best());
    const auto *superblock = superblocks.best();
    if (superblock == nullptr)
        return Error{Errc::corrupt, line.options.device + ": no copy of the superblock is valid: "
                                                          "restore a backup"};
    if (const auto problems = reader::geometry_problems(*superblock, devices); !problems.empty())
        return Error{Errc::corrupt, line.options.device + ": " + problems.front()};
    const std::uint64_t unknown = superblock->incompat & ~format::known_incompat;
    if (unknown != 0 && line.reads == Reads::everything)
        return Error{Errc::unsupported, line.options.device + ": unknown incompatible features " +
                                            std::to_string(unknown) +
                                            ": use a newer dump.daxpinfs"};
    const reader::View view(devices, *superblock, !line.options.no_replay);
    const auto out = line.options.json ? dump::make_json_output() : dump::make_text_output();
    return line.command({devices, view, *out, line.options.secrets});
}

} // namespace

int main(int argc, char **argv) {
    open_standard_files();
    CommandLine line;
    if (const int status = line.parse(argc, argv); status >= 0)
        return status;
    try {
        if (const auto done = run(line); !done) {
            std::fprintf(stderr, "dump.daxpinfs: %s\n", describe(done.error()).c_str());
            return failed;
        }
    } catch (const std::bad_alloc &) {
        std::fputs("dump.daxpinfs: out of memory\n", stderr);
        return failed;
    }
    if (!write_standard_output()) {
        std::fputs("dump.daxpinfs: standard output cannot be written\n", stderr);
        return failed;
    }
    return ok;
}
