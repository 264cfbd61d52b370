// SPDX-License-Identifier: BSD-3-Clause
//
// run(): trials in child processes that take faults from one counter in shared memory.
#include "base/assert.h"
#include "faults/flips.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace daxpin::faults {

namespace {

constexpr unsigned outcomes_max = 16;
constexpr unsigned workers_max = 64;
constexpr std::uint64_t faults_at_a_time = 64;

// Between parent and children; begins as zeros.
struct Shared {
    std::atomic<std::uint64_t> next; // nobody has taken this fault yet, nor those behind it
    std::atomic<std::uint64_t> outcomes[outcomes_max][place_count];
    std::atomic<std::uint64_t> problems;
    struct Range { // what a worker is at: survives it
        std::atomic<std::uint64_t> at;
        std::atomic<std::uint64_t> end;
    } ranges[workers_max];
};

class SharedMemory {
  public:
    SharedMemory() {
        void *mapped = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        DAXPIN_ASSERT(mapped != MAP_FAILED);
        shared_ = new (mapped) Shared;
    }
    ~SharedMemory() { ::munmap(shared_, sizeof(Shared)); }
    SharedMemory(const SharedMemory &) = delete;
    SharedMemory &operator=(const SharedMemory &) = delete;
    Shared *operator->() const { return shared_; }

  private:
    Shared *shared_;
};

class Run {
  public:
    Run(const Specimen &specimen, const std::vector<Fault> &faults, const Trial &trial,
        const RunOptions &options)
        : specimen_(specimen), faults_(faults), trial_(trial), options_(options) {
        DAXPIN_ASSERT(trial.outcomes.size() <= outcomes_max && options.workers > 0 &&
                      options.workers <= workers_max);
    }

    Tally go() {
        std::vector<pid_t> children;
        for (unsigned i = 0; i < options_.workers; ++i)
            children.push_back(start(i));
        for (unsigned left = options_.workers; left > 0;) {
            int status = 0;
            const pid_t ended = ::waitpid(-1, &status, 0);
            DAXPIN_ASSERT(ended > 0);
            const auto found = std::find(children.begin(), children.end(), ended);
            if (found == children.end())
                continue;
            const auto worker = static_cast<unsigned>(found - children.begin());
            if (status == 0) {
                --left;
                continue;
            }
            Shared::Range &range = shared_->ranges[worker];
            note_problem(faults_[range.at], how_it_ended(status));
            ++range.at;
            *found = start(worker);
        }
        return tally();
    }

  private:
    static std::string how_it_ended(int status) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            return "hangs";
        if (WIFSIGNALED(status))
            return std::string("crashed: ") + ::strsignal(WTERMSIG(status));
        return "ended with status " + std::to_string(WEXITSTATUS(status));
    }

    void note_problem(const Fault &fault, const std::string &problem) {
        if (shared_->problems++ < options_.problems_max)
            std::fprintf(stderr, "%s, %s: %s\n", specimen_.name.c_str(),
                         to_string(specimen_, fault).c_str(), problem.c_str());
    }

    pid_t start(unsigned worker) {
        std::fflush(nullptr);
        const pid_t child = ::fork();
        DAXPIN_ASSERT(child >= 0);
        if (child > 0)
            return child;
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        work(shared_->ranges[worker]);
        std::fflush(nullptr);
        ::_exit(0);
    }

    void work(Shared::Range &range) {
        crash::Scratch scratch(specimen_.options, specimen_.images);
        for (;; ++range.at) {
            if (range.at == range.end) {
                const std::uint64_t first = shared_->next.fetch_add(faults_at_a_time);
                if (first >= faults_.size())
                    return;
                range.end = std::min<std::uint64_t>(first + faults_at_a_time, faults_.size());
                range.at = first;
            }
            ::alarm(options_.seconds_max);
            const Fault &fault = faults_[range.at];
            apply(specimen_, fault, scratch);
            const Verdict verdict = trial_.run(scratch, fault);
            scratch.restore();
            if (verdict.problem.empty())
                ++shared_->outcomes[verdict.outcome][static_cast<unsigned>(fault.place)];
            else
                note_problem(fault, verdict.problem);
        }
    }

    Tally tally() const {
        Tally tally;
        tally.faults = faults_.size();
        tally.problems = shared_->problems;
        tally.outcomes.resize(trial_.outcomes.size());
        for (std::size_t i = 0; i < tally.outcomes.size(); ++i)
            for (unsigned place = 0; place < place_count; ++place)
                tally.outcomes[i][place] = shared_->outcomes[i][place];
        return tally;
    }

    const Specimen &specimen_;
    const std::vector<Fault> &faults_;
    const Trial &trial_;
    const RunOptions &options_;
    SharedMemory shared_;
};

} // namespace

Tally run(const Specimen &specimen, const std::vector<Fault> &faults, const Trial &trial,
          const RunOptions &options) {
    return Run(specimen, faults, trial, options).go();
}

} // namespace daxpin::faults
