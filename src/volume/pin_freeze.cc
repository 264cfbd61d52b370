// SPDX-License-Identifier: BSD-3-Clause
//
// The order in which a range is frozen; contract in pin_prepare.h.
#include "volume/lease_end.h"
#include "volume/pin_prepare.h"

#include <algorithm>
#include <chrono>

namespace daxpin::volume {
namespace {

// Releases in flight are waited for that long.
constexpr std::chrono::milliseconds wait_max{1000};
constexpr unsigned wait_pause_ms = 10;
// Each wait holds up a thread that others' requests need, and anybody may make them: so many at a
// time are one user's.
constexpr unsigned waits_per_user = 2;
// How often a range is prepared again because somebody punched it in between.
constexpr unsigned rounds_max = 4;
// PREPARE lets others at the file after so many bytes: a few milliseconds on slow media.
constexpr std::uint64_t window_bytes = std::uint64_t{8} << 20;

bool anyone_caches(const CachedInode &inode) {
    return inode.cached_opens > 0;
}

// New opens are direct while this lives.
class DirectOpens {
  public:
    explicit DirectOpens(CachedInode &inode) : inode_(inode) {
        const ExclusiveLock lock(inode_.mutex);
        ++inode_.direct_opens;
    }
    ~DirectOpens() {
        const ExclusiveLock lock(inode_.mutex);
        --inode_.direct_opens;
        allow_caching(inode_);
    }
    DirectOpens(const DirectOpens &) = delete;
    DirectOpens &operator=(const DirectOpens &) = delete;

  private:
    CachedInode &inode_;
};

// One of a user's waits, while it lives.
class Wait {
  public:
    Wait(Engine &engine, std::uint32_t uid) : engine_(engine), uid_(uid) {
        const MutexLock lock(engine_.release_mutex);
        auto &count = engine_.waits[uid_];
        is_one_too_many_ = count == waits_per_user;
        if (!is_one_too_many_)
            ++count;
    }
    ~Wait() {
        const MutexLock lock(engine_.release_mutex);
        const auto count = engine_.waits.find(uid_);
        if (!is_one_too_many_ && --count->second == 0)
            engine_.waits.erase(count);
    }
    Wait(const Wait &) = delete;
    Wait &operator=(const Wait &) = delete;
    bool is_one_too_many() const { return is_one_too_many_; }

    void for_a_release() {
        const MutexLock lock(engine_.release_mutex); // woken by releases of other files, too
        static_cast<void>(engine_.released.wait_for(engine_.release_mutex, wait_pause_ms));
    }

  private:
    Engine &engine_;
    std::uint32_t uid_;
    bool is_one_too_many_ = false;
};

bool is_cached(CachedInode &inode) {
    const SharedLock lock(inode.mutex);
    return anyone_caches(inode);
}

Result<void> check_not_given_up(const Caller &caller) {
    if (caller.has_given_up && caller.has_given_up())
        return Errc::interrupted;
    return {};
}

Result<void> wait_for_cached_handles(Engine &engine, CachedInode &inode, const Caller &caller) {
    if (!is_cached(inode))
        return {};
    Wait wait(engine, caller.uid);
    if (wait.is_one_too_many()) {
        wait.for_a_release(); // it may be on its way
        return is_cached(inode) ? Result<void>(Errc::busy) : Result<void>{};
    }
    const auto deadline = std::chrono::steady_clock::now() + wait_max;
    do {
        if (std::chrono::steady_clock::now() >= deadline)
            return Errc::busy;
        DAXPIN_TRY(check_not_given_up(caller));
        wait.for_a_release();
    } while (is_cached(inode));
    return {};
}

// The progress that STATUS shows; counted in inode.preparing while it lives. REQUIRES: inode
// locked at its begin, not at its end.
class Progress {
  public:
    Progress(CachedInode &inode, std::uint64_t total) : inode_(inode) {
        ++inode_.preparing;
        inode_.prepare_done = 0;
        inode_.prepare_total = total;
    }
    ~Progress() {
        const ExclusiveLock lock(inode_.mutex);
        --inode_.preparing;
    }
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

  private:
    CachedInode &inode_;
};

// One window under the lock. Returns where to go on; the range's end if policy says stop.
Result<FileBlock> prepare_window(Engine &engine, CachedInode &inode, const Freeze &request,
                                 FileBlock at, alloc::Reservation &reservation) {
    const ExclusiveLock lock(inode.mutex);
    DAXPIN_TRY_ASSIGN(const auto range, request.check());
    if (!range || at >= range->end())
        return FileBlock{~std::uint64_t{0}};
    const std::uint64_t window = std::max(window_bytes, request.align) / block_size;
    at = std::max(at, range->first); // another EXTEND may have got further
    const FileBlock end = std::min(range->end(), FileBlock{(at.value / window + 1) * window});
    DAXPIN_TRY(finish_truncate(engine, inode));
    DAXPIN_TRY(prepare_locked(engine, inode, {at, end - at}, request.align, reservation));
    inode.prepare_done = std::min(inode.prepare_total, (end - range->first).bytes());
    return end;
}

Result<void> prepare(Engine &engine, CachedInode &inode, const Freeze &request) {
    alloc::Reservation reservation;
    BlockRange range{};
    std::optional<Progress> progress;
    {
        const ExclusiveLock lock(inode.mutex);
        DAXPIN_TRY_ASSIGN(const auto wanted, request.check());
        if (!wanted)
            return {};
        range = *wanted;
        // +i lets nobody fill or move anything: what is there must do.
        if ((inode.attributes.flags & format::inode_flag_immutable) != 0) {
            DAXPIN_TRY_ASSIGN(const bool fits, fits_mapping(engine, inode, range, request.align));
            return fits ? Result<void>{} : Errc::not_permitted;
        }
        DAXPIN_TRY(finish_truncate(engine, inode));
        DAXPIN_TRY_ASSIGN(reservation, reserve_for(engine, inode, range, request.align));
        progress.emplace(inode, range.count.bytes());
    }
    for (FileBlock at = range.first; at < range.end();) {
        DAXPIN_TRY(check_not_given_up(request.caller));
        DAXPIN_TRY_ASSIGN(at, prepare_window(engine, inode, request, at, reservation));
    }
    return {};
}

// Bytes from the end of file to the end of its last mapping unit are zeros when it is handed out.
Result<void> zero_tail(Engine &engine, CachedInode &inode, BlockRange range) {
    const FileBlock owned_end = immutable::end_of(inode.attributes.size, engine.mapping_unit);
    return zero_behind_end(engine, inode, std::min(owned_end, range.end()));
}

enum class Outcome { done, not_fit };

Result<Outcome> try_to_grant(Engine &engine, CachedInode &inode, const Freeze &request) {
    const ExclusiveLock lock(inode.mutex);
    DAXPIN_TRY_ASSIGN(const auto range, request.check());
    if (!range)
        return Outcome::done;
    if (anyone_caches(inode))
        return Errc::busy;
    DAXPIN_TRY_ASSIGN(const bool fits, fits_mapping(engine, inode, *range, request.align));
    if (!fits)
        return Outcome::not_fit;
    DAXPIN_TRY(zero_tail(engine, inode, *range));
    DAXPIN_TRY(request.grant(*range));
    return Outcome::done;
}

// What needs no waiting is found out first.
Result<bool> is_worth_waiting(Engine &engine, CachedInode &inode, const Freeze &request) {
    const ExclusiveLock lock(inode.mutex);
    DAXPIN_TRY_ASSIGN(const auto range, request.check());
    if (!range)
        return false;
    if (request.prepare)
        return true;
    DAXPIN_TRY_ASSIGN(const bool fits, fits_mapping(engine, inode, *range, request.align));
    if (!fits)
        return Errc::invalid;
    return true;
}

// `touched`: the file may have got blocks.
Result<void> try_to_freeze(Engine &engine, CachedInode &inode, const Freeze &request,
                           bool &touched) {
    DAXPIN_TRY_ASSIGN(const bool needed, is_worth_waiting(engine, inode, request));
    if (!needed)
        return {};
    const DirectOpens direct(inode);
    DAXPIN_TRY(wait_for_cached_handles(engine, inode, request.caller));
    for (unsigned round = 0; round < rounds_max; ++round) {
        if (request.prepare) {
            touched = true;
            DAXPIN_TRY(prepare(engine, inode, request));
        }
        DAXPIN_TRY_ASSIGN(const Outcome outcome, try_to_grant(engine, inode, request));
        if (outcome == Outcome::done)
            return {};
        if (!request.prepare)
            return Errc::invalid;
    }
    return Errc::busy;
}

} // namespace

Result<void> zero_behind_end(Engine &engine, CachedInode &inode, FileBlock end) {
    DAXPIN_TRY_ASSIGN(const bool stored,
                      zero_written(engine, inode, inode.attributes.size, end.bytes()));
    if (!stored)
        return {};
    auto drained = engine.devices.drain();
    if (!drained)
        engine.journal->fail();
    return drained;
}

Result<void> freeze(Engine &engine, CachedInode &inode, const Freeze &request) {
    bool touched = false;
    auto frozen = try_to_freeze(engine, inode, request, touched);
    if (!frozen && touched)
        engine.tell_attributes_changed(inode.number);
    return frozen;
}

} // namespace daxpin::volume
