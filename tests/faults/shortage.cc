// SPDX-License-Identifier: BSD-3-Clause
#include "faults/shortage.h"

#include "tools/fsck/check.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace daxpin::faults {

using crash::Dump;
using crash::Executor;
using crash::Op;
using crash::Operation;

namespace {

constexpr std::uint64_t pieces_max = 100'000; // no step needs as many

// For the handler of a signal, which may take no memory.
std::array<char, 400> current{};

void note(const std::string &text) {
    current[std::min(text.copy(current.data(), current.size() - 1), current.size() - 1)] = '\0';
}

void tell_current(int signal) {
    static_cast<void>(!::write(STDOUT_FILENO, "FAILED, died in: ", 17));
    static_cast<void>(!::write(STDOUT_FILENO, current.data(), std::strlen(current.data())));
    static_cast<void>(!::write(STDOUT_FILENO, "\n", 1));
    ::raise(signal);
}

} // namespace

void name_what_dies() {
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS}) {
        struct sigaction action {};
        action.sa_handler = tell_current;
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        ::sigaction(number, &action, nullptr);
    }
}

int print_counts(const Counts &counts, std::uint64_t workloads, const char *what) {
    std::printf("%llu workloads, %llu operations, %llu %s\n",
                static_cast<unsigned long long>(workloads),
                static_cast<unsigned long long>(counts.operations),
                static_cast<unsigned long long>(counts.shortages), what);
    std::printf("%llu passed, %llu failed, 0 skipped\n",
                static_cast<unsigned long long>(counts.operations),
                static_cast<unsigned long long>(counts.wrong));
    if (workloads == 0 || counts.shortages == 0) { // nothing was tested
        std::printf("FAILED: %s\n", workloads == 0 ? "no such workload" : "nothing was ever short");
        return 1;
    }
    return counts.wrong == 0 ? 0 : 1;
}

Shortage::Shortage(std::string about, const crash::Workload &workload, Counts &counts)
    : about_(std::move(about)), workload_(workload), counts_(counts) {}

void Shortage::wrong(const std::string &when, const std::string &what) {
    ++counts_.wrong;
    std::printf("FAILED %s, %s: %s\n", about_.c_str(), when.c_str(), what.c_str());
    std::fflush(stdout);
}

void Shortage::check_media(const std::string &when) {
    for (const auto &finding : fsck::check(ground().open()).findings)
        if (finding.severity == fsck::Severity::error)
            wrong(when, "fsck: " + finding.text);
}

Dump Shortage::dump(const std::string &when) {
    auto taken = crash::take_dump(*volume_);
    if (taken)
        return std::move(*taken);
    wrong(when, "dump: " + daxpin::describe(taken.error()));
    return {};
}

bool Shortage::mount() {
    auto opened = volume::Volume::open(ground().open(), env_, options());
    if (!opened) {
        wrong("mount", daxpin::describe(opened.error()));
        return false;
    }
    volume_ = std::move(*opened);
    executor_ = std::make_unique<Executor>(*volume_);
    return true;
}

void Shortage::unmount() {
    executor_.reset();
    volume_.reset();
}

void Shortage::close_files() {
    executor_.reset();
}

bool Shortage::restart(Op how) {
    if (how != Op::remount) {
        executor_->abandon();
        killed(how);
    }
    if (how == Op::reboot)
        env_.set_boot(++boot_);
    unmount();
    return mount();
}

void Shortage::run() {
    note(about_);
    if (!mount())
        return;
    const auto run_all = [&](const std::vector<Operation> &operations, bool short_of_it) {
        for (auto operation : operations) {
            const Op op = operation.op;
            operation.version = ++version_;
            if (op == Op::remount || op == Op::kill || op == Op::reboot) {
                if (!restart(op))
                    return false;
            } else if (short_of_it) {
                step(operation);
            } else {
                ran(operation, executor_->run(operation), crash::describe(operation));
            }
        }
        return true;
    };
    if (!run_all(workload_.setup, false) || !run_all(workload_.steps, true))
        return;
    finish();
    unmount();
    check_media("at the end");
}

void Shortage::step(const Operation &operation) {
    ++counts_.operations;
    const std::string text = crash::describe(operation);
    for (std::uint64_t pieces = 0; pieces < pieces_max; ++pieces) {
        leave(pieces);
        const std::string when = text + ", " + std::to_string(pieces) + " left";
        note(about_ + ", " + when);
        const Dump before = dump(when);
        if (const auto outcome = attempt(operation, before)) {
            ran(operation, *outcome, when);
            return check_media(when);
        }
        ++counts_.shortages;
        const auto changed = crash::difference(dump(when), before);
        if (!changed.empty() && !may_have_changed(operation))
            return wrong(when, "it fell short, and changed: " + changed);
        check_media(when);
    }
    wrong(text, "it falls short for ever");
}

} // namespace daxpin::faults
