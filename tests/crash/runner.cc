// SPDX-License-Identifier: BSD-3-Clause
#include "crash/runner.h"

#include "base/assert.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace daxpin::crash {

namespace {

constexpr unsigned processes_max = 64;
constexpr unsigned silence_seconds_max = 60;

// Shared by parent and workers.
struct Shared {
    std::atomic<std::size_t> next_job;
    struct Worker {
        char token[512];
        std::atomic<std::uint64_t> heartbeat;
        Counters counters; // of finished jobs and of the running one so far
    } workers[processes_max];
};

Shared *new_shared() {
    void *memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    DAXPIN_ASSERT(memory != MAP_FAILED);
    return new (memory) Shared{};
}

void print_violation(const RunnerOptions &options, const std::string &token,
                     const std::string &text) {
    std::printf("VIOLATION %s\n  %s\n  replay: %s %s\n", token.c_str(), text.c_str(),
                options.replay_command.c_str(), token.c_str());
    std::fflush(stdout);
}

void work(const std::vector<Job> &jobs, const RunnerOptions &options, Shared &shared,
          Shared::Worker &self) {
    for (;;) {
        std::size_t shown = 0;
        const std::size_t number = shared.next_job++;
        if (number >= jobs.size())
            return;
        const Job &job = jobs[number];
        Explorer explorer(
            *job.workload, job.start, options.plan, self.counters,
            [&](const Token &token, const std::string &text) {
                if (shown++ < options.violations_shown_max)
                    print_violation(options, to_string(token), text);
            },
            [&](const Token &token) {
                std::snprintf(self.token, sizeof self.token, "%s", to_string(token).c_str());
                ++self.heartbeat;
            });
        explorer.run({});
        if (options.plan.stop_at_first && self.counters.violations > 0) {
            shared.next_job = jobs.size();
            return;
        }
    }
}

pid_t start_worker(const std::vector<Job> &jobs, const RunnerOptions &options, Shared &shared,
                   Shared::Worker &self) {
    std::fflush(nullptr);
    const pid_t pid = fork();
    DAXPIN_ASSERT(pid >= 0);
    if (pid > 0)
        return pid;
    work(jobs, options, shared, self);
    std::fflush(nullptr);
    _exit(0);
}

struct Process {
    pid_t pid = 0; // 0: ended
    std::uint64_t heartbeat = 0;
    unsigned silent_for = 0; // tenths of a second
};

std::string describe_end(int status, bool killed) {
    if (killed)
        return "no progress for " + std::to_string(silence_seconds_max) + " seconds";
    if (WIFSIGNALED(status))
        return std::string("the process died: ") + strsignal(WTERMSIG(status));
    return "the process exited with " + std::to_string(WEXITSTATUS(status));
}

// Looks at one worker; true while it runs. A worker that died is replaced.
bool attend(Process &process, const std::vector<Job> &jobs, const RunnerOptions &options,
            Shared &shared, Shared::Worker &worker) {
    int status = 0;
    const bool silent = process.silent_for > silence_seconds_max * 10;
    if (silent)
        kill(process.pid, SIGKILL);
    if (waitpid(process.pid, &status, silent ? 0 : WNOHANG) == 0) {
        const std::uint64_t heartbeat = worker.heartbeat;
        process.silent_for = heartbeat == process.heartbeat ? process.silent_for + 1 : 0;
        process.heartbeat = heartbeat;
        return true;
    }
    process = {};
    if (!silent && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    ++worker.counters.violations;
    print_violation(options, worker.token, describe_end(status, silent));
    if (options.plan.stop_at_first)
        shared.next_job = jobs.size();
    process.pid = start_worker(jobs, options, shared, worker);
    return true;
}

} // namespace

Counters run_jobs(const std::vector<Job> &jobs, const RunnerOptions &options) {
    Shared &shared = *new_shared();
    const unsigned count = std::min(options.processes, processes_max);
    std::vector<Process> processes(count);
    for (unsigned i = 0; i < count; ++i)
        processes[i].pid = start_worker(jobs, options, shared, shared.workers[i]);
    for (bool running = true; running; usleep(100000)) {
        running = false;
        for (unsigned i = 0; i < count; ++i) {
            if (processes[i].pid != 0 &&
                attend(processes[i], jobs, options, shared, shared.workers[i]))
                running = true;
        }
    }
    Counters total;
    for (unsigned i = 0; i < count; ++i)
        total.add(shared.workers[i].counters);
    munmap(&shared, sizeof shared);
    return total;
}

Counters replay(const Job &job, const Token &token, const RunnerOptions &options) {
    Counters counters;
    Plan plan = options.plan;
    plan.seed = token.seed;
    Explorer explorer(
        *job.workload, job.start, plan, counters,
        [&](const Token &at, const std::string &text) {
            print_violation(options, to_string(at), text);
        },
        [](const Token &) {});
    explorer.run(token);
    return counters;
}

} // namespace daxpin::crash
