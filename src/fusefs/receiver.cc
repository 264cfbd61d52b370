// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/receiver.h"

#include "base/sync.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace daxpin::fusefs {

// While it lives its thread is the one that is awake, and reads from `fd` without waiting. Also
// taken down when libfuse cancels the thread.
class Receiver::Awake {
  public:
    Awake(Receiver &receiver, int fd) : receiver_(receiver), fd_(fd), flags_(::fcntl(fd, F_GETFL)) {
        ::fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
    }
    ~Awake() {
        ::fcntl(fd_, F_SETFL, flags_);
        receiver_.someone_is_awake_.store(false);
    }
    Awake(const Awake &) = delete;
    Awake &operator=(const Awake &) = delete;

  private:
    Receiver &receiver_;
    int fd_;
    int flags_;
};

ssize_t Receiver::read(int fd, void *buffer, std::size_t size) {
    if (stay_awake_.count() > 0 && fd != shared_ && !someone_is_awake_.exchange(true)) {
        const Awake awake(*this, fd);
        const auto end = std::chrono::steady_clock::now() + stay_awake_;
        do {
            const ssize_t length = ::read(fd, buffer, size);
            if (length >= 0 || errno != EAGAIN)
                return length;
            spin_wait(0);
        } while (std::chrono::steady_clock::now() < end);
    }
    return ::read(fd, buffer, size);
}

} // namespace daxpin::fusefs
