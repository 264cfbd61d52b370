// SPDX-License-Identifier: BSD-3-Clause
//
// The command line of the programs that run units: their options, and what they print at the end.
#pragma once

#include "crash/runner.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace daxpin::crash {

class CommandLine {
  public:
    struct Option {
        std::string name;
        std::string value; // what the help calls it; empty: the option takes none
        std::string help;
        std::function<void(const char *)> set;
    };

    explicit CommandLine(std::string program); // has the options that all programs share
    CommandLine(const CommandLine &) = delete; // its options point at it
    CommandLine &operator=(const CommandLine &) = delete;
    void add(std::vector<Option> own);
    // Ends the process with status 2 if something is wrong, with 0 after --help.
    void parse(int argc, char **argv);
    [[noreturn]] void refuse(const std::string &text) const;
    std::uint64_t number(const char *text) const;

    // Runs what the log does not have yet and adds it to `summary`.
    RunEnd run(std::vector<Unit> units, Summary &summary) const;
    // The one state of `replay`, which `unit` has; the exit status.
    int replay_one(const Unit &unit) const;

    RunnerOptions runner;
    std::string only;
    std::string start;
    std::optional<Token> replay;
    bool list = false;

  private:
    void print_usage(std::FILE *to) const;

    std::string program_;
    std::vector<Option> options_;
    bool resume_ = false;
};

// One line of the table at the end of a run.
void print_line(const char *title, std::uint64_t value, const std::string &more = {});
void print_counters(const Summary &summary);
// How the run ended; nothing if it ran to its end.
void print_end(const Summary &summary, const RunEnd &end);
// 1 after a violation, 128 + the signal after an interruption, else 0.
int exit_status(const Summary &summary, const RunEnd &end);

} // namespace daxpin::crash
