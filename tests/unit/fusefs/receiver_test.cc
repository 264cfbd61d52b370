// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/receiver.h"

#include "base/unique_fd.h"
#include "support/catch.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace daxpin;
using fusefs::Receiver;
using namespace std::chrono_literals;

namespace {

// What must happen is waited for as long as a busy machine may take; that something does not
// happen can only be seen for a while.
constexpr auto positive_wait = 30s;
constexpr auto negative_wait = 100ms;

template <typename Condition> bool happens(Condition condition, std::chrono::milliseconds wait) {
    const auto end = std::chrono::steady_clock::now() + wait;
    while (!condition() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(1ms);
    return condition();
}

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
    bool becomes_awake() const { return is_awake_within(positive_wait); }
    bool stays_asleep() const { return !is_awake_within(negative_wait); }

  private:
    bool is_awake_within(std::chrono::milliseconds wait) const {
        return happens([&] { return !pipe_.is_blocking(); }, wait);
    }

    Pipe &pipe_;
    ssize_t got_ = 0;
    std::thread thread_;
};

} // namespace

TEST_CASE("receiver: a request is received, awake or asleep", "[receiver]") {
    for (const auto stay_awake : {0us, 20us, 10'000'000us}) {
        Receiver receiver(stay_awake, 1);
        Pipe pipe;
        pipe.send();
        CHECK(pipe.receive(receiver) == 1);
        const Waiting waiting(receiver, pipe);
        std::this_thread::sleep_for(10ms); // by then it sleeps, or is awake
    }
}

TEST_CASE("receiver: nobody stays awake who was not asked to", "[receiver]") {
    Receiver receiver(0us, 1);
    Pipe pipe;
    const Waiting waiting(receiver, pipe);
    CHECK(waiting.stays_asleep());
}

TEST_CASE("receiver: one thread at a time is awake", "[receiver]") {
    Receiver receiver(10'000'000us, 2);
    Pipe one, other;
    {
        const Waiting first(receiver, one);
        REQUIRE(first.becomes_awake());
        const Waiting second(receiver, other);
        CHECK(second.stays_asleep());
    }
    const Waiting later(receiver, other);
    CHECK(later.becomes_awake());
}

TEST_CASE("receiver: a descriptor that threads share stays blocking", "[receiver]") {
    Receiver receiver(10'000'000us, 2);
    Pipe pipe;
    receiver.share(pipe.out.get());
    const Waiting waiting(receiver, pipe);
    CHECK(waiting.stays_asleep());
}

TEST_CASE("receiver: an error is passed on at once", "[receiver]") {
    Receiver receiver(10'000'000us, 2);
    Pipe pipe;
    char byte;
    const auto start = std::chrono::steady_clock::now();
    CHECK(receiver.read(pipe.in.get(), &byte, 1) == -1); // the end that is only written to
    CHECK(errno == EBADF);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}

namespace {

// Where a thread is, as the others see it.
class Whereabouts {
  public:
    ssize_t receive(Receiver &receiver, Pipe &pipe) {
        thread_ = ::gettid();
        const ssize_t got = pipe.receive(receiver);
        thread_ = 0;
        return got;
    }
    // In receive(), for a request or for its turn.
    bool comes_to_sleep() const {
        return happens([&] { return thread_ != 0 && state(thread_) == 'S'; }, positive_wait);
    }

  private:
    static char state(pid_t thread) {
        std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
        std::string line;
        std::getline(file, line);
        const auto name_end = line.rfind(") ");
        return name_end == std::string::npos ? '?' : line[name_end + 2];
    }

    std::atomic<pid_t> thread_ = 0; // 0 outside
};

// Threads that serve requests of a pipe each until it is closed; a request takes as long as the
// test wants.
class Servers {
  public:
    Servers(Receiver &receiver, std::size_t count) : servers_(count) {
        for (Server &server : servers_) {
            server.thread = std::jthread([&] {
                while (server.whereabouts.receive(receiver, server.pipe) == 1) {
                    ++server.received;
                    server.busy.wait(true);
                }
            });
            CHECK(server.whereabouts.comes_to_sleep()); // so that they come in order
        }
    }
    ~Servers() {
        for (Server &server : servers_) {
            server.busy = false;
            server.busy.notify_all();
            server.pipe.in.reset();
        }
    }
    Servers(const Servers &) = delete;
    Servers &operator=(const Servers &) = delete;

    void send(std::size_t server, bool takes_long = false) {
        servers_[server].busy = takes_long;
        servers_[server].pipe.send();
    }
    void finish(std::size_t server) {
        servers_[server].busy = false;
        servers_[server].busy.notify_all();
        CHECK(servers_[server].whereabouts.comes_to_sleep());
    }
    void end(std::size_t server) {
        servers_[server].pipe.in.reset();
        servers_[server].thread.join();
    }
    bool has_received(std::size_t server, unsigned requests) const {
        return receives_within(server, requests, positive_wait) &&
               servers_[server].received == requests;
    }
    bool does_not_receive(std::size_t server, unsigned requests) const {
        return !receives_within(server, requests, negative_wait);
    }

  private:
    bool receives_within(std::size_t server, unsigned requests,
                         std::chrono::milliseconds wait) const {
        return happens([&] { return servers_[server].received >= requests; }, wait);
    }

    struct Server {
        Pipe pipe;
        Whereabouts whereabouts;
        std::atomic<unsigned> received = 0;
        std::atomic<bool> busy = false;
        std::jthread thread;
    };
    std::vector<Server> servers_;
};

} // namespace

TEST_CASE("receiver: threads beyond the active ones are parked", "[receiver]") {
    Receiver receiver(0us, 2);
    Servers servers(receiver, 3);
    servers.send(0, true);
    CHECK(servers.has_received(0, 1));
    for (unsigned i = 1; i <= 3; ++i) { // for a moment both have something to do
        servers.send(1);
        CHECK(servers.has_received(1, i));
    }
    servers.send(2);
    CHECK(servers.does_not_receive(2, 1)); // one is busy, but the other one waits for requests
}

TEST_CASE("receiver: where one is active another takes its place while it is held up",
          "[receiver]") {
    Receiver receiver(0us, 1);
    Servers servers(receiver, 3);
    servers.send(0);
    CHECK(servers.has_received(0, 1));
    servers.send(1);
    CHECK(servers.does_not_receive(1, 1));
    servers.send(0, true);
    CHECK(servers.has_received(1, 1));
    servers.send(1);
    CHECK(servers.has_received(1, 2));
    servers.finish(0); // it is parked: another one waits for requests
    servers.send(0);
    CHECK(servers.does_not_receive(0, 3));
    servers.send(1);
    CHECK(servers.has_received(1, 3));
}

TEST_CASE("receiver: when all active threads are held up another one becomes active",
          "[receiver]") {
    Receiver receiver(0us, 2);
    Servers servers(receiver, 5);
    servers.send(0, true);
    servers.send(1, true);
    servers.send(2, true);
    CHECK(servers.has_received(2, 1));
    std::this_thread::sleep_for(100ms); // by then the next one waits, and the last one watches
    servers.send(3);
    CHECK(servers.has_received(3, 1));
    // It stays active while the others are held up. Of those that come back all are parked but one.
    servers.send(3);
    CHECK(servers.has_received(3, 2));
    servers.finish(0);
    servers.finish(1);
    servers.finish(2);
    servers.send(0);
    servers.send(1);
    CHECK(servers.does_not_receive(0, 2));
    CHECK(servers.does_not_receive(1, 2));
    servers.send(2);
    CHECK(servers.has_received(2, 2));
    servers.send(3);
    CHECK(servers.has_received(3, 3));
}

TEST_CASE("receiver: a thread that ends makes room for one that is parked", "[receiver]") {
    Receiver receiver(0us, 2);
    Servers servers(receiver, 3);
    servers.end(0);
    servers.send(2);
    servers.send(1);
    CHECK(servers.has_received(1, 1));
    CHECK(servers.has_received(2, 1));
}

TEST_CASE("receiver: no request is left lying while threads come and go", "[receiver]") {
    constexpr unsigned requests = 20'000;
    Receiver receiver(0us, 2);
    Pipe pipe;
    std::atomic<unsigned> received = 0;
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < 6; ++i)
            threads.emplace_back([&, i] {
                for (unsigned n = 0; pipe.receive(receiver) == 1; ++n) {
                    ++received;
                    if (n % 500 == i)
                        std::this_thread::sleep_for(3ms);
                }
            });
        for (unsigned i = 0; i < requests; ++i)
            pipe.send();
        pipe.in.reset();
    }
    CHECK(received == requests);
}

TEST_CASE("receiver: who is parked can be cancelled, and leaves nobody waiting", "[receiver]") {
    const bool reader_is_busy = GENERATE(false, true);
    Receiver receiver(0us, 1);
    Servers reader(receiver, 1);
    Pipe pipe;
    ssize_t got = 0;
    Whereabouts first, second;
    std::thread watcher([&] { first.receive(receiver, pipe); });
    CHECK(first.comes_to_sleep());
    std::thread parked([&] { got = second.receive(receiver, pipe); });
    CHECK(second.comes_to_sleep());
    if (reader_is_busy)
        reader.send(0, true); // the watcher looks at it meanwhile
    REQUIRE(::pthread_cancel(watcher.native_handle()) == 0);
    watcher.join();
    if (!reader_is_busy)
        reader.send(0, true);
    pipe.send();
    parked.join();
    CHECK(got == 1);
}
