// SPDX-License-Identifier: BSD-3-Clause
//
// NoDescriptors: while it lives this process can open no more than `but`: EMFILE.
#pragma once

#include "support/catch.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace daxpin::test {

class NoDescriptors {
  public:
    explicit NoDescriptors(unsigned but = 0) {
        REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const int first_free = open("/dev/null", O_RDONLY | O_CLOEXEC);
        REQUIRE(first_free >= 0);
        close(first_free);
        const rlimit none{static_cast<rlim_t>(first_free) + but, before_.rlim_max};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors &) = delete;
    NoDescriptors &operator=(const NoDescriptors &) = delete;

  private:
    rlimit before_{};
};

} // namespace daxpin::test
