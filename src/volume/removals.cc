// SPDX-License-Identifier: BSD-3-Clause
#include "volume/removals.h"

#include "volume/engine.h"

#include <algorithm>
#include <new>

namespace daxpin::volume {

namespace {

constexpr std::size_t listed_at_once = 1024;
constexpr unsigned xattrs_per_step = 2; // of up to 17 blocks each

} // namespace

// Files are being freed while this lives, or about to be: who lacks space waits for that.
class Removals::Running {
  public:
    explicit Running(Removals &all) : all_(all) {
        const MutexLock lock(all_.mutex_);
        ++all_.running_;
    }
    ~Running() {
        const MutexLock lock(all_.mutex_);
        --all_.running_;
        if (any_)
            all_.done_.fetch_add(1);
        all_.ended_.notify_all();
    }
    Running(const Running &) = delete;
    Running &operator=(const Running &) = delete;
    void note_freed() { any_ = true; }

  private:
    Removals &all_;
    bool any_ = false;
};

// One removal at a time works on an inode: reap_all() and background_step() may meet.
class Removals::Claims {
  public:
    explicit Claims(Removals &all) : all_(all) {}
    // Takes those of `numbers` that are nobody else's; if memory runs out, what is taken goes.
    Claims(Removals &all, std::span<const InodeNumber> numbers) : Claims(all) {
        owned_.reserve(numbers.size());
        const MutexLock lock(all_.mutex_);
        for (const InodeNumber number : numbers)
            if (all_.claims_.insert(number).second)
                owned_.push_back(number);
    }
    ~Claims() {
        const MutexLock lock(all_.mutex_);
        for (const InodeNumber number : owned_)
            all_.claims_.erase(number);
    }
    Claims(const Claims &) = delete;
    Claims &operator=(const Claims &) = delete;
    bool own(InodeNumber number) const { return std::ranges::find(owned_, number) != owned_.end(); }

  private:
    Removals &all_;
    std::vector<InodeNumber> owned_;
};

struct Removals::Taken {
    std::vector<InodeNumber> inodes;
    Freeing freeing; // of all of them: nobody has one open
};

// Takes a part of the orphan away in `tx`. True if something is left of it.
Result<bool> Removals::remove_part(Transaction &tx, inode::Attributes orphan, StepLimit &limit,
                                   Freeing &freeing) {
    bool more = false;
    if (orphan.is_regular()) {
        DAXPIN_TRY_ASSIGN(more, engine_.free_blocks_step(tx, orphan, FileBlock{0}, limit, freeing));
    }
    auto set = engine_.xattrs(orphan.number);
    for (bool left = true; left && !more && !engine_.is_full(tx);) {
        DAXPIN_TRY_ASSIGN(left, set.remove_some(tx, xattrs_per_step));
        if (!left) {
            DAXPIN_TRY(remove_inode(tx, orphan));
            return false;
        }
    }
    DAXPIN_TRY(engine_.table->store(tx, orphan));
    return true;
}

// The last part: what has no blocks of its own but a symbolic link's target.
Result<void> Removals::remove_inode(Transaction &tx, const inode::Attributes &orphan) {
    if (orphan.is_symlink()) {
        const auto key = btree::Key::of(orphan.number, format::ItemType::symlink);
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, engine_.tree->find(&tx, key, item));
        if (found) { // fsck has taken away what was damaged
            DAXPIN_TRY(inode::free_blob(tx, item.value()));
            DAXPIN_TRY(engine_.tree->erase(tx, key));
        }
    }
    return engine_.table->erase(tx, orphan.number);
}

// Takes inodes away in `tx`, in order, as many and as much as goes in.
Result<Removals::Step> Removals::remove_some(Transaction &tx, std::span<const InodeNumber> numbers,
                                             const Claims &claims, Taken &taken) {
    StepLimit limit = engine_.step_limit();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const InodeNumber number = numbers[i];
        if (!claims.own(number) || engine_.cache->in_use(number))
            continue; // whoever has it sees to it
        if (limit.items == 0 || limit.blocks == 0 || engine_.is_full(tx))
            return Step{i, false};
        const auto orphan = engine_.table->load_to_change(tx, number);
        if (!orphan && orphan.code() == Errc::stale)
            continue; // was never committed, or is gone already
        DAXPIN_TRY(orphan);
        if (orphan->link_count != 0)
            return Error{Errc::corrupt, "an inode that is to be removed has names"};
        DAXPIN_TRY_ASSIGN(const bool more, remove_part(tx, *orphan, limit, taken.freeing));
        if (more)
            return Step{i, true};
        taken.inodes.push_back(number);
    }
    return Step{numbers.size(), false};
}

Result<Removals::Step> Removals::step(std::span<const InodeNumber> numbers) {
    DAXPIN_TRY_ASSIGN(const auto change, engine_.begin_change());
    Running running(*this);
    const Claims claims(*this, numbers);
    Taken taken{{}, Freeing(engine_)};
    // Not Engine::transact(): that would wait for this thread, too.
    auto done = alloc::transact(
        *engine_.allocator, alloc::Purpose::release, [&](Transaction &tx) -> Result<Step> {
            taken.inodes.clear();
            taken.freeing.restart();
            DAXPIN_TRY_ASSIGN(const Step step, remove_some(tx, numbers, claims, taken));
            // Behind all inodes, as AttributeEdits::store() does.
            for (const InodeNumber number : taken.inodes)
                DAXPIN_TRY(engine_.unfinished->erase(tx, number));
            return step;
        });
    if (!done || done->begun)
        any_left_.store(true);
    DAXPIN_TRY(done);
    taken.freeing.committed();
    done->any = done->begun || !taken.inodes.empty();
    if (done->any)
        running.note_freed();
    engine_.quarantine.forget_leased_here(taken.inodes);
    return done;
}

bool Removals::remove_left() {
    Running running(*this); // before another thread finds the flag down
    if (!any_left_.exchange(false))
        return false;
    const auto taken = take_listed();
    // Up again before `running` ends: who waited looks at it next.
    if (!taken || *taken)
        any_left_.store(true);
    if (!taken || !*taken)
        return false;
    running.note_freed();
    return true;
}

// Not what other threads remove just now, nor what somebody has open. False if there is none.
Result<bool> Removals::take_listed() try {
    for (InodeNumber from{};;) {
        DAXPIN_TRY_ASSIGN(const auto listed, engine_.unfinished->list(from, listed_at_once));
        if (listed.empty())
            return false;
        for (const inode::Unfinished &work : listed) {
            from = {work.inode.value + 1};
            if (work.kind != format::UnfinishedKind::remove || engine_.cache->in_use(work.inode))
                continue;
            const auto taken = step({&work.inode, 1});
            if (taken && taken->any)
                return true;
        }
    }
} catch (const std::bad_alloc &) {
    return Errc::out_of_memory;
}

Result<bool> Removals::go_on(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const Step taken, step({&number, 1}));
    return taken.begun;
}

// If one transaction cannot free a whole file, the rest is left to background_step().
Result<void> Removals::remove_all(std::span<const InodeNumber> numbers) {
    while (!numbers.empty()) {
        DAXPIN_TRY_ASSIGN(const Step taken, step(numbers));
        numbers = numbers.subspan(taken.done);
        if (taken.begun) {
            engine_.post_work();
            numbers = numbers.subspan(1);
        }
    }
    return {};
}

void Removals::reap() {
    if (engine_.cache->orphans_due())
        reap_all();
}

bool Removals::reap_all() {
    const Running running(*this); // before another thread finds the queue empty
    auto orphan = engine_.cache->take_orphans();
    if (!orphan)
        return false;
    // Whatever made them orphans is done and has not failed: what fails here is posted.
    try {
        std::vector<InodeNumber> numbers;
        for (; orphan; orphan = std::move(orphan->next_orphan))
            numbers.push_back(orphan->number);
        std::ranges::sort(numbers); // those of a leaf together
        if (!remove_all(numbers))
            engine_.post_work();
    } catch (const std::bad_alloc &) {
        any_left_.store(true);
        engine_.post_work();
    }
    return true;
}

bool Removals::make_space(std::uint64_t seen) {
    return reap_all() || remove_left() || await_another(seen);
}

bool Removals::await_another(std::uint64_t seen) {
    const MutexLock lock(mutex_);
    while (done_.load() == seen && running_ > 0)
        ended_.wait(mutex_);
    return done_.load() != seen;
}

} // namespace daxpin::volume
