// SPDX-License-Identifier: BSD-3-Clause
//
// Notifier: tells the kernel what it caches in vain, from threads of its own.
//
// Dropping a file's pages may wait for requests that the daemon must answer, so no thread that
// answers requests may do it. A request whose reply depends on it hands the reply over: a
// Collector gathers what the volume reports during the request, and the Deferred that is pushed
// sends the reply from the notifier's thread once the caches are clean. So no request ever waits.
//
// There are three threads, so that none waits for what takes longer or may depend on it: attributes
// go at once; to drop a page may take a WRITE's reply, which in turn may wait for attributes; and
// to write back takes as long as there are dirty pages. Each does what it has to in the order
// pushed.
//
// Thread-safe. The threads hold no lock while they speak to the kernel.
#pragma once

#include "base/sync.h"
#include "volume/types.h"

#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace daxpin::fusefs {

struct Invalidation {
    InodeNumber inode;
    bool data = false; // pages as well as attributes
    bool operator==(const Invalidation &) const = default;
};

// Invalidations, and what to do after them.
class Deferred {
  public:
    explicit Deferred(std::vector<Invalidation> what) : invalidations(std::move(what)) {}
    virtual ~Deferred() = default;
    virtual void run() {}
    // Whether the pages are dropped for the sake of those that are dirty.
    virtual bool writes_back() const { return false; }

    const std::vector<Invalidation> invalidations;

  private:
    friend class Notifier;
    std::unique_ptr<Deferred> next_; // of the queue; so that queueing cannot fail
};

class Notifier final : public volume::CacheObserver {
  public:
    using Tell = std::function<void(const Invalidation &)>;

    // `tell` passes one invalidation to the kernel.
    explicit Notifier(Tell tell) : tell_(std::move(tell)) {}
    ~Notifier() override { stop(); }

    void start();
    // Does what is queued, replies included, and ends the threads.
    void stop();

    // From a request's thread: collected. From any other: queued, nobody waits.
    void invalidate_data(InodeNumber inode) override { note({inode, true}); }
    void invalidate_attributes(InodeNumber inode) override { note({inode, false}); }

    // Gathers the calling thread's invalidations while it lives.
    class Collector {
      public:
        Collector();
        ~Collector();
        Collector(const Collector &) = delete;
        Collector &operator=(const Collector &) = delete;
        std::vector<Invalidation> take() { return std::move(found_); }

      private:
        friend class Notifier;
        std::vector<Invalidation> found_;
    };

    // Invalidates, then runs `deferred`, both on one of the notifier's threads.
    void push(std::unique_ptr<Deferred> deferred) noexcept;

  private:
    // What one thread has to do, in order.
    class Queue {
      public:
        explicit Queue(const Tell &tell) : tell_(tell) {}
        void start();
        void stop();
        void push(std::unique_ptr<Deferred> deferred) noexcept;

      private:
        std::unique_ptr<Deferred> pop(); // waits; null when it is time to stop
        void serve();

        const Tell &tell_;
        std::thread thread_;
        Mutex mutex_;
        CondVar changed_;
        std::unique_ptr<Deferred> first_ GUARDED_BY(mutex_);
        Deferred *last_ GUARDED_BY(mutex_) = nullptr;
        bool stopping_ GUARDED_BY(mutex_) = false;
    };
    void note(const Invalidation &invalidation);
    void remember(const Invalidation &invalidation);
    Queue &queue_for(const Deferred &deferred);

    Tell tell_;
    Queue attributes_{tell_};
    Queue pages_{tell_};
    Queue write_backs_{tell_};
};

} // namespace daxpin::fusefs
