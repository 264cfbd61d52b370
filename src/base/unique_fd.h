// SPDX-License-Identifier: BSD-3-Clause
//
// UniqueFd: owns a file descriptor and closes it.
#pragma once

#include <utility>

namespace daxpin {

class [[nodiscard]] UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd &operator=(UniqueFd &&other) noexcept {
        if (this != &other)
            reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    void reset(int fd = -1) noexcept;
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_ = -1;
};

} // namespace daxpin
