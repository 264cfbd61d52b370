// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/session.h"

#include "base/log.h"
#include "base/unique_fd.h"
#include "fusefs/limited_log.h"
#include "fusefs/mountpoint.h"
#include "fusefs/operations.h"
#include "fusefs/raw_request.h"
#include "fusefs/stderr_capture.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fuse.h>
#include <numeric>
#include <poll.h>
#include <span>
#include <sys/uio.h>
#include <unistd.h>

namespace daxpin::fusefs {
namespace {

LogLevel to_level(fuse_log_level level) {
    if (level <= FUSE_LOG_ERR)
        return LogLevel::error;
    if (level == FUSE_LOG_WARNING)
        return LogLevel::warning;
    return level == FUSE_LOG_DEBUG ? LogLevel::debug : LogLevel::info;
}

// libfuse's own messages.
__attribute__((format(printf, 2, 0))) void log_libfuse(fuse_log_level level, const char *format,
                                                       va_list arguments) {
    char line[512];
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    std::string_view text(line, std::min<std::size_t>(std::max(length, 0), sizeof line - 1));
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    log(to_level(level), text);
}

// Both are points where libfuse cancels a worker that waits for a request: they must not be
// noexcept.
ssize_t read_request(int fd, void *buffer, size_t size, void *userdata) {
    auto &fs = *static_cast<Filesystem *>(userdata);
    const ssize_t length = fs.receiver.read(fd, buffer, size);
    if (length > 0)
        receive_request({static_cast<std::byte *>(buffer), static_cast<std::size_t>(length)});
    return length;
}

// A reply that points at media the kernel cannot read: EFAULT, without a signal. The caller gets
// EIO instead of waiting forever.
ssize_t write_reply(int fd, iovec *parts, int count, void *userdata) {
    amend_reply({parts, static_cast<std::size_t>(count)});
    const ssize_t written = ::writev(fd, parts, count);
    if (written >= 0 || errno != EFAULT)
        return written;
    fuse_out_header header = *static_cast<const fuse_out_header *>(parts[0].iov_base);
    header.len = sizeof header;
    header.error = -EIO;
    // ENOENT: the kernel has ended the request by itself.
    if (::write(fd, &header, sizeof header) < 0 && errno != ENOENT)
        return -1;
    const auto &devices = static_cast<Filesystem *>(userdata)->volume.devices();
    for (const iovec &part : std::span(parts, static_cast<std::size_t>(count)))
        devices.note_unreadable({static_cast<const std::byte *>(part.iov_base), part.iov_len},
                                format::BadBlockSource::reply);
    return std::accumulate(parts, parts + count, ssize_t{0}, [](ssize_t sum, const iovec &part) {
        return sum + static_cast<ssize_t>(part.iov_len);
    });
}

// Arguments in libfuse's manner, freed.
class Arguments {
  public:
    Arguments() { add("daxpinfs"); }
    ~Arguments() {
        std::free(options_);
        fuse_opt_free_args(&args_);
    }
    Arguments(const Arguments &) = delete;
    Arguments &operator=(const Arguments &) = delete;

    void add(const char *argument) { check(fuse_opt_add_arg(&args_, argument)); }
    void add_option(const std::string &option) {
        check(fuse_opt_add_opt_escaped(&options_, option.c_str()));
    }
    fuse_args *finish() {
        add("-o");
        add(options_);
        return &args_;
    }

  private:
    static void check(int added) {
        if (added != 0)
            throw std::bad_alloc();
    }
    fuse_args args_ = FUSE_ARGS_INIT(0, nullptr);
    char *options_ = nullptr;
};

void add_options(Arguments &arguments, const DaemonOptions &options, const std::string &fsname) {
    arguments.add_option("fsname=" + fsname);
    arguments.add_option("subtype=daxpinfs");
    arguments.add_option("default_permissions");
    arguments.add_option(options.volume.read_only ? "ro" : "rw");
    arguments.add_option(options.suid ? "suid" : "nosuid");
    arguments.add_option(options.dev ? "dev" : "nodev");
    if (options.volume.atime == volume::Atime::none)
        arguments.add_option("noatime");
    if (options.allow_root)
        arguments.add_option("allow_root");
    else if (options.allow_other.value_or(::geteuid() == 0))
        arguments.add_option("allow_other");
    for (const std::string &option : options.passed_on)
        arguments.add_option(option);
    if (options.debug)
        arguments.add("-d");
}

// True if the kernel has ended the connection, as umount(8) does.
bool is_disconnected(int fd) {
    pollfd polled{fd, 0, 0};
    return ::poll(&polled, 1, 0) == 1 && (polled.revents & POLLERR) != 0;
}

// What ends the requests of connection `number`. Best effort: fusectl may not be mounted.
UniqueFd open_abort_file(unsigned number) {
    const std::string path = "/sys/fs/fuse/connections/" + std::to_string(number) + "/abort";
    return UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
}

} // namespace

Result<std::unique_ptr<Session>> Session::create(Filesystem &fs, const std::string &fsname) {
    Arguments arguments;
    add_options(arguments, fs.options, fsname);
    StderrCapture capture;
    fuse_session *session =
        fuse_session_new(arguments.finish(), &operations(), sizeof(fuse_lowlevel_ops), &fs);
    if (session == nullptr)
        return Error{Errc::invalid, "libfuse refuses the options: " + capture.finish()};
    return std::unique_ptr<Session>(new Session(session, fs));
}

Session::~Session() {
    unmount();
    fuse_session_destroy(session_);
}

Result<void> Session::mount(const std::string &path) {
    StderrCapture capture;
    if (fuse_session_mount(session_, path.c_str()) != 0)
        return Error{Errc::unsupported, "mount on " + path + " failed: " + capture.finish()};
    capture.finish();
    mounted_on_ = path;
    fs_.session = session_;
    connection_ = mounted_minor(read_mountinfo(), path);
    fuse_set_log_func(log_libfuse);
    fuse_custom_io io{};
    io.read = read_request;
    io.writev = write_reply;
    // A worker has a descriptor of its own, but this one where the kernel gives it none.
    fs_.receiver.share(fuse_session_fd(session_));
    if (fuse_session_custom_io(session_, &io, fuse_session_fd(session_)) != 0 ||
        fuse_set_signal_handlers(session_) != 0)
        return Error{Errc::out_of_memory, "the FUSE session cannot be set up"};
    return {};
}

Result<void> Session::run(unsigned threads, unsigned max_idle) {
    const std::unique_ptr<fuse_loop_config, decltype(&fuse_loop_cfg_destroy)> config(
        fuse_loop_cfg_create(), fuse_loop_cfg_destroy);
    if (!config)
        return Errc::out_of_memory;
    fuse_loop_cfg_set_clone_fd(config.get(), 1);
    fuse_loop_cfg_set_max_threads(config.get(), threads);
    // Who takes requests counts as idle, and so does the one who watches (receiver.h).
    if (max_idle != 0)
        fuse_loop_cfg_set_idle_threads(config.get(), std::max(max_idle, usable_processors() + 1));
    const int ended = fuse_session_loop_mt(session_, config.get());
    if (ended < 0)
        return Error{Errc::io, "the connection to the kernel broke: " +
                                   std::string(to_string(from_errno(-ended)))};
    if (ended > 0)
        log(LogLevel::info, "ended by signal " + std::to_string(ended));
    return {};
}

void Session::unmount() {
    leave(true);
}

void Session::abandon() {
    leave(false);
}

void Session::leave(bool unmount) {
    if (mounted_on_.empty())
        return;
    // Opened while the mount stands: afterwards its number may be another filesystem's.
    UniqueFd abort;
    if (connection_ && !is_disconnected(fuse_session_fd(session_)))
        abort = open_abort_file(*connection_);
    if (unmount)
        fuse_session_unmount(session_);
    // Nobody answers any more: what waits, the notifier perhaps, shall not wait for ever.
    if (abort && ::write(abort.get(), "1", 1) != 1)
        log(LogLevel::debug, "the FUSE connection could not be aborted");
    fuse_remove_signal_handlers(session_);
    mounted_on_.clear();
}

void Session::invalidate(const Invalidation &invalidation) {
    const off_t offset = invalidation.data ? 0 : -1; // -1: attributes only
    const int done =
        fuse_lowlevel_notify_inval_inode(session_, invalidation.inode.value, offset, 0);
    // ENOENT: the kernel does not know the inode, so it caches nothing of it.
    if (done != 0 && done != -ENOENT)
        log(LogLevel::debug, "the kernel's cache of inode " +
                                 std::to_string(invalidation.inode.value) +
                                 " was not invalidated: " + to_string(from_errno(-done)));
}

} // namespace daxpin::fusefs
