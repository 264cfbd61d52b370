// SPDX-License-Identifier: BSD-3-Clause
//
// Answering requests. A handler returns what it found; this is the one place that replies.
//
//   void op_getattr(fuse_req_t raw, fuse_ino_t ino, fuse_file_info *) {
//       dispatch(raw, [&](Filesystem &fs) -> Result<AttributeReply> { ... });
//   }
//
// A handler has no way to reply by itself, so none is forgotten or sent twice; when it returns,
// its locks are gone. What the kernel did not take (the caller was interrupted) is undone:
// lookups are forgotten, opens released. Memory that ran out becomes ENOMEM here.
#pragma once

#include "fusefs/filesystem.h"
#include "fusefs/fuse.h"

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <type_traits>
#include <vector>

namespace daxpin::fusefs {

// ---- what a handler can answer ----

struct EmptyReply {};
struct NoReply {}; // forget: the kernel expects none

// One lookup reference is the kernel's once it has taken the reply. Without attributes: there is
// no such name, and the kernel may remember that.
struct EntryReply {
    std::optional<volume::Attributes> attributes;
};
struct AttributeReply {
    volume::Attributes attributes;
};
struct CreateReply {
    volume::Attributes attributes;
    volume::OpenReply open;
};
struct FileReply {
    InodeNumber inode;
    volume::OpenReply open;
};
struct DirectoryReply {
    InodeNumber inode;
};
struct CountReply {
    std::uint64_t bytes; // written or copied
};
struct OffsetReply {
    std::uint64_t offset;
};
struct TextReply {
    std::string text; // a symbolic link's target
};
struct BytesReply {
    std::vector<char> bytes;
};
struct SizeReply {
    std::size_t bytes; // what an attribute needs
};
// A part of a directory; each entry of `looked_up` holds a lookup reference.
struct EntriesReply {
    std::vector<char> bytes;
    std::vector<InodeNumber> looked_up;
};
struct DataReply {
    volume::ReadReply data;
};
struct StatisticsReply {
    volume::Statistics statistics;
};
struct PollReply {
    unsigned ready; // POLL*
};
struct IoctlReply {
    std::vector<std::byte> out;
};

struct stat to_stat(const volume::Attributes &attributes);

Filesystem &filesystem(fuse_req_t raw);
volume::Caller caller(fuse_req_t raw);

namespace detail {

void reply(fuse_req_t raw, Filesystem &fs, EmptyReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, NoReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, EntryReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, AttributeReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, CreateReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, FileReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, DirectoryReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, CountReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, OffsetReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, TextReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, BytesReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, SizeReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, EntriesReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, DataReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, StatisticsReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, PollReply &answer);
void reply(fuse_req_t raw, Filesystem &fs, IoctlReply &answer);
void reply_error(fuse_req_t raw, const Error &error);

// The one place where memory that ran out becomes ENOMEM: while a handler works, and while a
// reply is put together (none allocates once it has been sent).
template <typename Handler> auto run(Handler &&handler) -> std::invoke_result_t<Handler> {
    try {
        return handler();
    } catch (const std::bad_alloc &) {
        return Errc::out_of_memory;
    }
}

// Without memory it waits for the next failure.
inline void note_failure(Filesystem &fs, const Error &error) {
    static_cast<void>(run([&]() -> Result<void> {
        fs.volume.note_failure(error);
        return {};
    }));
}

template <typename Reply> void finish(fuse_req_t raw, Filesystem &fs, Result<Reply> &result) {
    const Result<void> sent = run([&]() -> Result<void> {
        if (!result)
            return std::move(result).error();
        reply(raw, fs, *result);
        return {};
    });
    if (!sent)
        reply_error(raw, sent.error());
}

// A reply that waits for the notifier.
template <typename Reply> class HeldReply final : public Deferred {
  public:
    HeldReply(fuse_req_t raw, Filesystem &fs, std::vector<Invalidation> stale,
              Result<Reply> &result)
        : Deferred(std::move(stale)), raw_(raw), fs_(fs), result_(std::move(result)) {}
    void run() override { finish(raw_, fs_, result_); }

  private:
    fuse_req_t raw_;
    Filesystem &fs_;
    Result<Reply> result_;
};

} // namespace detail

// Runs handler(Filesystem &) -> Result<one of the replies> and sends what it returns, after the
// kernel's caches of what it made stale are dropped.
template <typename Handler> void dispatch(fuse_req_t raw, Handler &&handler) {
    using Outcome = std::invoke_result_t<Handler &, Filesystem &>;
    using Held = detail::HeldReply<typename Outcome::value_type>;
    Filesystem &fs = filesystem(raw);
    std::vector<Invalidation> stale;
    fs.volume.note_lost_pages();
    Outcome outcome = [&] {
        Notifier::Collector collector;
        Outcome result = detail::run([&] { return handler(fs); });
        stale = collector.take();
        return result;
    }();
    if (!outcome)
        detail::note_failure(fs, outcome.error());
    std::unique_ptr<Deferred> held;
    if (!stale.empty())
        held.reset(new (std::nothrow) Held(raw, fs, std::move(stale), outcome));
    if (held)
        fs.notifier.push(std::move(held));
    else // without memory a stale cache is better than a request without an answer
        detail::finish(raw, fs, outcome);
    fs.background.kick();
}

// The same once the kernel has written back what is dirty of the inode's pages. That happens on
// a thread of the notifier's, when the request's memory is gone: the handler owns what it needs.
template <typename Handler>
void dispatch_written_back(fuse_req_t raw, InodeNumber inode, Handler handler) {
    class Later final : public Deferred {
      public:
        Later(fuse_req_t request, InodeNumber of, Handler to_run)
            : Deferred({Invalidation{of, true}}), raw_(request), handler_(std::move(to_run)) {}
        void run() override { dispatch(raw_, handler_); }
        bool writes_back() const override { return true; }

      private:
        fuse_req_t raw_;
        Handler handler_;
    };
    auto later = detail::run([&]() -> Result<std::unique_ptr<Deferred>> {
        return std::make_unique<Later>(raw, inode, handler);
    });
    if (later)
        filesystem(raw).notifier.push(std::move(*later));
    else
        detail::reply_error(raw, later.error());
}

} // namespace daxpin::fusefs
