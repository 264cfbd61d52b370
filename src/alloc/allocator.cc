// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/allocator.h"

#include "alloc/allocator_state.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::alloc {

namespace {

using format::BitmapHeader;
using format::blocks_per_group;
using journal::UnitBytes;

// A reader holds its blocks for one reply; beyond this many tries it has met with an accident.
constexpr unsigned grace_rounds_max = 100'000;

Result<BitmapHeader> check_header(const BitmapHeader &header, unsigned device, std::size_t group) {
    if (header.magic != format::bitmap_magic || header.device != device || header.group != group ||
        header.free_count > blocks_per_group)
        return Error{Errc::corrupt, "bitmap chunk " + std::to_string(group) + " of device " +
                                        std::to_string(device) + " is damaged"};
    return header;
}

// Whether blocks from bit `end` on, which are not the device's, count as free.
bool frees_beyond(const UnitBytes &chunk, std::uint64_t end) {
    bool any = false;
    for_each_word(end, blocks_per_group, [&](std::size_t index, std::uint64_t mask) {
        le64 word;
        std::memcpy(&word, chunk.data() + format::bitmap_header_bytes + index * sizeof word,
                    sizeof word);
        any = any || (word & mask) != mask;
    });
    return any;
}

// Holds a unit's shared lock.
class SharedUnit {
  public:
    SharedUnit(journal::Units &units, MediaBlock unit) : units_(units), unit_(unit) {
        units_.lock_shared(unit_);
    }
    ~SharedUnit() { units_.unlock_shared(unit_); }
    SharedUnit(const SharedUnit &) = delete;
    SharedUnit &operator=(const SharedUnit &) = delete;

  private:
    journal::Units &units_;
    MediaBlock unit_;
};

UnitBytes make_chunk(unsigned device, std::uint32_t group, std::uint64_t block_count,
                     const std::vector<MediaRun> &in_use) {
    UnitBytes chunk{};
    const auto first = std::uint64_t{group} * blocks_per_group;
    std::uint64_t free_count = blocks_per_group;
    const auto set = [&](std::uint64_t begin, std::uint64_t end) { // blocks of the device
        const auto within = [&](std::uint64_t block) {
            return std::clamp(block, first, first + blocks_per_group) - first;
        };
        for_each_word(within(begin), within(end), [&](std::size_t index, std::uint64_t mask) {
            auto *const at = chunk.data() + format::bitmap_header_bytes + index * sizeof mask;
            le64 word;
            std::memcpy(&word, at, sizeof word);
            free_count -= static_cast<unsigned>(std::popcount(mask & ~word));
            word = word | mask;
            std::memcpy(at, &word, sizeof word);
        });
    };
    set(block_count, first + blocks_per_group);
    for (const MediaRun &run : in_use)
        if (run.start.device() == device)
            set(run.start.block(), run.start.block() + run.count.value);
    BitmapHeader header{};
    header.magic = format::bitmap_magic;
    header.device = device;
    header.group = group;
    header.free_count = static_cast<std::uint32_t>(free_count);
    std::memcpy(chunk.data(), &header, sizeof header);
    header.crc = crc32c(std::span<const std::byte>(chunk).subspan(sizeof(le32)));
    std::memcpy(chunk.data(), &header, sizeof header);
    return chunk;
}

} // namespace

std::uint32_t Allocator::group_count(std::uint64_t block_count) {
    return static_cast<std::uint32_t>((block_count + blocks_per_group - 1) / blocks_per_group);
}

Result<void> Allocator::format(device::DeviceTable &devices, const format::Superblock &superblock,
                               const std::vector<MediaRun> &in_use) {
    for (unsigned device = 0; device < superblock.device_count; ++device) {
        const auto &entry = superblock.devices[device];
        for (std::uint32_t group = 0; group < entry.group_count; ++group)
            DAXPIN_TRY(devices.copy(MediaBlock::at(0, entry.bitmap_start + group), 0,
                                    make_chunk(device, group, entry.block_count, in_use),
                                    device::StoreKind::nontemporal));
    }
    return {};
}

Allocator::Allocator(std::unique_ptr<State> state) : state_(std::move(state)) {}

Allocator::~Allocator() = default;

Result<std::unique_ptr<Allocator>> Allocator::open(journal::Journal &journal,
                                                   const format::Superblock &superblock) {
    auto state = std::make_unique<State>(journal);
    MutexLock lock(state->mutex);
    const bool separate = superblock.device_count > 1;
    state->data_pool = separate ? &state->separate_data_pool : &state->metadata_pool;
    for (unsigned i = 0; i < superblock.device_count; ++i)
        DAXPIN_TRY(state->add_device(i, superblock.devices[i], superblock.device_count));
    // Deleting may need a few tree nodes before it gives any back.
    state->metadata_pool.reserve =
        std::clamp<std::uint64_t>(state->metadata_pool.total / 64, 8, 1024);
    return std::unique_ptr<Allocator>(new Allocator(std::move(state)));
}

Result<void> Allocator::State::add_device(unsigned index, const format::DeviceEntry &entry,
                                          unsigned count) {
    DeviceSpace device;
    device.block_count = entry.block_count;
    bitmap_starts.push_back(entry.bitmap_start);
    device.mapping_unit = entry.mapping_unit;
    device.holds_data = count == 1 || index > 0;
    device.pool = index == 0 ? &metadata_pool : data_pool;
    device.groups.resize(entry.group_count);
    UnitBytes bytes;
    if (group_count(device.block_count) != entry.group_count)
        return Error{Errc::corrupt, "the superblock's bitmap size does not fit the device"};
    for (std::size_t group = 0; group < entry.group_count; ++group) {
        DAXPIN_TRY(journal.units().check_address(chunk_of(index, group)));
        const auto header = load_chunk(index, group, chunk_of(index, group), bytes);
        if (!header && header.code() != Errc::corrupt)
            return header.error();
        if (!header && !damage)
            damage = header.error();
        // What is free in a chunk that is damaged is not known: nothing is taken from it.
        const std::uint32_t clear = header ? header->free_count.get() : 0;
        device.clear_counts.push_back(clear);
        device.unseen_groups += clear >= unit_blocks ? 1 : 0;
        device.pool->clear += clear;
        device.pool->free += clear;
    }
    device.pool->total += device.block_count;
    devices.push_back(std::move(device));
    return {};
}

Result<BitmapHeader> Allocator::State::load_chunk(unsigned device, std::size_t index,
                                                  MediaBlock chunk, UnitBytes &bytes) {
    {
        const SharedUnit lock(journal.units(), chunk);
        DAXPIN_TRY(journal.units().load(chunk, bytes));
    }
    BitmapHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return check_header(header, device, index);
}

Result<Group *> Allocator::State::group(unsigned device, std::size_t index) {
    auto &space = devices[device];
    auto &slot = space.groups[index];
    if (slot)
        return slot.get();
    UnitBytes bytes;
    DAXPIN_TRY_ASSIGN(const BitmapHeader header,
                      load_chunk(device, index, chunk_of(device, index), bytes));
    auto fresh = std::make_unique<Group>(
        std::span<const std::byte>(bytes).subspan(format::bitmap_header_bytes));
    if (fresh->free_count() != header.free_count || header.free_count != space.clear_counts[index])
        return Error{Errc::corrupt, "bitmap chunk " + std::to_string(index) + " of device " +
                                        std::to_string(device) + " counts its free blocks wrong"};
    const std::uint64_t first = std::uint64_t{index} * blocks_per_group;
    if (frees_beyond(bytes, std::min<std::uint64_t>(space.block_count - first, blocks_per_group)))
        return Error{Errc::corrupt, "bitmap chunk " + std::to_string(index) + " of device " +
                                        std::to_string(device) +
                                        " has free blocks beyond the device's end"};
    slot = std::move(fresh);
    space.free_units += slot->free_units();
    space.unseen_groups -= space.clear_counts[index] >= unit_blocks ? 1 : 0;
    return slot.get();
}

Space Allocator::space() const {
    MutexLock lock(state_->mutex);
    const auto &pool = *state_->data_pool;
    const auto usable = pool.clear > pool.reserved ? pool.clear - pool.reserved : 0;
    return {pool.total, pool.clear, usable > pool.reserve ? usable - pool.reserve : 0};
}

std::optional<Error> Allocator::damage() const {
    MutexLock lock(state_->mutex);
    return state_->damage;
}

Grace &Allocator::grace() {
    return state_->grace;
}

device::BadBlocks &Allocator::bad_blocks() const {
    return state_->journal.devices().bad_blocks();
}

journal::Journal &Allocator::journal() {
    return state_->journal;
}

Result<Reservation> Allocator::reserve(BlockCount data_blocks) {
    for (;;) {
        std::uint64_t seen = 0;
        {
            MutexLock lock(state_->mutex);
            state_->reap();
            state_->withdraw_bad();
            auto &pool = *state_->data_pool;
            if (pool.free >= pool.reserved + pool.reserve + data_blocks.value) {
                pool.reserved += data_blocks.value;
                Reservation reservation;
                reservation.allocator_ = this;
                reservation.data_blocks_ = data_blocks.value;
                return reservation;
            }
            if (pool.free + pool.waiting < pool.reserved + pool.reserve + data_blocks.value)
                return Errc::no_space;
            seen = state_->returned;
        }
        DAXPIN_TRY(reclaim(seen));
    }
}

bool Allocator::State::returnable(const Waiting &entry) {
    return journal.durable_tail() >= entry.tail_needed && grace.passed(entry.ticket);
}

void Allocator::State::give_back(MediaRun run) {
    while (const auto bad = journal.devices().bad_blocks().withdraw_first(run)) {
        const BlockCount before{bad->value - run.start.value};
        make_free({run.start, before});
        run = {*bad + BlockCount{1}, run.count - before - BlockCount{1}};
    }
    make_free(run);
}

void Allocator::State::withdraw_bad() {
    auto &bad = journal.devices().bad_blocks();
    const auto version = bad.version();
    if (version == bad_seen) [[likely]]
        return;
    for (const auto &known : bad.all()) {
        const MediaBlock block = known.block;
        if (known.listed || block.device() >= devices.size() ||
            block.block() >= devices[block.device()].block_count)
            continue; // a listed block's bit is set
        const auto found = group(block.device(), block.block() / blocks_per_group);
        const auto within = static_cast<std::uint32_t>(block.block() % blocks_per_group);
        // Where the bitmap cannot be read nothing is handed out either.
        if (found && (*found)->is_free({within, 1}) &&
            take(block.device(), block.block(), 1).has_value() &&
            !bad.withdraw_first({block, BlockCount{1}}))
            make_free({block, BlockCount{1}}); // it was rewritten meanwhile
    }
    bad_seen = version;
}

void Allocator::State::make_free(MediaRun run) {
    auto &device = devices[run.start.device()];
    auto at = run.start.block();
    const auto end = at + run.count.value;
    while (at < end) {
        const auto index = at / blocks_per_group;
        const auto start = static_cast<std::uint32_t>(at % blocks_per_group);
        const auto count =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(end - at, blocks_per_group - start));
        DAXPIN_ASSERT(device.groups[index] != nullptr); // it was loaded to take or free them
        Group &group = *device.groups[index];
        device.free_units -= group.free_units();
        group.give({start, count});
        device.free_units += group.free_units();
        at += count;
    }
    device.pool->free += run.count.value;
    ++returned;
}

bool Allocator::State::reap() {
    bool any = false;
    for (auto *queue : {&waiting_data, &waiting_metadata})
        while (!queue->empty() && returnable(queue->front())) {
            const MediaRun run = queue->front().run;
            devices[run.start.device()].pool->waiting -= run.count.value;
            give_back(run);
            queue->pop_front();
            any = true;
        }
    return any;
}

// A checkpoint gets as far as the first record that is not home yet, so one may not be enough.
Result<void> Allocator::reclaim(std::uint64_t seen) {
    for (unsigned round = 0; round < grace_rounds_max; ++round) {
        bool awaits_tail = false;
        {
            MutexLock lock(state_->mutex);
            state_->reap();
            if (state_->returned != seen)
                return {};
            if (state_->zeroing != 0) {
                state_->zeroing_ended.wait(state_->mutex); // it waits for nobody
                continue;
            }
            if (state_->waiting_data.empty() && state_->waiting_metadata.empty())
                return Errc::no_space;
            awaits_tail =
                !state_->waiting_metadata.empty() &&
                state_->journal.durable_tail() < state_->waiting_metadata.front().tail_needed;
        }
        if (awaits_tail)
            DAXPIN_TRY(state_->journal.checkpoint());
        spin_wait(round);
    }
    return Errc::no_space;
}

Reservation::Reservation(Reservation &&other) noexcept
    : allocator_(std::exchange(other.allocator_, nullptr)),
      data_blocks_(std::exchange(other.data_blocks_, 0)) {}

Reservation &Reservation::operator=(Reservation &&other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(data_blocks_, other.data_blocks_);
    return *this;
}

Reservation::~Reservation() {
    if (allocator_ == nullptr)
        return;
    MutexLock lock(allocator_->state_->mutex);
    allocator_->state_->data_pool->reserved -= data_blocks_;
    ++allocator_->state_->returned; // others may have them
}

} // namespace daxpin::alloc
