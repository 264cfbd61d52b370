// SPDX-License-Identifier: BSD-3-Clause
#include "base/standard_files.h"

#include "support/catch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace daxpin;

TEST_CASE("standard files: those that are closed are /dev/null, the others stay", "[base]") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int ends[2];
        if (::pipe(ends) != 0 || ::dup2(ends[1], STDOUT_FILENO) < 0)
            ::_exit(1);
        ::close(STDIN_FILENO);
        ::close(STDERR_FILENO);
        open_standard_files();
        struct stat in, out, error, null;
        const bool known = ::fstat(STDIN_FILENO, &in) == 0 && ::fstat(STDOUT_FILENO, &out) == 0 &&
                           ::fstat(STDERR_FILENO, &error) == 0 && ::stat("/dev/null", &null) == 0;
        ::_exit(known && in.st_rdev == null.st_rdev && error.st_rdev == null.st_rdev &&
                        S_ISFIFO(out.st_mode)
                    ? 0
                    : 2);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}
