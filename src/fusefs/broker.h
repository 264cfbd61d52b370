// SPDX-License-Identifier: BSD-3-Clause
//
// Broker: opens devices for programs that hold a lease and may not open them by themselves
// (mount option dax=broker; docs/pinning.md, "Who may open the device").
//
// A thread of its own answers on a UNIX socket of whole messages (SOCK_SEQPACKET): one request,
// one reply, the end. Who is at the other end the kernel says. Clients are not trusted: what is
// not exactly a request is refused, descriptors sent along are dropped unseen, who says nothing
// is put off after some seconds, and who comes too often puts off himself.
#pragma once

#include "base/unique_fd.h"
#include "fusefs/tickets.h"
#include "volume/volume.h"

#include <daxpin/ioctl.h>
#include <deque>
#include <string>
#include <thread>

namespace daxpin::fusefs {

class Broker {
  public:
    Broker(volume::Volume &volume, Env &env) : volume_(volume), tickets_(env) {}
    ~Broker() { stop(); }
    Broker(const Broker &) = delete;
    Broker &operator=(const Broker &) = delete;

    // Listens on `path` for everybody. A socket that is there already is that of a daemon which
    // was killed: whoever serves the volume holds its devices' locks. ERRORS: with a text.
    Result<void> start(const std::string &path);
    void stop(); // and removes the socket

    const std::string &path() const { return path_; } // unchanged once started

    Tickets::Bytes issue(const Tickets::Lease &lease, Tickets::Holder holder) {
        return tickets_.issue(lease, holder, Tickets::Clock::now());
    }

    // What `peer` gets for a message. ERRORS: invalid: no request, or no device with data; access:
    // no ticket, or the lease has ended; those of open(2).
    Result<UniqueFd> answer(std::span<const std::byte> message, Tickets::Holder peer);

  private:
    struct Connection {
        UniqueFd fd;
        Tickets::Holder peer;
        Tickets::Clock::time_point end; // of patience
    };

    void serve();
    bool step();
    void accept();
    void shed_load();
    void make_room(uid_t uid);
    bool converse(const Connection &connection); // false while nothing has come
    int patience_ms() const;

    volume::Volume &volume_;
    Tickets tickets_;
    std::string path_;
    UniqueFd listener_;
    UniqueFd ending_; // eventfd
    std::thread thread_;
    std::deque<Connection> connections_; // oldest first; the thread's own
};

// Where the broker of a volume listens if nobody says: /run/daxpin for root, else below
// $XDG_RUNTIME_DIR; makes the directory. ERRORS: with a text that names the option.
Result<std::string> broker_path(const std::string &volume);

} // namespace daxpin::fusefs
