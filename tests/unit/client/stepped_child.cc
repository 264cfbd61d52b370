// SPDX-License-Identifier: BSD-3-Clause
#include "unit/client/stepped_child.h"

#include "support/catch.h"

#include <csignal>
#include <cstring>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

namespace daxpin::test {

SteppedChild::SteppedChild(const std::function<void()> &body) : pid_(fork()) {
    if (pid_ == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        body();
        raise(SIGSTOP);
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    REQUIRE(WIFSTOPPED(status));
}

SteppedChild::~SteppedChild() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

bool SteppedChild::step() const {
    int status = 0;
    REQUIRE(ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) == 0);
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    REQUIRE(WIFSTOPPED(status));
    return WSTOPSIG(status) == SIGTRAP;
}

std::array<unsigned char, 8> SteppedChild::code() const {
    user_regs_struct registers{};
    REQUIRE(ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) == 0);
    const long word = ptrace(PTRACE_PEEKTEXT, pid_, registers.rip, nullptr);
    std::array<unsigned char, 8> code;
    std::memcpy(code.data(), &word, sizeof word);
    return code;
}

} // namespace daxpin::test

#endif
