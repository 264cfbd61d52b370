// SPDX-License-Identifier: BSD-3-Clause
#include "base/unique_fd.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"
#include "unit/client/no_descriptors.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <memory>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using daxpin::UniqueFd;
using daxpin::test::FakeFilesystem;
using daxpin::test::NoDescriptors;

namespace {

constexpr std::uint64_t mib = 1 << 20;

// A file whose device the broker opens.
struct Fixture {
    Fixture() : fs(mib) {
        fs.add_extent(fs.add_device(mib, DAXPIN_GRANULARITY_CACHE_LINE), 0, mib);
        fs.broker = "/nonexistent";
    }
    ~Fixture() { daxpin_map_delete(&made); }
    Fixture(const Fixture &) = delete;
    Fixture &operator=(const Fixture &) = delete;
    int map() { return daxpin_err_to_errno(daxpin_map_new(&made, fd.get(), 0, 0, 0)); }
    FakeFilesystem fs;
    UniqueFd fd{fs.open_file(O_RDWR)};
    daxpin_map *made = nullptr;
};

struct EndProcess {
    void operator()(const pid_t *pid) const {
        kill(*pid, SIGKILL);
        waitpid(*pid, nullptr, 0);
        delete pid;
    }
};

// The broker's socket of a filesystem.
struct Listener {
    explicit Listener(FakeFilesystem &fs) : fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
        fs.broker = fs.folder() + "/broker";
        fs.broker.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
        REQUIRE(listen(fd.get(), 0) == 0);
    }
    int connect(int from) const {
        return ::connect(from, reinterpret_cast<const sockaddr *>(&address), sizeof address);
    }
    // From a process of its own: puts some off, then gives the next who asks a descriptor.
    std::unique_ptr<const pid_t, EndProcess> serve(int passed, unsigned put_off) const {
        const pid_t pid = fork();
        if (pid == 0) {
            usleep(100'000);
            for (unsigned i = 0; i < put_off; ++i)
                close(accept(fd.get(), nullptr, nullptr));
            answer(passed);
            _exit(0);
        }
        return std::unique_ptr<const pid_t, EndProcess>(new pid_t(pid));
    }

  private:
    void answer(int passed) const {
        const UniqueFd peer(accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
        daxpin_broker_request request;
        static_cast<void>(recv(peer.get(), &request, sizeof request, 0));
        daxpin_broker_reply reply{};
        iovec bytes{&reply, sizeof reply};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)]{};
        msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto *const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof passed);
        std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
        sendmsg(peer.get(), &message, MSG_NOSIGNAL);
    }

  public:
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    UniqueFd fd;
};

} // namespace

TEST_CASE("broker: without a socket, or anybody who listens there", "[client]") {
    Fixture f;
    CHECK(f.map() == ENOENT);
    Listener listener(f.fs);
    listener.fd.reset();
    CHECK(f.map() == ECONNREFUSED);
}

TEST_CASE("broker: the device's descriptor is one too many: EMFILE", "[client]") {
    Fixture f;
    const Listener listener(f.fs);
    const auto daemon = listener.serve(f.fd.get(), 0);
    const NoDescriptors none(1); // the connection
    CHECK(f.map() == EMFILE);
}

TEST_CASE("broker: a signal does not disturb who waits for it", "[client]") {
    Fixture f;
    const Listener listener(f.fs);
    std::vector<UniqueFd> others; // that fill the queue of connections
    do
        others.emplace_back(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    while (listener.connect(others.back().get()) == 0);
    struct sigaction ignoring {};
    ignoring.sa_handler = [](int) {}; // and no SA_RESTART
    struct sigaction before {};
    REQUIRE(sigaction(SIGALRM, &ignoring, &before) == 0);
    const auto daemon = listener.serve(f.fd.get(), static_cast<unsigned>(others.size()) - 1);
    const itimerval every{{0, 10'000}, {0, 10'000}}, never{};
    setitimer(ITIMER_REAL, &every, nullptr);
    const int failed = f.map();
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before, nullptr);
    CHECK(failed == 0);
}
