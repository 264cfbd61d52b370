// SPDX-License-Identifier: BSD-3-Clause
#include "base/unique_fd.h"

#include <unistd.h>

namespace daxpin {

void UniqueFd::reset(int fd) noexcept {
    // After EINTR Linux has closed the descriptor all the same: a retry could close another's.
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = fd;
}

} // namespace daxpin
