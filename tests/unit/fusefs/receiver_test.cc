// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/receiver.h"

#include "base/unique_fd.h"
#include "support/catch.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace daxpin;
using fusefs::Receiver;
using namespace std::chrono_literals;

namespace {

// Stands in for the kernel's device: requests are single bytes.
struct Pipe {
    UniqueFd out, in;
    Pipe() {
        std::array<int, 2> ends;
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        out = UniqueFd(ends[0]);
        in = UniqueFd(ends[1]);
    }
    void send() { REQUIRE(::write(in.get(), "r", 1) == 1); }
    bool is_blocking() const { return (::fcntl(out.get(), F_GETFL) & O_NONBLOCK) == 0; }
    ssize_t receive(Receiver &receiver) {
        char byte;
        return receiver.read(out.get(), &byte, 1);
    }
};

// A thread that waits for a request; the test looks at its descriptor meanwhile.
class Waiting {
  public:
    Waiting(Receiver &receiver, Pipe &pipe)
        : pipe_(pipe), thread_([&] { got_ = pipe.receive(receiver); }) {}
    ~Waiting() {
        pipe_.send();
        thread_.join();
        CHECK(got_ == 1);
        CHECK(pipe_.is_blocking());
    }
    Waiting(const Waiting &) = delete;
    Waiting &operator=(const Waiting &) = delete;
    bool becomes_awake() const {
        for (unsigned i = 0; i < 200 && pipe_.is_blocking(); ++i)
            std::this_thread::sleep_for(1ms);
        return !pipe_.is_blocking();
    }

  private:
    Pipe &pipe_;
    ssize_t got_ = 0;
    std::thread thread_;
};

} // namespace

TEST_CASE("receiver: a request is received, awake or asleep", "[receiver]") {
    for (const auto stay_awake : {0us, 20us, 10'000'000us}) {
        Receiver receiver(stay_awake);
        Pipe pipe;
        pipe.send();
        CHECK(pipe.receive(receiver) == 1);
        const Waiting waiting(receiver, pipe);
        std::this_thread::sleep_for(10ms); // by then it sleeps, or is awake
    }
}

TEST_CASE("receiver: nobody stays awake who was not asked to", "[receiver]") {
    Receiver receiver(0us);
    Pipe pipe;
    const Waiting waiting(receiver, pipe);
    CHECK_FALSE(waiting.becomes_awake());
}

TEST_CASE("receiver: one thread at a time is awake", "[receiver]") {
    Receiver receiver(10'000'000us);
    Pipe one, other;
    {
        const Waiting first(receiver, one);
        REQUIRE(first.becomes_awake());
        const Waiting second(receiver, other);
        CHECK_FALSE(second.becomes_awake());
    }
    const Waiting later(receiver, other);
    CHECK(later.becomes_awake());
}

TEST_CASE("receiver: a descriptor that threads share stays blocking", "[receiver]") {
    Receiver receiver(10'000'000us);
    Pipe pipe;
    receiver.share(pipe.out.get());
    const Waiting waiting(receiver, pipe);
    CHECK_FALSE(waiting.becomes_awake());
}

TEST_CASE("receiver: an error is passed on at once", "[receiver]") {
    Receiver receiver(10'000'000us);
    Pipe pipe;
    char byte;
    const auto start = std::chrono::steady_clock::now();
    CHECK(receiver.read(pipe.in.get(), &byte, 1) == -1); // the end that is only written to
    CHECK(errno == EBADF);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}
