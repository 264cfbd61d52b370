// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/broker.h"

#include "base/log.h"
#include "fusefs/limited_log.h"
#include "fusefs/thread.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <new>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace daxpin::fusefs {
namespace {

constexpr std::chrono::seconds patience{5};
constexpr std::size_t silent_per_user_max = 16;
constexpr std::size_t silent_max = 256; // of all users: a user may have many ids

Error failure(const std::string &path, const char *what) {
    const Errc code = from_errno(errno);
    return {code, fmt::format("the broker's socket {}: {}: {}: name another with the option "
                              "broker_socket=",
                              path, what, std::strerror(errno))};
}

Result<void> make_way(const std::string &path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0)
        return {};
    if (!S_ISSOCK(status.st_mode)) {
        errno = EEXIST;
        return failure(path, "is something else");
    }
    if (::unlink(path.c_str()) != 0)
        return failure(path, "unlink");
    return {};
}

Result<UniqueFd> listen_on(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return failure(path, "bind");
    }
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return failure(path, "socket");
    if (::bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
        return failure(path, "bind");
    // A ticket is what counts, not who may connect.
    if (::chmod(path.c_str(), 0666) != 0 || ::listen(fd.get(), SOMAXCONN) != 0)
        return failure(path, "listen");
    return fd;
}

std::optional<Tickets::Holder> peer_of(int fd) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
        return std::nullopt;
    return Tickets::Holder{credentials.uid, credentials.pid};
}

void send_reply(int fd, const Result<UniqueFd> &answer) {
    daxpin_broker_reply reply{};
    reply.error = answer ? 0 : to_errno(answer.code());
    iovec bytes{&reply, sizeof reply};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    if (answer) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int passed = answer->get();
        std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    // Who has left, or takes nothing in, gets nothing.
    static_cast<void>(::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

} // namespace

Result<std::string> broker_path(const std::string &volume) {
    std::string directory = "/run/daxpin";
    if (::geteuid() != 0) {
        const char *runtime = std::getenv("XDG_RUNTIME_DIR");
        if (runtime == nullptr || *runtime == '\0')
            return Error{Errc::not_found, "dax=broker: there is no place for the broker's socket, "
                                          "XDG_RUNTIME_DIR is not set: name one with the option "
                                          "broker_socket="};
        directory = std::string(runtime) + "/daxpin";
    }
    std::string path = directory + "/" + volume + ".socket";
    if (::mkdir(directory.c_str(), 0755) == 0)
        static_cast<void>(::chmod(directory.c_str(), 0755)); // whatever the umask
    else if (errno != EEXIST)
        return failure(path, "mkdir");
    return path;
}

Result<void> Broker::start(const std::string &path) {
    DAXPIN_TRY(make_way(path));
    DAXPIN_TRY_ASSIGN(listener_, listen_on(path));
    path_ = path;
    ending_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
    if (!ending_)
        return failure(path, "eventfd");
    thread_ = start_thread("broker", [this] { serve(); });
    return {};
}

void Broker::stop() {
    if (thread_.joinable()) {
        ::eventfd_write(ending_.get(), 1);
        thread_.join();
    }
    if (listener_)
        ::unlink(path_.c_str());
    listener_.reset();
    connections_.clear();
}

Result<UniqueFd> Broker::answer(std::span<const std::byte> message, Tickets::Holder peer) {
    daxpin_broker_request request;
    if (message.size() != sizeof request)
        return Errc::invalid;
    std::memcpy(&request, message.data(), sizeof request);
    const device::DeviceTable &devices = volume_.devices();
    if (std::ranges::any_of(request.reserved, [](unsigned word) { return word != 0; }) ||
        request.device >= devices.count())
        return Errc::invalid;
    const auto &entry = volume_.superblock().devices[request.device];
    if (static_cast<format::Role>(std::uint32_t{entry.role}) == format::Role::metadata)
        return Errc::invalid;
    const auto lease =
        tickets_.redeem(std::as_bytes(std::span(request.ticket)), peer, Tickets::Clock::now());
    if (!lease)
        return Errc::access;
    const auto writable = volume_.is_write_lease(lease->inode, lease->handle, lease->id);
    if (!writable)
        return Errc::access;
    return devices.at(request.device).open_again(*writable);
}

// The silent ones of one user stand in nobody else's way, and all of them not in the daemon's.
void Broker::make_room(uid_t uid) {
    const auto is_theirs = [uid](const Connection &one) { return one.peer.uid == uid; };
    if (static_cast<std::size_t>(std::ranges::count_if(connections_, is_theirs)) >=
        silent_per_user_max)
        connections_.erase(std::ranges::find_if(connections_, is_theirs));
    if (connections_.size() >= silent_max)
        connections_.pop_front(); // the one that has been silent the longest
}

// Out of descriptors or memory: drops the connection that has been silent the longest, or waits a
// moment.
void Broker::shed_load() {
    if (!connections_.empty())
        return connections_.pop_front();
    pollfd ending{ending_.get(), POLLIN, 0};
    ::poll(&ending, 1, 100);
}

void Broker::accept() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            shed_load();
        return;
    }
    const auto peer = peer_of(fd.get());
    if (!peer)
        return;
    make_room(peer->uid);
    connections_.push_back({std::move(fd), *peer, Tickets::Clock::now() + patience});
}

bool Broker::converse(const Connection &connection) {
    std::array<std::byte, sizeof(daxpin_broker_request) + 1> buffer; // one more: too long shows
    // Without room for control messages the kernel closes what comes with them.
    const ssize_t count = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (count <= 0)
        return true; // it has left
    const auto answered =
        answer(std::span(buffer).first(static_cast<std::size_t>(count)), connection.peer);
    if (!answered)
        log_limited(fmt::format("broker: process {} of user {} is refused: {}",
                                connection.peer.process, connection.peer.uid,
                                describe(answered.error())));
    send_reply(connection.fd.get(), answered);
    return true;
}

int Broker::patience_ms() const {
    if (connections_.empty())
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(connections_.front().end -
                                                                   Tickets::Clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

// False when it is time to stop.
bool Broker::step() {
    std::vector<pollfd> polled{{ending_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const Connection &connection : connections_)
        polled.push_back({connection.fd.get(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), patience_ms()) < 0)
        return true;
    if (polled[0].revents != 0)
        return false;
    const auto now = Tickets::Clock::now();
    std::size_t index = 2;
    std::erase_if(connections_, [&](const Connection &connection) {
        const bool is_ready = polled[index++].revents != 0;
        return (is_ready && converse(connection)) || connection.end <= now;
    });
    if (polled[1].revents != 0)
        accept();
    return true;
}

void Broker::serve() {
    for (bool goes_on = true; goes_on;) {
        try {
            goes_on = step();
        } catch (const std::bad_alloc &) {
            shed_load();
        }
    }
}

} // namespace daxpin::fusefs
