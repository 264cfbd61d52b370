// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/notifier.h"

#include "support/catch.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <thread>

using namespace daxpin;
using namespace daxpin::fusefs;

namespace {

// What the notifier did, in order.
class Protocol {
  public:
    void add(const std::string &line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(line);
    }
    std::vector<std::string> lines() {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

  private:
    std::mutex mutex_;
    std::vector<std::string> lines_;
};

class Line final : public Deferred {
  public:
    Line(std::vector<Invalidation> what, Protocol &protocol, std::string text)
        : Deferred(std::move(what)), protocol_(protocol), text_(std::move(text)) {}
    void run() override { protocol_.add(text_); }

  private:
    Protocol &protocol_;
    std::string text_;
};

auto write_to(Protocol &protocol) {
    return [&protocol](const Invalidation &what) {
        protocol.add((what.data ? "data " : "attributes ") + std::to_string(what.inode.value));
    };
}

} // namespace

TEST_CASE("notifier: a reply is sent after the caches it depends on are clean", "[fusefs]") {
    Protocol protocol;
    Notifier notifier(write_to(protocol));
    const std::vector<Invalidation> stale{{InodeNumber{5}, true}, {InodeNumber{6}, false}};
    notifier.push(std::make_unique<Line>(stale, protocol, "reply 1"));
    notifier.push(std::make_unique<Line>(std::vector<Invalidation>{{InodeNumber{7}, true}},
                                         protocol, "reply 2"));
    notifier.start();
    notifier.stop();
    CHECK(protocol.lines() ==
          std::vector<std::string>{"data 5", "attributes 6", "reply 1", "data 7", "reply 2"});
}

namespace {

// Its run() waits until told to end.
class Slow final : public Deferred {
  public:
    Slow(bool data, bool writes_back, std::shared_future<void> end)
        : Deferred({{InodeNumber{1}, data}}), writes_back_(writes_back), end_(std::move(end)) {}
    void run() override { end_.wait(); }
    bool writes_back() const override { return writes_back_; }

  private:
    const bool writes_back_;
    const std::shared_future<void> end_;
};

} // namespace

TEST_CASE("notifier: attributes do not wait for pages, and neither for a write-back", "[fusefs]") {
    Protocol protocol;
    Notifier notifier(write_to(protocol));
    notifier.start();
    std::promise<void> end;
    const std::shared_future<void> ended(end.get_future());
    notifier.push(std::make_unique<Slow>(true, true, ended));
    const auto comes = [&](const std::string &line) {
        for (int i = 0; i < 3000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
            const auto lines = protocol.lines();
            if (std::ranges::find(lines, line) != lines.end())
                return true;
        }
        return false;
    };
    notifier.push(std::make_unique<Line>(std::vector<Invalidation>{{InodeNumber{2}, true}},
                                         protocol, "pages"));
    CHECK(comes("pages"));
    notifier.push(std::make_unique<Slow>(true, false, ended));
    notifier.push(std::make_unique<Line>(std::vector<Invalidation>{{InodeNumber{3}, false}},
                                         protocol, "attributes"));
    CHECK(comes("attributes"));
    end.set_value();
}

TEST_CASE("notifier: what a request makes stale is collected, not sent", "[fusefs]") {
    Protocol protocol;
    Notifier notifier(write_to(protocol));
    notifier.start();
    std::vector<Invalidation> stale;
    {
        Notifier::Collector collector;
        notifier.invalidate_data(InodeNumber{7});
        notifier.invalidate_attributes(InodeNumber{7});
        notifier.invalidate_data(InodeNumber{7});
        stale = collector.take();
    }
    notifier.invalidate_attributes(InodeNumber{8}); // no request: goes out by itself
    notifier.stop();
    CHECK(stale == std::vector<Invalidation>{{InodeNumber{7}, true}, {InodeNumber{7}, false}});
    CHECK(protocol.lines() == std::vector<std::string>{"attributes 8"});
}

TEST_CASE("notifier: stopping sends what is queued", "[fusefs]") {
    Protocol protocol;
    {
        Notifier notifier(write_to(protocol));
        notifier.start();
        for (int i = 0; i < 100; ++i)
            notifier.push(std::make_unique<Line>(std::vector<Invalidation>{{InodeNumber{1}, true}},
                                                 protocol, "reply"));
    }
    CHECK(protocol.lines().size() == 200);
}
