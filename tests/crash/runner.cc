// SPDX-License-Identifier: BSD-3-Clause
#include "crash/runner.h"

#include "base/assert.h"
#include "crash/progress.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

namespace daxpin::crash {

namespace {

constexpr unsigned processes_max = 64;
constexpr int poll_milliseconds = 100;
constexpr unsigned silent_looks_max = 600;

// Shared by parent and workers.
struct Shared {
    std::atomic<std::size_t> next_unit;
    std::atomic<bool> no_more; // no further unit is begun
    std::atomic<bool> stop;    // the ones under way are given up
    struct Worker {
        char token[512];
        std::atomic<std::size_t> unit;
        std::atomic<std::uint64_t> heartbeat;
        Counters counters; // of the unit under way
    } workers[processes_max];
};

Shared *new_shared() {
    void *memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    DAXPIN_ASSERT(memory != MAP_FAILED);
    return new (memory) Shared{};
}

// Tells the program that is running from others that wrote into the same log.
std::string build_id() {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    std::ostringstream read;
    read << file.rdbuf();
    const std::string bytes = read.str();
    char text[17];
    std::snprintf(text, sizeof text, "%016llx",
                  static_cast<unsigned long long>(XXH3_64bits(bytes.data(), bytes.size())));
    return text;
}

void print_violation(const RunnerOptions &options, const std::string &token,
                     const std::string &text) {
    std::printf("VIOLATION %s\n  %s\n  replay: %s %s\n", token.c_str(), text.c_str(),
                options.replay_command.c_str(), token.c_str());
    std::fflush(stdout);
}

double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// ---- in a worker --------------------------------------------------------------------------------

// Runs one unit; nothing if it was stopped.
std::optional<UnitResult> run_unit(const Unit &unit, const RunnerOptions &options, Shared &shared,
                                   Shared::Worker &self) {
    std::size_t shown = 0;
    const auto report = [&](const Token &token, const std::string &text) {
        if (shown++ < options.violations_shown_max)
            print_violation(options, to_string(token), text);
        if (options.stop_at_first)
            shared.no_more = shared.stop = true;
    };
    const auto announce = [&](const Token &token) {
        std::snprintf(self.token, sizeof self.token, "%s", to_string(token).c_str());
        ++self.heartbeat;
        return !shared.stop;
    };
    const double begin = processor_seconds();
    const auto branches = unit.branches();
    Explorer explorer(unit.image, unit.plan, self.counters, {report, announce});
    const auto states = explorer.run(branches, {});
    if (states.size() != branches.size() && self.counters.violations == 0)
        return {};
    UnitResult result;
    result.unit = unit.id();
    result.counters = self.counters;
    for (std::size_t i = 0; i < states.size(); ++i)
        result.states[branches[i].name] = states[i];
    result.seconds = processor_seconds() - begin;
    return result;
}

void send(int pipe, const std::string &line) {
    const std::string text = line + "\n";
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t count = ::write(pipe, text.data() + done, text.size() - done);
        if (count <= 0)
            _exit(1); // nobody listens any more
        done += static_cast<std::size_t>(count);
    }
}

void work(const std::vector<Unit> &units, const RunnerOptions &options, Shared &shared,
          Shared::Worker &self, int pipe) {
    while (!shared.no_more) {
        const std::size_t number = shared.next_unit++;
        if (number >= units.size())
            return;
        self.counters = {};
        self.unit = number;
        const auto result = run_unit(units[number], options, shared, self);
        self.counters = {};
        if (result)
            send(pipe, to_json(*result));
    }
}

// ---- in the parent ------------------------------------------------------------------------------

volatile std::sig_atomic_t interrupted = 0; // by which signal

void interrupt(int signal) {
    interrupted = signal;
}

class Crew {
  public:
    Crew(const std::vector<Unit> &units, const RunnerOptions &options, Summary &summary)
        : units_(units), options_(options), summary_(summary), shared_(*new_shared()),
          log_(options.log), build_(build_id()), progress_(units.size(), summary.counters()),
          workers_(std::min(options.processes, processes_max)) {}
    ~Crew() { munmap(&shared_, sizeof shared_); }

    // Returns the number of units finished.
    std::size_t run();

  private:
    struct Process {
        pid_t pid = 0; // 0: ended
        int pipe = -1;
        std::string received;
        std::uint64_t heartbeat = 0;
        std::uint64_t heard = 0; // the look at which the heartbeat changed last
    };
    void start(std::size_t index);
    bool attend(std::size_t index);
    bool receive(Process &process);
    void finish(std::size_t index, int status, bool silent);
    void take(const std::string &line);
    void wait();
    Counters under_way() const;

    const std::vector<Unit> &units_;
    const RunnerOptions &options_;
    Summary &summary_;
    Shared &shared_;
    Log log_;
    const std::string build_;
    Progress progress_;
    std::vector<Process> workers_;
    std::size_t finished_ = 0;
    // One for each poll_milliseconds that we waited. No clock: when the machine stood still, or had
    // no time for us, nor had it any for the workers.
    std::uint64_t looks_ = 0;
    double looked_ = 0;
};

void Crew::start(std::size_t index) {
    int ends[2];
    DAXPIN_ASSERT(pipe(ends) == 0);
    std::fflush(nullptr);
    const pid_t pid = fork();
    DAXPIN_ASSERT(pid >= 0);
    if (pid == 0) {
        std::signal(SIGINT, SIG_IGN); // the parent tells when to stop
        std::signal(SIGTERM, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(ends[0]);
        work(units_, options_, shared_, shared_.workers[index], ends[1]);
        std::fflush(nullptr);
        _exit(0);
    }
    ::close(ends[1]);
    workers_[index] = {pid, ends[0], {}, 0, looks_};
}

void Crew::take(const std::string &line) {
    auto result = parse_result(line);
    DAXPIN_ASSERT(result);
    result->seed = options_.seed;
    result->tier = to_string(options_.tier);
    result->build = build_;
    log_.append(to_json(*result));
    summary_.add(std::move(*result));
    ++finished_;
}

// Takes what the worker has sent; false once it has closed its end.
bool Crew::receive(Process &process) {
    char buffer[65536];
    const ssize_t count = ::read(process.pipe, buffer, sizeof buffer);
    if (count <= 0)
        return false;
    process.received.append(buffer, static_cast<std::size_t>(count));
    for (std::size_t end; (end = process.received.find('\n')) != std::string::npos;) {
        take(process.received.substr(0, end));
        process.received.erase(0, end + 1);
    }
    return true;
}

std::string describe_end(int status, bool silent) {
    if (silent)
        return "no progress for " + std::to_string(silent_looks_max * poll_milliseconds / 1000) +
               " seconds";
    if (WIFSIGNALED(status))
        return std::string("the process died: ") + strsignal(WTERMSIG(status));
    return "the process exited with " + std::to_string(WEXITSTATUS(status));
}

// A worker that died took a unit with it: a violation. Another worker takes its place.
void Crew::finish(std::size_t index, int status, bool silent) {
    Shared::Worker &worker = shared_.workers[index];
    print_violation(options_, worker.token, describe_end(status, silent));
    const Unit &unit = units_[worker.unit];
    UnitResult result;
    result.unit = unit.id();
    result.counters = worker.counters;
    ++result.counters.violations;
    result.states[unit.name] = worker.counters.states;
    take(to_json(result));
    if (options_.stop_at_first)
        shared_.no_more = shared_.stop = true;
    start(index);
}

// Looks after one worker whose pipe may have something; false once it has ended in peace.
bool Crew::attend(std::size_t index) {
    Process &process = workers_[index];
    const std::uint64_t heartbeat = shared_.workers[index].heartbeat;
    if (heartbeat != process.heartbeat) {
        process.heartbeat = heartbeat;
        process.heard = looks_;
    }
    const bool silent = looks_ - process.heard > silent_looks_max;
    if (silent)
        ::kill(process.pid, SIGKILL);
    pollfd ready{process.pipe, POLLIN, 0};
    if (poll(&ready, 1, 0) == 0 && !silent)
        return true;
    if (receive(process))
        return true;
    int status = 0;
    ::close(process.pipe);
    waitpid(process.pid, &status, 0);
    process.pid = 0;
    if (!silent && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    finish(index, status, silent);
    return true;
}

Counters Crew::under_way() const {
    Counters sum;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (workers_[i].pid != 0)
            sum.add(shared_.workers[i].counters);
    }
    return sum;
}

void Crew::wait() {
    std::vector<pollfd> pipes;
    for (const Process &process : workers_) {
        if (process.pid != 0)
            pipes.push_back({process.pipe, POLLIN, 0});
    }
    poll(pipes.data(), pipes.size(), poll_milliseconds);
    if (progress_.seconds() - looked_ >= poll_milliseconds / 1000.0) {
        looked_ = progress_.seconds();
        ++looks_;
    }
    if (interrupted)
        shared_.no_more = shared_.stop = true;
    if (options_.seconds_max > 0 && progress_.seconds() > options_.seconds_max)
        shared_.no_more = true;
    progress_.show(finished_, summary_.counters(), under_way());
}

std::size_t Crew::run() {
    const auto old_int = std::signal(SIGINT, interrupt);
    const auto old_term = std::signal(SIGTERM, interrupt);
    for (std::size_t i = 0; i < workers_.size(); ++i)
        start(i);
    for (bool running = true; running;) {
        running = false;
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            if (workers_[i].pid != 0 && attend(i))
                running = true;
        }
        wait();
    }
    progress_.end();
    std::signal(SIGINT, old_int);
    std::signal(SIGTERM, old_term);
    return finished_;
}

} // namespace

RunEnd run_units(const std::vector<Unit> &units, const RunnerOptions &options, Summary &summary) {
    Crew crew(units, options, summary);
    const std::size_t finished = crew.run();
    return {units.size() - finished, interrupted};
}

Counters replay(const Unit &unit, const Token &token, const RunnerOptions &options) {
    Counters counters;
    Plan plan = unit.plan;
    plan.seed = token.seed;
    Explorer explorer(unit.image, plan, counters,
                      {[&](const Token &at, const std::string &text) {
                           print_violation(options, to_string(at), text);
                       },
                       [](const Token &) { return true; }});
    explorer.run(unit.branches(), token);
    return counters;
}

} // namespace daxpin::crash
