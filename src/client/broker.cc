// SPDX-License-Identifier: BSD-3-Clause
#include "client/broker.h"

#include "client/error.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace daxpin::client {

namespace {

template <typename Call> ssize_t unless_interrupted(Call call) {
    ssize_t count;
    do
        count = call();
    while (count < 0 && errno == EINTR);
    return count;
}

Result<UniqueFd> connect_to(std::string_view path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const auto reach = [&] {
        return connect(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address);
    };
    if (!fd || unless_interrupted(reach) != 0)
        return system_error("cannot reach the broker at " + std::string(path));
    return fd;
}

Result<UniqueFd> receive(int fd) {
    daxpin_broker_reply reply{};
    iovec bytes{&reply, sizeof reply};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t count =
        unless_interrupted([&] { return recvmsg(fd, &message, MSG_CMSG_CLOEXEC); });
    if (count < 0)
        return system_error("the broker does not answer");
    UniqueFd device;
    const cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
        int passed;
        std::memcpy(&passed, CMSG_DATA(header), sizeof passed);
        device.reset(passed);
    }
    if (count == sizeof reply && reply.error == 0 && device)
        return device;
    if ((message.msg_flags & MSG_CTRUNC) != 0) { // the kernel does not say why
        errno = EMFILE;
        return system_error("no room for the device's descriptor from the broker");
    }
    if (count != sizeof reply || reply.error == 0)
        return Error{Errc::io, "the broker hung up"};
    errno = reply.error;
    return system_error("the broker refuses");
}

} // namespace

Result<daxpin_ticket> ticket_of(const LeasedFile &file) {
    daxpin_ticket ticket{};
    ticket.lease = file.lease;
    DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_TICKET, &ticket, "cannot prove the lease"));
    return ticket;
}

Result<UniqueFd> open_by_broker(const daxpin_ticket &ticket, unsigned device) {
    DAXPIN_TRY_ASSIGN(const UniqueFd broker,
                      connect_to({ticket.socket, strnlen(ticket.socket, sizeof ticket.socket)}));
    daxpin_broker_request asked{};
    std::memcpy(asked.ticket, ticket.ticket, sizeof asked.ticket);
    asked.device = device;
    const auto sent =
        unless_interrupted([&] { return send(broker.get(), &asked, sizeof asked, MSG_NOSIGNAL); });
    if (sent < 0)
        return system_error("the broker takes no request");
    return receive(broker.get());
}

} // namespace daxpin::client
