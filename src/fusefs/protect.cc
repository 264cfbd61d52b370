// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/protect.h"

#include "base/log.h"
#include "base/unique_fd.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace daxpin::fusefs {
namespace {

bool spare_from_oom_killer() {
    const UniqueFd fd(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), "-1000", 5) == 5;
}

} // namespace

void protect_process() {
    if (!spare_from_oom_killer())
        log(LogLevel::debug, "not allowed: protection from the out-of-memory killer");
    if (::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0)
        log(LogLevel::debug, "not allowed: PR_SET_IO_FLUSHER");
    if (::chdir("/") != 0)
        log(LogLevel::warning, "the working directory cannot be left");
}

} // namespace daxpin::fusefs
