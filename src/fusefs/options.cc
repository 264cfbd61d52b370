// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/options.h"

#include "base/size_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <sched.h>
#include <thread>
#include <utility>

namespace daxpin::fusefs {
namespace {

Error usage_error(std::string text) {
    return Error{Errc::invalid, std::move(text) + " (see daxpinfs --help)"};
}

Error bad_value(std::string_view name, std::string_view value, std::string_view allowed) {
    std::string text = "option " + std::string(name) + ": '" + std::string(value) + "' is not ";
    return usage_error(text + std::string(allowed));
}

// The value of a keyword that stands for itself in a table of names.
template <typename T, std::size_t n>
Result<T> pick(std::string_view name, std::string_view value,
               const std::array<std::pair<std::string_view, T>, n> &choices,
               std::string_view allowed) {
    const auto *found = std::find_if(choices.begin(), choices.end(),
                                     [&](const auto &choice) { return choice.first == value; });
    if (found == choices.end())
        return bad_value(name, value, allowed);
    return found->second;
}

// Digits alone, from `least` to `most`; `allowed` says that in words.
Result<unsigned> parse_number(std::string_view name, std::string_view value, unsigned least,
                              unsigned most, std::string_view allowed) {
    unsigned number = 0;
    const auto *const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error != std::errc() || stop != end || number < least || number > most)
        return bad_value(name, value, allowed);
    return number;
}

Result<unsigned> parse_count(std::string_view name, std::string_view value) {
    return parse_number(name, value, 1, 1024, "a number from 1 to 1024");
}

Result<std::uint64_t> parse_limit(std::string_view name, std::string_view value) {
    const auto limit = parse_size(value);
    if (!limit)
        return bad_value(name, value, "a number, 0 for no limit");
    return *limit;
}

Result<std::chrono::microseconds> parse_microseconds(std::string_view name,
                                                     std::string_view value) {
    DAXPIN_TRY_ASSIGN(const auto count,
                      parse_number(name, value, 0, 1000, "a number of microseconds, at most 1000"));
    return std::chrono::microseconds(count);
}

Result<std::uint64_t> parse_seconds(std::string_view name, std::string_view value) {
    return parse_number(name, value, 0, 24 * 3600, "a number of seconds, at most a day");
}

Result<device::Domain> domain_of(std::string_view value) {
    if (const auto domain = device::parse_domain(value))
        return *domain;
    return bad_value("domain", value, "byte, cache_line, page or none");
}

Result<volume::PinPolicy> parse_pin(std::string_view value) {
    using volume::PinPolicy;
    static constexpr std::array<std::pair<std::string_view, PinPolicy>, 3> choices{{
        {"owner", PinPolicy::owner},
        {"cap", PinPolicy::capability},
        {"off", PinPolicy::off},
    }};
    return pick<PinPolicy>("pin", value, choices, "owner, cap or off");
}

struct DaxPolicy {
    bool leases;
    bool broker;
};

Result<DaxPolicy> parse_dax(std::string_view value) {
    static constexpr std::array<std::pair<std::string_view, DaxPolicy>, 3> choices{{
        {"open", {true, false}},
        {"broker", {true, true}},
        {"off", {false, false}},
    }};
    return pick<DaxPolicy>("dax", value, choices, "open, broker or off");
}

Result<volume::OnDamage> parse_errors(std::string_view value) {
    using volume::OnDamage;
    static constexpr std::array<std::pair<std::string_view, OnDamage>, 3> choices{{
        {"ro", OnDamage::read_only},
        {"continue", OnDamage::go_on},
        {"exit", OnDamage::exit},
    }};
    return pick<OnDamage>("errors", value, choices, "ro, continue or exit");
}

constexpr std::array<std::pair<std::string_view, volume::Atime>, 3> atime_words{{
    {"relatime", volume::Atime::relative},
    {"noatime", volume::Atime::none},
    {"strictatime", volume::Atime::strict},
}};

Result<LogLevel> parse_level(std::string_view value) {
    static constexpr std::array<std::pair<std::string_view, LogLevel>, 4> choices{{
        {"error", LogLevel::error},
        {"warning", LogLevel::warning},
        {"info", LogLevel::info},
        {"debug", LogLevel::debug},
    }};
    return pick<LogLevel>("log", value, choices, "error, warning, info or debug");
}

// Words of fstab and mount(8) that are not for us.
bool is_for_mount(std::string_view name) {
    // The last two lines are what the kernel shows of a FUSE mount: a remount hands it back.
    static constexpr std::array<std::string_view, 32> words{"defaults",      "_netdev",
                                                            "nofail",        "auto",
                                                            "noauto",        "user",
                                                            "users",         "nouser",
                                                            "nousers",       "owner",
                                                            "noowner",       "group",
                                                            "nogroup",       "silent",
                                                            "loud",          "quiet",
                                                            "uhelper",       "helper",
                                                            "comment",       "norelatime",
                                                            "nostrictatime", "noiversion",
                                                            "nolazytime",    "nomand",
                                                            "async",         "default_permissions",
                                                            "user_id",       "group_id",
                                                            "rootmode",      "fd",
                                                            "max_read",      "blksize"};
    return std::find(words.begin(), words.end(), name) != words.end() || name.starts_with("x-") ||
           name.starts_with("X-");
}

// What libfuse and the kernel take as it is, whatever the filesystem.
bool is_passed_on(std::string_view name) {
    static constexpr std::array<std::string_view, 10> words{
        "exec",        "noexec",    "sync",       "dirsync", "context",
        "rootcontext", "fscontext", "defcontext", "subtype", "auto_unmount"};
    return std::find(words.begin(), words.end(), name) != words.end();
}

using Setter = Result<void> (*)(DaemonOptions &, std::string_view value);

struct Keyword {
    std::string_view name;
    bool has_value;
    Setter set;
};

template <auto member, auto parse>
Result<void> set_parsed(DaemonOptions &options, std::string_view value) {
    DAXPIN_TRY_ASSIGN(options.*member, parse(value));
    return {};
}

template <auto member, bool value> Result<void> set_flag(DaemonOptions &options, std::string_view) {
    options.*member = value;
    return {};
}

constexpr std::array<Keyword, 36> keywords{{
    {"device", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         o.more_devices.emplace_back(value);
         return {};
     }},
    {"wait", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(const auto seconds, parse_seconds("wait", value));
         o.wait = std::chrono::seconds(seconds);
         return {};
     }},
    {"domain", true, set_parsed<&DaemonOptions::domain, domain_of>},
    {"log", true, set_parsed<&DaemonOptions::log_level, parse_level>},
    {"pin", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.volume.pin, parse_pin(value));
         return {};
     }},
    {"errors", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.volume.errors, parse_errors(value));
         return {};
     }},
    {"dax", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(const DaxPolicy policy, parse_dax(value));
         o.volume.dax = policy.leases;
         o.broker = policy.broker;
         return {};
     }},
    {"broker_socket", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         if (!value.starts_with('/'))
             return bad_value("broker_socket", value, "an absolute path");
         o.broker_socket = value;
         return {};
     }},
    {"lease_break", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.volume.lease_break_s, parse_seconds("lease_break", value));
         return {};
     }},
    {"max_leases", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.volume.lease_limits.leases, parse_limit("max_leases", value));
         return {};
     }},
    {"max_quarantine", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(const auto bytes, parse_limit("max_quarantine", value));
         o.volume.lease_limits.quarantined_blocks = (bytes + block_size - 1) / block_size;
         return {};
     }},
    {"atime", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.volume.atime, pick<volume::Atime>("atime", value, atime_words,
                                                               "relatime, noatime or strictatime"));
         return {};
     }},
    {"threads", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.threads, parse_count("threads", value));
         return {};
     }},
    {"max_idle", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.max_idle, parse_count("max_idle", value));
         return {};
     }},
    {"spin_us", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         DAXPIN_TRY_ASSIGN(o.stay_awake, parse_microseconds("spin_us", value));
         return {};
     }},
    {"fsname", true,
     [](DaemonOptions &o, std::string_view value) -> Result<void> {
         o.fsname = value;
         return {};
     }},
    {"ro", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.read_only = true;
         return {};
     }},
    {"rw", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.read_only = false;
         return {};
     }},
    // Not noatime, says mount(8).
    {"atime", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         if (o.volume.atime == volume::Atime::none)
             o.volume.atime = volume::Atime::relative;
         return {};
     }},
    {"relatime", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.atime = volume::Atime::relative;
         return {};
     }},
    {"noatime", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.atime = volume::Atime::none;
         return {};
     }},
    {"strictatime", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.atime = volume::Atime::strict;
         return {};
     }},
    {"diratime", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.directory_atime = true;
         return {};
     }},
    {"nodiratime", false,
     [](DaemonOptions &o, std::string_view) -> Result<void> {
         o.volume.directory_atime = false;
         return {};
     }},
    {"allow_other", false, set_flag<&DaemonOptions::allow_other, true>},
    {"noallow_other", false, set_flag<&DaemonOptions::allow_other, false>},
    {"allow_root", false, set_flag<&DaemonOptions::allow_root, true>},
    {"suid", false, set_flag<&DaemonOptions::suid, true>},
    {"nosuid", false, set_flag<&DaemonOptions::suid, false>},
    {"dev", false, set_flag<&DaemonOptions::dev, true>},
    {"nodev", false, set_flag<&DaemonOptions::dev, false>},
    {"prezero", false, set_flag<&DaemonOptions::prezero, true>},
    {"remount", false, set_flag<&DaemonOptions::remount, true>},
    {"debug", false, set_flag<&DaemonOptions::debug, true>},
    {"foreground", false, set_flag<&DaemonOptions::foreground, true>},
    {"sloppy", false, set_flag<&DaemonOptions::sloppy, true>},
}};

// The keyword of that name; of two the one that is given as it should be.
const Keyword *find_keyword(std::string_view name, bool has_value) {
    const Keyword *found = nullptr;
    for (const Keyword &keyword : keywords)
        if (keyword.name == name && (found == nullptr || keyword.has_value == has_value))
            found = &keyword;
    return found;
}

// `unknown` becomes the option if nobody knows it.
Result<void> apply(DaemonOptions &options, const std::string &option, std::string &unknown) {
    const std::string_view text = option;
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const bool has_value = equals != std::string_view::npos;
    options.words.emplace_back(name);
    if (const Keyword *keyword = find_keyword(name, has_value)) {
        if (keyword->has_value != has_value)
            return usage_error("option " + std::string(name) +
                               (has_value ? " takes no value" : " needs a value"));
        return keyword->set(options, has_value ? text.substr(equals + 1) : std::string_view());
    }
    if (is_passed_on(name))
        options.passed_on.push_back(option);
    else if (!is_for_mount(name))
        unknown = option;
    return {};
}

// Applies the options of one -o.
Result<void> apply_all(DaemonOptions &options, std::string_view text, std::string &unknown) {
    for (const std::string &word : split_mount_options(text))
        DAXPIN_TRY(apply(options, word, unknown));
    return {};
}

Result<void> apply_switch(DaemonOptions &options, std::string_view argument) {
    if (argument == "-f" || argument == "--foreground")
        options.foreground = true;
    else if (argument == "-d" || argument == "--debug")
        options.debug = options.foreground = true;
    else if (argument == "-v" || argument == "--verbose")
        options.verbose = true;
    else if (argument == "-h" || argument == "--help")
        options.help = true;
    else if (argument == "-V" || argument == "--version")
        options.version = true;
    else
        return usage_error("unknown option '" + std::string(argument) + "'");
    return {};
}

Result<void> apply_positional(DaemonOptions &options, std::string_view argument) {
    if (argument.empty())
        return usage_error("an empty argument where a device or a mount point should be");
    if (options.device.empty())
        options.device = argument;
    else if (options.mountpoint.empty())
        options.mountpoint = argument;
    else
        return usage_error("unexpected argument '" + std::string(argument) + "'");
    return {};
}

} // namespace

std::vector<std::string> split_mount_options(std::string_view text) {
    std::vector<std::string> words(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ',')
            words.emplace_back();
        else if (text[i] == '\\' && i + 1 < text.size())
            words.back() += text[++i];
        else
            words.back() += text[i];
    }
    std::erase_if(words, [](const std::string &word) { return word.empty(); });
    return words;
}

Result<DaemonOptions> parse_options(std::span<const char *const> arguments) {
    DaemonOptions options;
    bool only_positional = false;
    std::string unknown; // the word sloppy may stand anywhere
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (only_positional || argument == "-" || !argument.starts_with('-')) {
            DAXPIN_TRY(apply_positional(options, argument));
        } else if (argument == "--") {
            only_positional = true;
        } else if (argument == "-o") {
            if (++i == arguments.size())
                return usage_error("-o needs options");
            DAXPIN_TRY(apply_all(options, arguments[i], unknown));
        } else if (argument.starts_with("-o")) {
            DAXPIN_TRY(apply_all(options, argument.substr(2), unknown));
        } else {
            DAXPIN_TRY(apply_switch(options, argument));
        }
    }
    if (!unknown.empty() && !options.sloppy)
        return usage_error("unknown option '" + unknown + "'");
    if (options.help || options.version)
        return options;
    if (options.device.empty())
        return usage_error("no device given");
    if (options.mountpoint.empty())
        return usage_error("no mount point given");
    return options;
}

unsigned worker_threads(const DaemonOptions &options) {
    constexpr unsigned least = 8;
    constexpr unsigned most = 64;
    // While one request waits for a file to be closed, another thread must hear of the close.
    constexpr unsigned needed = 2;
    if (options.threads != 0)
        return std::max(options.threads, needed);
    return std::clamp(2 * std::thread::hardware_concurrency(), least, most);
}

unsigned usable_processors() {
    cpu_set_t ours; // fails where there are more processors than it has room for
    if (::sched_getaffinity(0, sizeof ours, &ours) != 0)
        return std::max(1U, std::thread::hardware_concurrency());
    return static_cast<unsigned>(CPU_COUNT(&ours));
}

unsigned active_threads(const DaemonOptions &options, device::Domain domain) {
    return domain == device::Domain::page ? worker_threads(options) : usable_processors();
}

const char *usage_text() {
    return R"(usage: daxpinfs DEVICE MOUNTPOINT [-o OPTION[,OPTION]...] [-f]

Mounts the daxpin volume that DEVICE is a member of; or DEVICE is volume: and its label or UUID.
Leave with umount or fusermount3 -u.

  -f, --foreground   stay in the foreground, log to stderr
  -d, --debug        as -f, and print every request
  -v, --verbose      say what was mounted
  -h, --help         this text
  -V, --version      the version

Options after -o:
  device=PATH        a further device of the volume, where it is not found by itself (repeatable)
  wait=SECONDS       wait so long for a device that is not there yet (default 0)
  domain=DOMAIN      byte, cache_line, page or none: what makes a store durable, instead of what
                     the platform says
  ro, rw             read-only, writable (default)
  pin=owner|cap|off  who may pin: a file's owner (default), CAP_LINUX_IMMUTABLE, nobody
  errors=ro|continue|exit   when metadata is found damaged: read-only from then on (default), go
                     on, or end the daemon
  dax=open|broker|off   what programs may map: hand out leases and extents, and let them open the
                     device by themselves (default); let a broker open it for them; or nothing
  broker_socket=PATH    of the broker, instead of one below /run/daxpin
  lease_break=SECONDS   how long a lease that is asked back still forbids changes (default 45)
  max_leases=N       leases that a user other than root may have (default 65536); 0: any number
  max_quarantine=SIZE   beyond so much in quarantine for a user's leases he gets no new one
                     (default 0: any)
  prezero            zero free space while idle, so that large pins of new files need not
  relatime, noatime, strictatime (also atime=WORD)
  diratime, nodiratime   whether listing a directory updates its access time (default: it does)
  allow_other, noallow_other, allow_root   who else sees the mount (root: allow_other by default)
  suid, nosuid, dev, nodev, exec, noexec   (default nosuid,nodev)
  threads=N          serve at most N requests at the same time, 2 in any case (default: twice the
                     number of processors, at least 8, at most 64)
  max_idle=N         end idle threads above N, also those that wait for requests; one more than
                     there are processors stays in any case
  spin_us=N          let one thread look for the next request for N microseconds before it sleeps
                     (default 0, at most 1000); it keeps a processor busy meanwhile
  log=LEVEL          error, warning, info (default) or debug
  fsname=NAME        the source that mount tables show
  foreground, debug  as -f and -d
  remount,ro or remount,rw   change the running mount
  sloppy             ignore unknown options (mount -s)
)";
}

} // namespace daxpin::fusefs
