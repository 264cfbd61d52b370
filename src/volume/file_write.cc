// SPDX-License-Identifier: BSD-3-Clause
//
// Writing: in place where the file has written blocks, into fresh or unwritten blocks elsewhere.
// A step is one transaction; everything it exposes is durable before its record.
#include "volume/file_data.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace daxpin::volume {
namespace {

// One step of a write: a beginning of the range that fits one record.
class WriteStep {
  public:
    WriteStep(Engine &engine, CachedInode &inode, std::uint64_t offset,
              std::span<const std::byte> data)
        : engine_(engine), inode_(inode), offset_(offset), data_(data) {}

    // Returns the bytes written; the inode's attributes are the new state.
    Result<std::uint64_t> run(alloc::Reservation *reservation);

  private:
    std::uint64_t end() const { return offset_ + data_.size(); }
    FileBlock end_block() const { return immutable::end_of(end()); }

    Result<void> find_extents();
    bool all_written() const;
    Attributes changed_attributes(std::uint64_t written_end) const;
    Result<std::uint64_t> overwrite();
    Result<std::uint64_t> fill(std::uint64_t align, alloc::Reservation *reservation);
    Result<void> plan(Transaction &tx, std::uint64_t align);
    Result<FileBlock> plan_hole(Transaction &tx, FileBlock at, FileBlock hole_end,
                                std::uint64_t align);
    Result<void> enter(Transaction &tx, Attributes &attributes);
    Result<void> store(const Extent &extent);
    Result<void> store_exposed(const Extent &extent);
    Result<void> store_in_place();

    Engine &engine_;
    CachedInode &inode_;
    const std::uint64_t offset_;
    const std::span<const std::byte> data_;
    std::vector<Extent> extents_; // what the range has at the start

    // The plan, in order and without gaps; made anew each time the transaction starts again.
    struct Fresh {
        Extent run;
        FileBlock first; // what the write covers of it
        FileBlock end;
    };
    std::vector<Fresh> fresh_;
    std::vector<Extent> unwritten_;
    std::vector<Extent> written_;
    FileBlock planned_end_;
};

Result<void> WriteStep::find_extents() {
    const FileBlock first = block_at(offset_);
    DAXPIN_TRY_ASSIGN(extents_,
                      engine_.extents(inode_.number).range(nullptr, first, end_block() - first));
    return {};
}

bool WriteStep::all_written() const {
    FileBlock at = block_at(offset_);
    for (const Extent &extent : extents_) {
        if (extent.unwritten || extent.first != at)
            return false;
        at = extent.end();
    }
    return at == end_block();
}

Attributes WriteStep::changed_attributes(std::uint64_t written_end) const {
    Attributes changed = inode_.attributes;
    changed.size = std::max(changed.size, written_end);
    engine_.touch(changed, touch_mtime | touch_ctime);
    return changed;
}

// Stores the part of the data that lies in `extent`.
Result<void> WriteStep::store(const Extent &extent) {
    const std::uint64_t from = std::max(offset_, extent.first.bytes());
    const std::uint64_t to = std::min(end(), extent.end().bytes());
    return store_data(engine_, extent, from, data_.subspan(from - offset_, to - from));
}

// As store(), and zeroes the rest: no one has seen these blocks with this file's data yet.
Result<void> WriteStep::store_exposed(const Extent &extent) {
    const std::uint64_t from = std::max(offset_, extent.first.bytes());
    const std::uint64_t to = std::min(end(), extent.end().bytes());
    DAXPIN_TRY(store_zeros(engine_, extent, extent.first.bytes(), from - extent.first.bytes()));
    DAXPIN_TRY(store_zeros(engine_, extent, to, extent.end().bytes() - to));
    return store(extent);
}

Result<std::uint64_t> WriteStep::overwrite() {
    for (const Extent &extent : extents_)
        DAXPIN_TRY(store(extent));
    DAXPIN_TRY(commit_attributes(engine_, inode_, changed_attributes(end())));
    return data_.size();
}

Result<FileBlock> WriteStep::plan_hole(Transaction &tx, FileBlock at, FileBlock hole_end,
                                       std::uint64_t align) {
    DAXPIN_TRY_ASSIGN(const Extent run,
                      allocate_hole(engine_, inode_, tx, {at, hole_end - at, align}));
    const FileBlock covered = std::min(run.end(), hole_end);
    fresh_.push_back({run, at, covered});
    return covered;
}

// Decides what goes where, as much as one record takes, and allocates.
Result<void> WriteStep::plan(Transaction &tx, std::uint64_t align) {
    fresh_.clear();
    unwritten_.clear();
    written_.clear();
    const GrowthLimit limit = growth_limit(engine_);
    std::uint64_t blocks = 0;
    auto next = extents_.begin();
    FileBlock at = block_at(offset_);
    while (at < end_block() && fresh_.size() + unwritten_.size() < limit.runs &&
           blocks < limit.blocks) {
        while (next != extents_.end() && next->end() <= at)
            ++next;
        if (next == extents_.end() || at < next->first) {
            const FileBlock hole_end = next == extents_.end() ? end_block() : next->first;
            DAXPIN_TRY_ASSIGN(at, plan_hole(tx, at, hole_end, align));
            blocks += fresh_.back().run.count.value;
            continue;
        }
        (next->unwritten ? unwritten_ : written_).push_back(*next);
        at = next->end();
    }
    planned_end_ = at;
    return {};
}

Result<void> WriteStep::store_in_place() {
    for (const Extent &extent : written_)
        DAXPIN_TRY(store(extent));
    return {};
}

// Puts the plan into the map. In-place stores come last, when nothing can fail for lack of space.
Result<void> WriteStep::enter(Transaction &tx, Attributes &attributes) {
    for (const Fresh &fresh : fresh_) {
        const auto &run = fresh.run;
        DAXPIN_TRY(store_exposed(
            {fresh.first, run.start + (fresh.first - run.first), fresh.end - fresh.first, false}));
    }
    for (const Extent &extent : unwritten_)
        DAXPIN_TRY(store_exposed(extent));
    for (const Fresh &fresh : fresh_)
        DAXPIN_TRY(insert_run(engine_, tx, attributes, fresh.run, fresh.first, fresh.end, false));
    for (const Extent &extent : unwritten_)
        DAXPIN_TRY(engine_.extents(inode_.number).mark_written(tx, extent.first, extent.count));
    DAXPIN_TRY(engine_.table->store(tx, attributes));
    return store_in_place();
}

Result<std::uint64_t> WriteStep::fill(std::uint64_t align, alloc::Reservation *reservation) {
    DAXPIN_TRY_ASSIGN(const auto changed,
                      engine_.transact(
                          [&](Transaction &tx) -> Result<Attributes> {
                              tx.units().stores_data();
                              DAXPIN_TRY(plan(tx, align));
                              const auto written_end = std::min(end(), planned_end_.bytes());
                              Attributes attributes = changed_attributes(written_end);
                              DAXPIN_TRY(enter(tx, attributes));
                              return attributes;
                          },
                          alloc::Purpose::ordinary, reservation));
    inode_.attributes = changed;
    const FileBlock first = block_at(offset_);
    if (inode_.leases.overlaps({first, planned_end_ - first}))
        inode_.leases.map_changed();
    return std::min(end(), planned_end_.bytes()) - offset_;
}

Result<std::uint64_t> WriteStep::run(alloc::Reservation *reservation) {
    DAXPIN_TRY(find_extents());
    const std::uint64_t old_size = inode_.attributes.size;
    if (offset_ > old_size)
        DAXPIN_TRY(zero_written(engine_, inode_, old_size, offset_));
    for (const Extent &extent : extents_)
        DAXPIN_TRY(engine_.bad_blocks.rewrite(inode_, extent, offset_, end(), data_));
    if (all_written())
        return overwrite();
    const std::uint64_t align = hinted_align(engine_, inode_.attributes);
    auto done = fill(align, reservation);
    if (!done && done.code() == Errc::no_space && align > block_size)
        return fill(block_size, reservation); // a hint is no more than that
    return done;
}

// The length of a beginning of the range, about half of it, that ends with a block; nothing if the
// range lies in one.
std::optional<std::uint64_t> half_of(std::uint64_t offset, std::uint64_t length) {
    const FileBlock cut = std::max(block_at(offset + length / 2), block_at(offset) + BlockCount{1});
    if (cut.bytes() >= offset + length)
        return std::nullopt;
    return cut.bytes() - offset;
}

} // namespace

Result<std::uint64_t> write_locked(Engine &engine, CachedInode &inode, std::uint64_t offset,
                                   std::span<const std::byte> data,
                                   alloc::Reservation *reservation) {
    if (offset + data.size() > inode.attributes.size)
        DAXPIN_TRY(finish_truncate(engine, inode));
    std::uint64_t done = 0;
    while (done < data.size()) {
        auto bytes = engine.bad_blocks.around([&] {
            WriteStep step(engine, inode, offset + done, data.subspan(done));
            return step.run(reservation);
        });
        if (bytes)
            done += *bytes;
        else if (done > 0)
            break;
        else if (const auto half = half_of(offset, data.size());
                 bytes.code() == Errc::no_space && half)
            data = data.first(*half); // a short write, if there is room for one
        else
            return std::move(bytes).error();
    }
    return done;
}

namespace {

// Where the write goes, and whether +a allows that. REQUIRES: inode locked exclusively.
std::pair<std::uint64_t, bool> place(CachedInode &inode, const PlannedWrite &write) {
    const std::uint64_t size = inode.attributes.size;
    const OpenFile *file = find_handle(inode, write.handle);
    switch (write.mode) {
    case WriteMode::handle:
        if (file != nullptr && file->append)
            return {size, true};
        return {write.offset, false};
    case WriteMode::append:
        inode.end_moved = inode.end_moved && write.offset < size;
        if (inode.end_moved)
            return {size, true};
        return {write.offset, write.offset >= size};
    case WriteMode::page_cache: // made dirty when it was allowed
        return {write.offset, true};
    case WriteMode::offset:
        break;
    }
    return {write.offset, false};
}

// Whether somebody may read stale pages after the write, now; and later, if the kernel keeps them.
// REQUIRES: inode locked exclusively.
bool passes_pages_by(const Engine &engine, CachedInode &inode, const PlannedWrite &write) {
    const OpenFile *own = find_handle(inode, write.handle);
    if (own == nullptr || !own->direct || write.mode == WriteMode::page_cache)
        return false;
    // Of two opens at a time the later one may be told first, and keep what the other has dropped.
    const bool first = engine.kernel_keeps_stale_pages.load() && !inode.drop_cache;
    inode.drop_cache = inode.drop_cache || first;
    return inode.cached_opens > 0 || first;
}

} // namespace

Result<void> check_planned(Engine &engine, CachedInode &inode, PlannedWrite &write) {
    DAXPIN_TRY(check_writer(inode, write.handle));
    const auto [offset, appends] = place(inode, write);
    write.offset = offset;
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    return immutable::check_write(state, offset, write.length, appends);
}

Result<std::uint64_t> Volume::write(InodeNumber number, Handle handle, std::uint64_t offset,
                                    std::span<const std::byte> data, WriteMode mode) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    PlannedWrite write{handle, offset, data.size(), mode};
    std::uint64_t written = 0;
    bool stale_pages = false;
    {
        const ExclusiveLock lock(inode->mutex);
        DAXPIN_TRY(check_planned(engine, *inode, write));
        DAXPIN_TRY_ASSIGN(written, write_locked(engine, *inode, write.offset, data));
        stale_pages = passes_pages_by(engine, *inode, write);
    }
    if (stale_pages)
        engine.tell_data_changed(number);
    return written;
}

void Volume::note_stale_pages() {
    engine_->kernel_keeps_stale_pages.store(true);
}

} // namespace daxpin::volume
