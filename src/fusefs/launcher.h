// SPDX-License-Identifier: BSD-3-Clause
//
// Becoming a daemon: the child does all the work, the parent waits for its word.
//
// Locks on devices and threads belong to the process that serves, so nothing is opened before
// the fork. The child reports once, when the filesystem is mounted or why it is not; the parent
// prints that line and exits with mount(8)'s status.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <functional>
#include <string>

namespace daxpin::fusefs {

enum ExitStatus : int { // mount(8)
    exit_success = 0,
    exit_usage = 1, // or permissions
    exit_system = 2,
    exit_internal = 4,
    exit_interrupted = 8,
    exit_mount = 32
};

// The status for a mount that failed of `code`.
int exit_status(Errc code) noexcept;

// The child's end. Without a parent (foreground) it prints failures itself.
class Reporter {
  public:
    Reporter() = default;
    explicit Reporter(UniqueFd pipe) : pipe_(std::move(pipe)) {}

    // The mount stands: lets the parent go and leaves terminal and standard files to it.
    // `line` is printed if it is not empty.
    void ready(const std::string &line);
    // One line for the caller; returns `status`.
    int failed(int status, const std::string &line);

  private:
    void send(int status, const std::string &line);
    UniqueFd pipe_;
};

// Runs `work` in this process (foreground) or in a child, which keeps none of the descriptors above
// 2 that are open here, and returns the exit status of this process. REQUIRES: no other thread.
int launch(bool foreground, const std::function<int(Reporter &)> &work);

} // namespace daxpin::fusefs
