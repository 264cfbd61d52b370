// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mkfs/options.h"

#include "base/size_text.h"
#include "format/layout.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace daxpin::mkfs {

namespace {

// What CLI11 collects as text before it is understood.
struct Words {
    std::string size;
    std::string uuid;
    std::string journal_size;
    std::string domain;
};

void declare(CLI::App &app, Options &options, Words &words) {
    app.set_help_flag("-h,--help", "print this text and exit");
    app.set_version_flag("-V,--version", "mkfs.daxpinfs " DAXPIN_VERSION,
                         "print the version and exit");
    app.add_option("DEVICE", options.device,
                   "device DAX (/dev/daxN.N), or a file on a DAX or other filesystem")
        ->required()
        ->type_name("");
    app.add_option("--data", options.data_devices,
                   "a further device, for file data; DEVICE then holds only metadata (repeatable)")
        ->type_name("DEVICE")
        ->allow_extra_args(false);
    app.add_option("--size", words.size, "make DEVICE: a file of this size, fully allocated")
        ->type_name("SIZE");
    app.add_option("-L,--label", options.label, "the volume's name, at most 64 bytes")
        ->type_name("TEXT");
    app.add_option("-U,--uuid", words.uuid, "the volume's UUID (default: a random one)")
        ->type_name("UUID");
    app.add_option("--journal-size", words.journal_size,
                   "size of the journal (default: by DEVICE's size)")
        ->type_name("SIZE");
    app.add_option("--domain", words.domain,
                   "what makes a store durable, instead of what the platform says: byte, "
                   "cache_line, page or none")
        ->type_name("DOMAIN");
    app.add_flag("-f,--force", options.force, "overwrite a filesystem or volume that is there");
    app.add_flag("--json", options.json, "print what was made as JSON");
    app.add_flag("-q,--quiet", options.quiet, "print errors only");
    app.footer("SIZE is a number with an optional unit: K, M, G, T (powers of 1024).\n"
               "Exit status: 0 if the volume was made, 1 if not; nothing was changed then.");
}

Result<std::uint64_t> size_of(const std::string &option, const std::string &word) {
    auto size = parse_size(word);
    if (!size)
        return Error{size.code(), option + ": " + describe(size.error())};
    if (*size == 0 || *size % block_size != 0)
        return Error{Errc::invalid,
                     option + ": '" + word + "' is not a multiple of 4096 bytes above zero"};
    return size;
}

Result<device::Domain> domain_of(const std::string &word) {
    using device::Domain;
    for (const Domain domain : {Domain::byte, Domain::cache_line, Domain::page, Domain::none}) {
        if (word == device::to_string(domain))
            return domain;
    }
    return Error{Errc::invalid,
                 "--domain: '" + word + "' is none of byte, cache_line, page and none"};
}

Result<void> check_label(const std::string &label) {
    if (label.size() > format::label_text_max)
        return Error{Errc::invalid, "--label: '" + label + "' is longer than 64 bytes"};
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (std::ranges::any_of(label, control))
        return Error{Errc::invalid, "--label: the text has control characters"};
    return {};
}

Result<void> understand(const Words &words, Options &options) {
    if (!words.size.empty()) {
        DAXPIN_TRY_ASSIGN(options.size, size_of("--size", words.size));
    }
    if (!words.journal_size.empty()) {
        DAXPIN_TRY_ASSIGN(options.journal_bytes, size_of("--journal-size", words.journal_size));
    }
    if (!words.domain.empty()) {
        DAXPIN_TRY_ASSIGN(options.domain, domain_of(words.domain));
    }
    if (!words.uuid.empty()) {
        options.uuid = parse_uuid(words.uuid);
        if (!options.uuid)
            return Error{Errc::invalid, "--uuid: '" + words.uuid + "' is not a UUID"};
    }
    if (1 + options.data_devices.size() > format::devices_max)
        return Error{Errc::invalid, "--data: a volume has at most 16 devices"};
    return check_label(options.label);
}

} // namespace

Result<std::variant<Options, Answer>> parse_options(int argc, const char *const *argv) {
    CLI::App app("Makes a daxpin volume on persistent memory.", "mkfs.daxpinfs");
    Options options;
    Words words;
    declare(app, options, words);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp &) {
        return Answer{app.help() + "\n"};
    } catch (const CLI::CallForVersion &version) {
        return Answer{std::string(version.what()) + "\n"};
    } catch (const CLI::ParseError &error) {
        return Error{Errc::invalid, std::string(error.what()) + " (see mkfs.daxpinfs --help)"};
    }
    DAXPIN_TRY(understand(words, options));
    return options;
}

} // namespace daxpin::mkfs
