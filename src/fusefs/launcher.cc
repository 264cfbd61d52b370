// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/launcher.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace daxpin::fusefs {
namespace {

void print_line(const std::string &line) {
    std::fprintf(stderr, "daxpinfs: %s\n", line.c_str());
}

volatile std::sig_atomic_t interrupted = 0;

void note_interrupt(int) {
    interrupted = 1;
}

// No SA_RESTART: the wait for the child's word ends.
void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = note_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGHUP, &action, nullptr);
}

void write_all(int fd, const char *bytes, std::size_t count) {
    while (count > 0) {
        const ssize_t written = ::write(fd, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; // the parent is gone; nobody is left to tell
        bytes += written;
        count -= static_cast<std::size_t>(written);
    }
}

// The child's word: a byte with the exit status, then the line. Empty if it died without one.
std::string read_report(int fd) {
    std::string report;
    char buffer[512];
    while (interrupted == 0) {
        const ssize_t count = ::read(fd, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        report.append(buffer, static_cast<std::size_t>(count));
    }
    return report;
}

int parent(pid_t child, UniqueFd pipe) {
    catch_interrupts();
    const std::string report = read_report(pipe.get());
    if (interrupted != 0) {
        ::kill(child, SIGTERM);
        ::waitpid(child, nullptr, 0);
        print_line("interrupted");
        return exit_interrupted;
    }
    if (report.empty()) {
        int status = 0;
        ::waitpid(child, &status, 0);
        print_line("the daemon ended before the filesystem was mounted" +
                   (WIFSIGNALED(status)
                        ? std::string(": ") + ::strsignal(WTERMSIG(status))
                        : std::string(", exit status ") + std::to_string(WEXITSTATUS(status))));
        return exit_internal;
    }
    if (report.size() > 1)
        print_line(report.substr(1));
    return report.front();
}

// What the caller has open, a lock perhaps, is his, and must not last as long as the mount.
void close_all_but(int kept) {
    const auto first = static_cast<unsigned>(STDERR_FILENO + 1);
    const auto number = static_cast<unsigned>(kept);
    if (number > first)
        ::close_range(first, number - 1, 0);
    ::close_range(std::max(first, number + 1), ~0U, 0);
}

} // namespace

int exit_status(Errc code) noexcept {
    switch (code) {
    case Errc::access:
    case Errc::not_permitted:
        return exit_usage;
    case Errc::out_of_memory:
        return exit_system;
    case Errc::interrupted:
        return exit_interrupted;
    default:
        return exit_mount;
    }
}

void Reporter::ready(const std::string &line) {
    if (!pipe_) {
        if (!line.empty())
            print_line(line);
        return;
    }
    const int null = ::open("/dev/null", O_RDWR);
    if (null >= 0) {
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            ::dup2(null, fd);
        if (null > STDERR_FILENO)
            ::close(null);
    }
    send(exit_success, line);
}

void Reporter::send(int status, const std::string &line) {
    const std::string report = static_cast<char>(status) + line;
    write_all(pipe_.get(), report.data(), report.size());
    pipe_.reset();
}

int Reporter::failed(int status, const std::string &line) {
    if (!pipe_) {
        print_line(line);
        return status;
    }
    send(status, line);
    return status;
}

int launch(bool foreground, const std::function<int(Reporter &)> &work) {
    if (foreground) {
        Reporter reporter;
        return work(reporter);
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        print_line(std::string("pipe: ") + std::strerror(errno));
        return exit_system;
    }
    UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) {
        print_line(std::string("fork: ") + std::strerror(errno));
        return exit_system;
    }
    if (child > 0) {
        writing.reset();
        return parent(child, std::move(reading));
    }
    reading.reset();
    close_all_but(writing.get());
    ::setsid();
    Reporter reporter(std::move(writing));
    return work(reporter);
}

} // namespace daxpin::fusefs
