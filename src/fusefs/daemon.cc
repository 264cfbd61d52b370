// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/daemon.h"

#include "base/env.h"
#include "base/log.h"
#include "base/uuid.h"
#include "device/open.h"
#include "fusefs/absence.h"
#include "fusefs/mountpoint.h"
#include "fusefs/protect.h"
#include "fusefs/session.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <syslog.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace daxpin::fusefs {
namespace {

int to_priority(LogLevel level) {
    switch (level) {
    case LogLevel::error:
        return LOG_ERR;
    case LogLevel::warning:
        return LOG_WARNING;
    case LogLevel::info:
        return LOG_INFO;
    case LogLevel::debug:
        return LOG_DEBUG;
    }
    return LOG_ERR;
}

void log_to_syslog(LogLevel level, std::string_view line) {
    ::syslog(to_priority(level), "%.*s", static_cast<int>(line.size()), line.data());
}

void set_up_log(const DaemonOptions &options) {
    set_log_level(options.debug ? LogLevel::debug : options.log_level);
    if (options.foreground)
        return; // stderr
    ::openlog("daxpinfs", LOG_PID, LOG_DAEMON);
    set_log_sink(log_to_syslog);
}

// The paths that the options name, absolute and checked.
struct Paths {
    std::string mountpoint;
    std::string device; // or as device::names_volume() has it
    std::vector<std::string> more_devices;
};

Result<Paths> check_paths(const DaemonOptions &options) {
    Paths paths;
    paths.device = options.device;
    if (!device::names_volume(paths.device)) {
        DAXPIN_TRY_ASSIGN(paths.device, check_device_path(options.device));
    }
    for (const std::string &device : options.more_devices) {
        DAXPIN_TRY_ASSIGN(auto path, check_device_path(device));
        paths.more_devices.push_back(std::move(path));
    }
    DAXPIN_TRY_ASSIGN(paths.mountpoint, check_mountpoint(options.mountpoint));
    DAXPIN_TRY(check_apart(paths.device, paths.mountpoint));
    for (const std::string &device : paths.more_devices)
        DAXPIN_TRY(check_apart(device, paths.mountpoint));
    return paths;
}

// A read-only mount opens devices for writing all the same if it may: the journal is played back,
// and the mount can become writable.
Result<device::DeviceTable> open_devices(const DaemonOptions &options, const Paths &paths) {
    device::OpenOptions how;
    how.domain = options.domain;
    how.more_paths = paths.more_devices;
    how.remedies.missing_member = "name them with -o device=PATH";
    auto opened = device::open_volume_devices(paths.device, how);
    if (opened || !options.volume.read_only)
        return opened;
    if (opened.code() != Errc::access && opened.code() != Errc::read_only &&
        opened.code() != Errc::not_permitted)
        return opened;
    how.read_only = true;
    return device::open_volume_devices(paths.device, how);
}

struct Opened {
    Paths paths;
    device::DeviceTable devices;
};

Result<Opened> open_now(const DaemonOptions &options) {
    DAXPIN_TRY_ASSIGN(Paths paths, check_paths(options));
    DAXPIN_TRY_ASSIGN(auto devices, open_devices(options, paths));
    return Opened{std::move(paths), std::move(devices)};
}

// At boot, drivers may come later than the daemon.
Result<Opened> open_in_time(const DaemonOptions &options) {
    using Clock = std::chrono::steady_clock;
    constexpr auto pause = std::chrono::milliseconds(100);
    const auto until = Clock::now() + options.wait;
    for (bool told = false;; told = true) {
        auto opened = open_now(options);
        if (opened || opened.code() != Errc::missing || Clock::now() >= until)
            return opened;
        if (!told)
            log(LogLevel::info, fmt::format("waiting up to {} s: {}", options.wait.count(),
                                            describe(opened.error())));
        std::this_thread::sleep_for(pause);
    }
}

void log_device(unsigned index, const device::DeviceInfo &info) {
    log(info.domain_assumed ? LogLevel::warning : LogLevel::info,
        fmt::format("device {}: {}, {} bytes, mapping unit {}, domain {}{}", index, info.path,
                    info.size, info.mapping_unit, device::to_string(info.domain),
                    info.domain_assumed ? " (assumed: the option domain= says so)" : ""));
    if (info.domain == device::Domain::none)
        log(LogLevel::warning,
            fmt::format("volatile memory: {} loses everything with the power", info.path));
}

void log_volume(volume::Volume &volume, bool dax) {
    const format::Superblock &superblock = volume.superblock();
    const device::DeviceTable &devices = volume.devices();
    log(LogLevel::info,
        fmt::format(
            "volume {} '{:.64}'", uuid_text(superblock.volume_uuid),
            std::string_view(superblock.text, ::strnlen(superblock.text, format::label_text_max))));
    for (unsigned i = 0; i < devices.count(); ++i)
        log_device(i, devices.at(i).info());
    if (devices.count() == 1 && dax)
        log(LogLevel::warning,
            fmt::format("single device: whoever may open {} can change all data and metadata; "
                        "mkfs.daxpinfs --data gives data a device of its own",
                        devices.at(0).info().path));
}

void log_start(volume::Volume &volume, const DaemonOptions &options, const Paths &paths) {
    log_volume(volume, options.volume.dax);
    if (const std::uint64_t replayed = volume.records_replayed(); replayed != 0)
        log(LogLevel::info, fmt::format("recovery: {} journal records replayed", replayed));
    log(LogLevel::info, fmt::format("mounted {} on {}{}, pid {}", paths.device, paths.mountpoint,
                                    options.volume.read_only ? " read-only" : "", ::getpid()));
}

// What the administrator must know, once.
void announce_damage(const volume::DamageReport &damage, volume::OnDamage errors,
                     const std::string &device) {
    std::string then = "; the volume is read-only from now on";
    if (errors == volume::OnDamage::go_on)
        then = "; going on, as errors=continue says";
    else if (errors == volume::OnDamage::exit)
        then = "; ending, as errors=exit says";
    log(LogLevel::error,
        fmt::format("metadata is damaged: {}{}. Unmount and run fsck.daxpinfs -y {}", damage.first,
                    then, device));
}

// Ended for damage: the mount stays, so that nobody takes what lies under it for the volume.
bool ends_for_damage(const volume::Volume &volume, const DaemonOptions &options) {
    return options.volume.errors == volume::OnDamage::exit && volume.damage().count != 0;
}

Result<void> start_broker(Broker &broker, const volume::Volume &volume,
                          const DaemonOptions &options) {
    std::string path = options.broker_socket;
    if (path.empty()) {
        DAXPIN_TRY_ASSIGN(path, broker_path(uuid_text(volume.superblock().volume_uuid)));
    }
    DAXPIN_TRY(broker.start(path));
    log(LogLevel::info, "the broker listens on " + path);
    return {};
}

// Mounts and serves. The order of the objects is the reverse of the order in which they end.
Result<void> run(volume::Volume &volume, const DaemonOptions &options, const Paths &paths,
                 Reporter &reporter) {
    Session *kernel = nullptr;
    Notifier notifier([&kernel](const Invalidation &what) { kernel->invalidate(what); });
    using Prezero = Background::Prezero;
    Background background(volume, options.prezero ? Prezero::on : Prezero::off);
    AbsenceWatch absence(volume, background);
    Pollers pollers;
    Broker broker(volume, system_env());
    if (options.broker)
        DAXPIN_TRY(start_broker(broker, volume, options));
    Filesystem fs{volume,  notifier, background, options, options.broker ? &broker : nullptr,
                  &pollers};
    DAXPIN_TRY_ASSIGN(const auto session,
                      Session::create(fs, options.fsname.empty() ? paths.device : options.fsname));
    kernel = session.get();
    volume.set_observer(&notifier);
    DAXPIN_TRY(session->mount(paths.mountpoint));
    notifier.start();
    background.start();
    absence.start();
    log_start(volume, options, paths);
    reporter.ready(options.verbose ? fmt::format("mounted {} on {}", paths.device, paths.mountpoint)
                                   : std::string());
    const Result<void> ended = session->run(worker_threads(options), options.max_idle);
    const bool damaged = ends_for_damage(volume, options);
    if (damaged)
        session->abandon();
    else
        session->unmount();
    absence.stop();
    broker.stop();
    background.stop();
    notifier.stop();
    volume.set_observer(nullptr);
    if (!ended)
        log(LogLevel::error, describe(ended.error()));
    if (damaged)
        return Error{Errc::corrupt, "ended, metadata is damaged: " + volume.damage().first};
    return {};
}

Result<void> open_and_run(const DaemonOptions &options, Reporter &reporter) {
    // While there is a descriptor left for it: the volume cannot do without.
    static_cast<void>(system_env().boot_id());
    DAXPIN_TRY_ASSIGN(Opened opened, open_in_time(options));
    const Paths &paths = opened.paths;
    protect_process();
    volume::Options how = options.volume;
    std::atomic<bool> serving = false;
    how.on_damage = [&](const volume::DamageReport &damage) {
        announce_damage(damage, how.errors, paths.device);
        if (how.errors == volume::OnDamage::exit && serving)
            ::kill(::getpid(), SIGTERM); // ends Session::run()
    };
    DAXPIN_TRY_ASSIGN(auto volume,
                      volume::Volume::open(std::move(opened.devices), system_env(), how));
    if (ends_for_damage(*volume, options))
        return Error{Errc::corrupt, "metadata is damaged: " + volume->damage().first +
                                        ": run fsck.daxpinfs -y " + paths.device};
    serving = true;
    DAXPIN_TRY(run(*volume, options, paths, reporter));
    volume.reset();
    log(LogLevel::info, fmt::format("unmounted {}", paths.mountpoint));
    return {};
}

} // namespace

int serve(const DaemonOptions &options, Reporter &reporter) {
    set_up_log(options);
    try {
        const Result<void> done = open_and_run(options, reporter);
        if (done)
            return exit_success;
        return reporter.failed(exit_status(done.code()), describe(done.error()));
    } catch (const std::bad_alloc &) {
        return reporter.failed(exit_system, "out of memory");
    } catch (const std::system_error &error) { // of start_thread()
        return reporter.failed(exit_system, fmt::format("no thread can be started: {}: raise the "
                                                        "limit of processes (ulimit -u)",
                                                        error.code().message()));
    }
}

} // namespace daxpin::fusefs
