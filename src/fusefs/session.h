// SPDX-License-Identifier: BSD-3-Clause
//
// Session: the connection to the kernel, from mount to unmount.
#pragma once

#include "fusefs/filesystem.h"
#include "fusefs/fuse.h"

#include <memory>
#include <optional>
#include <string>

namespace daxpin::fusefs {

class Session {
  public:
    // `fs` outlives the session. ERRORS: invalid with libfuse's text.
    static Result<std::unique_ptr<Session>> create(Filesystem &fs, const std::string &fsname);
    // Unmounts, if that is left to do.
    ~Session();
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    // Mounts on an absolute path and takes over SIGTERM, SIGINT and SIGHUP, which end run().
    // ERRORS: unsupported with the text of mount(2) or fusermount3.
    Result<void> mount(const std::string &path);

    // Answers requests until the filesystem is unmounted or a signal comes.
    // ERRORS: io with a text if the connection broke.
    Result<void> run(unsigned threads, unsigned max_idle);

    // Takes the mount away, lazily, and ends what still waits for an answer.
    void unmount();
    // Ends what waits for an answer and leaves the mount without a daemon: ENOTCONN for whoever
    // uses it, until it is unmounted by somebody.
    void abandon();

    // To be called from a thread that answers no requests.
    void invalidate(const Invalidation &invalidation);

  private:
    Session(fuse_session *session, Filesystem &fs) : session_(session), fs_(fs) {}
    void leave(bool unmount);

    fuse_session *session_;
    Filesystem &fs_;
    std::string mounted_on_;
    std::optional<unsigned> connection_; // its number in /sys/fs/fuse/connections
};

} // namespace daxpin::fusefs
