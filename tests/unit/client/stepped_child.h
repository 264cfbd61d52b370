// SPDX-License-Identifier: BSD-3-Clause
//
// SteppedChild: a child that runs a function one instruction at a time, and dies with this object.
// On x86-64 only: elsewhere atomic operations may be loops that never end if stepped through.
#pragma once

#include <array>
#include <functional>
#include <sys/types.h>

namespace daxpin::test {

class SteppedChild {
  public:
    explicit SteppedChild(const std::function<void()> &body);
    ~SteppedChild(); // by SIGKILL, wherever it is
    SteppedChild(const SteppedChild &) = delete;
    SteppedChild &operator=(const SteppedChild &) = delete;

    // Executes one instruction; false when the function has returned.
    bool step() const;
    // The bytes of the instruction that is next, and some more.
    std::array<unsigned char, 8> code() const;

  private:
    pid_t pid_;
};

} // namespace daxpin::test
