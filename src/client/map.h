// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin_map: one contiguous mapping of a leased file's extents, and how its stores are made
// durable: by libpmem2's functions for the strictest device under it.
//
// Thread-safe. What extend() changes is published under the process's lock; what a store needs is
// read without it. A child made by fork() uses its copy as the parent uses its own.
#pragma once

#include "client/address_range.h"
#include "client/dirty_tracker.h"
#include "client/family_lock.h"
#include "client/lease.h"
#include "client/process.h"
#include "client/stores.h"

#include <atomic>
#include <memory>

struct daxpin_map {
    struct Request {
        std::uint64_t offset = 0; // in the file, bytes
        std::uint64_t length = 0; // bytes; 0 = to the end of the file
        std::size_t reserve = 0;  // bytes of addresses, at least what is mapped
        bool prepare = false;
    };
    // Maps once; ERRORS: stale if the file's map changed meanwhile (try again).
    static daxpin::Result<std::unique_ptr<daxpin_map>> create(int fd, const Request &request);
    daxpin_map() = default;
    ~daxpin_map();
    daxpin_map(const daxpin_map &) = delete;
    daxpin_map &operator=(const daxpin_map &) = delete;

    // Maps more of the file behind what is mapped, up to `length` bytes in all; 0 = to the end.
    // ERRORS: as create(); out_of_memory if the addresses do not reach; busy if another thread
    // is at it, or at track().
    daxpin::Result<void> extend(int fd, std::uint64_t length, bool prepare);

    // Whether what is mapped are the file's blocks still; `fd` is any descriptor of it.
    // ERRORS: stale; invalid for another file's.
    daxpin::Result<void> check(int fd) const;

    const daxpin::client::Stores &stores() const {
        return *stores_.load(std::memory_order_acquire);
    }
    // Starts writing a range back, of each device by what that needs. ERRORS: io.
    daxpin::Result<void> flush(const void *address, std::size_t length) const {
        const auto &how = stores();
        return how.is_page() && mixed_ ? flush_pieces(address, length) : how.flush(address, length);
    }
    daxpin::Result<void> copy(void *destination, const void *source, std::size_t length,
                              unsigned flags) const;
    // The same where the two may overlap.
    daxpin::Result<void> move(void *destination, const void *source, std::size_t length,
                              unsigned flags) const;
    daxpin::Result<void> set(void *destination, int value, std::size_t length,
                             unsigned flags) const;
    // Flush, drain, and whatever the platform offers beyond.
    daxpin::Result<void> deep_flush(const void *address, std::size_t length) const;

    // Chooses how stores are tracked (DAXPIN_TRACK_*), once. ERRORS: invalid, unsupported, busy if
    // another mode was chosen before or another thread is at it.
    daxpin::Result<void> track(unsigned mode);
    // ERRORS: invalid if the range is not within the map.
    daxpin::Result<void> mark(const void *address, std::size_t length) const;
    // Makes what was stored to the range durable, as far as the tracking knows. The offset is in
    // the map; 0, 0 = all of it. ERRORS: invalid, io.
    daxpin::Result<void> sync(std::size_t offset, std::size_t length) const;

    std::byte *address() const { return range_.address(); }
    std::size_t size() const { return size_.load(std::memory_order_acquire); }
    bool contains(const void *address, std::size_t length) const;

  private:
    // A leased part of the file and where it is mapped.
    struct Segment {
        std::shared_ptr<daxpin::client::Lease> lease;
        std::size_t at = 0;       // within the range
        std::size_t length = 0;   // bytes, whole mapping units
        std::uint64_t offset = 0; // in the file
    };
    // Maps `file` at `at` and makes it a part of the mapping, or leaves nothing behind.
    daxpin::Result<void> add_segment(int fd, const daxpin::client::FileRange &file, std::size_t at,
                                     const Request &request, std::size_t size);
    // What of it lies together on one device.
    struct Piece {
        std::size_t at = 0; // within the range
        std::size_t length = 0;
        unsigned device = 0;
        std::uint64_t offset = 0; // in the device
    };
    template <typename Visit>
    static daxpin::Result<void> each_piece(const Segment &segment, Visit visit);
    // What of [from, end) of the range lies in pieces, each with its lease.
    template <typename Visit>
    daxpin::Result<void> each_piece_in(std::size_t from, std::size_t end, Visit visit) const;
    daxpin::Result<void> map_extents(const Segment &segment);
    daxpin::Result<void> flush_pieces(const void *address, std::size_t length) const;
    bool would_mix(const Segment &added) const;
    daxpin::Result<void> stored(const void *destination, std::size_t length, unsigned flags) const;
    struct Tracking {
        unsigned mode = 0;
        daxpin::client::FamilyLock lock; // one sync at a time
        std::unique_ptr<daxpin::client::DirtyTracker> tracker;
    };
    // ERRORS: unsupported if write-protection is the mode, and the segment does not bear it.
    static daxpin::Result<void> check_tracking(unsigned mode, const Segment &segment);
    daxpin::Result<std::unique_ptr<Tracking>> make_tracking(unsigned mode) const;
    daxpin::Result<void> sync_tracked(Tracking &tracking, std::size_t offset,
                                      std::size_t length) const;
    daxpin::Result<void> append(const Segment &segment, std::size_t size);
    // Runs `body` unless another thread of this process runs one: busy.
    template <typename Body> daxpin::Result<void> alone(Body body) {
        if (!enter())
            return daxpin::Error{daxpin::Errc::busy, "another thread is changing this mapping"};
        const std::unique_ptr<daxpin_map, void (*)(daxpin_map *)> inside(
            this, [](daxpin_map *map) { map->leave(); });
        return body();
    }
    bool enter();
    void leave();
    daxpin::Result<void> grow(int fd, std::uint64_t length, bool prepare);
    std::vector<Segment> segments() const;
    std::size_t mapped_size() const; // bytes, whole mapping units

    daxpin::client::AddressRange range_;
    std::uint64_t offset_ = 0; // in the file
    dev_t mount_ = 0;
    ino_t inode_ = 0;
    std::atomic<std::size_t> size_ = 0; // bytes asked for; what is mapped is whole units
    std::atomic<const daxpin::client::Stores *> stores_ = nullptr;
    // Some of it is written back by pages and some is not: msync() refuses device DAX. Set before
    // stores_ says so.
    std::atomic<bool> mixed_ = false;
    std::atomic<Tracking *> tracking_ = nullptr; // owned; set once
    std::vector<Segment> segments_ GUARDED_BY(daxpin::client::process_mutex);
    pid_t changer_ GUARDED_BY(daxpin::client::process_mutex) = 0; // the process that changes it
};
