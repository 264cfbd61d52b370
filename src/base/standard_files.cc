// SPDX-License-Identifier: BSD-3-Clause
#include "base/standard_files.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <initializer_list>
#include <unistd.h>

namespace daxpin {

void open_standard_files() noexcept {
    // The lowest closed descriptor is the one that open() gives.
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd)
            std::abort(); // without them nothing is safe to open
}

bool write_standard_output() noexcept {
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

} // namespace daxpin
