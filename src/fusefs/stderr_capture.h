// SPDX-License-Identifier: BSD-3-Clause
//
// StderrCapture: what libfuse and fusermount3 print while the filesystem is mounted, for our own
// one line.
#pragma once

#include "base/unique_fd.h"

#include <string>

namespace daxpin::fusefs {

// REQUIRES: no other thread writes to stderr while one of these lives.
class StderrCapture {
  public:
    StderrCapture();
    ~StderrCapture() { restore(); }
    StderrCapture(const StderrCapture &) = delete;
    StderrCapture &operator=(const StderrCapture &) = delete;

    // Ends the capture and returns the last line, or "no reason given".
    std::string finish();

  private:
    void restore();
    UniqueFd original_;
    UniqueFd text_;
};

} // namespace daxpin::fusefs
