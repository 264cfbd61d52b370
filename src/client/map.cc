// SPDX-License-Identifier: BSD-3-Clause
#include "client/map.h"

#include "base/types.h"
#include "client/deep_flush.h"
#include "client/error.h"
#include "client/own_maps.h"

#include <algorithm>
#include <cstring>
#include <daxpin/daxpin.h>
#include <sys/stat.h>
#include <unistd.h>

using daxpin::Errc;
using daxpin::Error;
using daxpin::Result;
using daxpin::round_up;
using daxpin::UniqueFd;
namespace client = daxpin::client;
using client::AddressRange;
using client::ProcessLock;

namespace {

// A file of a DAX filesystem that is mapped without MAP_SYNC may lose its block map with the power.
// Device DAX has none, and in place of what an option only says to be persistent memory any file
// will do.
AddressRange::Sync sync_for(const daxpin_device &device, bool writable) {
    if (device.granularity != DAXPIN_GRANULARITY_BYTE &&
        device.granularity != DAXPIN_GRANULARITY_CACHE_LINE)
        return AddressRange::Sync::none;
    const bool assumed = (device.flags & DAXPIN_DEVICE_ASSUMED) != 0;
    return assumed || device.number != 0 || !writable ? AddressRange::Sync::offered
                                                      : AddressRange::Sync::required;
}

struct ClearUnlessKept {
    AddressRange &range;
    std::size_t at;
    std::size_t length;
    bool kept = false;
    ~ClearUnlessKept() {
        if (!kept)
            range.clear(at, length);
    }
};

} // namespace

daxpin_map::~daxpin_map() {
    if (range_.address() != nullptr)
        client::remove_own_map(*this);
    delete tracking_.load();
    range_ = {}; // the device's pages go before the anchors, which end the lease
}

Result<std::unique_ptr<daxpin_map>> daxpin_map::create(int fd, const Request &request) {
    auto map = std::make_unique<daxpin_map>();
    DAXPIN_TRY_ASSIGN(const auto file, client::resolve_range(fd, request.offset, request.length));
    map->offset_ = file.offset;
    map->mount_ = file.mount;
    map->inode_ = file.inode;
    DAXPIN_TRY(map->add_segment(fd, file, 0, request, file.length));
    client::add_own_map(*map);
    return map;
}

Result<void> daxpin_map::add_segment(int fd, const client::FileRange &file, std::size_t at,
                                     const Request &request, std::size_t size) {
    Segment segment;
    DAXPIN_TRY_ASSIGN(segment.lease, client::Lease::obtain(fd, file, request.prepare));
    segment.at = at;
    segment.offset = file.offset;
    segment.length = std::min(round_up(file.length, segment.lease->mapping_unit()),
                              segment.lease->end() - file.offset);
    if (range_.address() == nullptr) {
        const auto reserve = round_up(request.reserve, segment.lease->mapping_unit());
        DAXPIN_TRY_ASSIGN(range_,
                          AddressRange::reserve(std::max<std::size_t>(segment.length, reserve)));
    }
    if (segment.length > range_.length() - at)
        return Error{Errc::out_of_memory,
                     "the addresses reserved for the mapping do not reach so far"};
    // Without the lease nothing may stay mapped, whatever goes wrong.
    ClearUnlessKept mapped{range_, at, segment.length};
    DAXPIN_TRY(map_extents(segment));
    DAXPIN_TRY(segment.lease->confirm(fd));
    DAXPIN_TRY(append(segment, size));
    mapped.kept = true;
    return {};
}

template <typename Visit> Result<void> daxpin_map::each_piece(const Segment &segment, Visit visit) {
    const auto end = segment.offset + segment.length;
    for (const auto &extent : segment.lease->extents()) {
        const auto start = std::max<std::uint64_t>(extent.file_offset, segment.offset);
        const auto stop = std::min<std::uint64_t>(extent.file_offset + extent.length, end);
        if (start < stop) {
            DAXPIN_TRY(visit(Piece{.at = segment.at + (start - segment.offset),
                                   .length = stop - start,
                                   .device = extent.device,
                                   .offset = extent.device_offset + (start - extent.file_offset)}));
        }
    }
    return {};
}

template <typename Visit>
Result<void> daxpin_map::each_piece_in(std::size_t from, std::size_t end, Visit visit) const {
    for (const auto &segment : segments())
        DAXPIN_TRY(each_piece(segment, [&](Piece piece) -> Result<void> {
            const auto start = std::max(from, piece.at);
            const auto stop = std::min(end, piece.at + piece.length);
            if (start >= stop)
                return {};
            piece.offset += start - piece.at;
            piece.at = start;
            piece.length = stop - start;
            return visit(piece, segment.lease->device(piece.device));
        }));
    return {};
}

Result<void> daxpin_map::map_extents(const Segment &segment) {
    std::map<unsigned, UniqueFd> devices;
    return each_piece(segment, [&](const Piece &piece) -> Result<void> {
        const auto &about = segment.lease->device(piece.device);
        // Some kernels map a misaligned offset to the wrong place without a word.
        if (piece.offset % about.mapping_unit != 0)
            return Error{Errc::invalid, "an extent is not aligned to the device's mapping unit: "
                                        "pin the file with PREPARE first"};
        auto &device = devices[piece.device];
        if (!device) {
            DAXPIN_TRY_ASSIGN(device, segment.lease->open_device(piece.device));
        }
        return range_.map({.at = piece.at,
                           .length = piece.length,
                           .fd = device.get(),
                           .offset = piece.offset,
                           .writable = segment.lease->writable(),
                           .sync = sync_for(about, segment.lease->writable())});
    });
}

Result<void> daxpin_map::append(const Segment &segment, std::size_t size) {
    auto granularity = segment.lease->granularity();
    if (const auto *before = stores_.load())
        granularity = client::stricter(before->granularity, granularity);
    DAXPIN_TRY_ASSIGN(const auto *stores, client::stores_for(granularity));
    if (const auto *tracking = tracking_.load()) {
        DAXPIN_TRY(check_tracking(tracking->mode, segment));
        DAXPIN_TRY(tracking->tracker->extend(segment.at + segment.length));
    }
    mixed_ = would_mix(segment);
    const ProcessLock lock;
    segments_.push_back(segment);
    stores_.store(stores);
    size_.store(size, std::memory_order_release);
    return {};
}

bool daxpin_map::would_mix(const Segment &added) const {
    bool by_pages = false;
    bool otherwise = false;
    const auto look = [&](const client::Lease &lease) {
        for (const auto &extent : lease.extents()) {
            const auto granularity = lease.device(extent.device).granularity;
            (granularity == DAXPIN_GRANULARITY_PAGE ? by_pages : otherwise) = true;
        }
    };
    look(*added.lease);
    for (const auto &segment : segments())
        look(*segment.lease);
    return by_pages && otherwise;
}

bool daxpin_map::enter() {
    const ProcessLock lock;
    if (changer_ == getpid()) // else a parent forked while it was at it
        return false;
    changer_ = getpid();
    return true;
}

void daxpin_map::leave() {
    const ProcessLock lock;
    changer_ = 0;
}

Result<void> daxpin_map::extend(int fd, std::uint64_t length, bool prepare) {
    return alone([&] { return grow(fd, length, prepare); });
}

Result<void> daxpin_map::grow(int fd, std::uint64_t length, bool prepare) {
    DAXPIN_TRY_ASSIGN(const auto file, client::resolve_range(fd, offset_, length));
    if (file.mount != mount_ || file.inode != inode_)
        return Error{Errc::invalid, "the descriptor is of another file than the mapping"};
    if (file.writable != segments().front().lease->writable())
        return Error{Errc::bad_handle, "the mapping was made from a descriptor of other access"};
    if (file.length < size())
        return Error{Errc::invalid, "a mapping does not shrink"};
    const auto mapped = mapped_size();
    if (file.length <= mapped) { // within the last unit
        size_.store(file.length, std::memory_order_release);
        return {};
    }
    auto rest = file;
    rest.whole = false;
    rest.offset += mapped;
    rest.length -= mapped;
    return add_segment(fd, rest, mapped, {.prepare = prepare}, file.length);
}

// A descriptor of another mount is of a later one: it has another id, which tells.
Result<void> daxpin_map::check(int fd) const {
    struct stat file;
    if (fstat(fd, &file) != 0)
        return client::system_error("cannot look at the file");
    if (file.st_dev == mount_ && file.st_ino != inode_)
        return Error{Errc::invalid, "the descriptor is of another file than the mapping"};
    DAXPIN_TRY_ASSIGN(const auto status, client::status_of(fd));
    for (const auto &segment : segments())
        if (!segment.lease->holds(status))
            return Error{Errc::stale, "blocks of the file have changed since it was mapped, or the "
                                      "filesystem was mounted anew: map it again"};
    return {};
}

std::vector<daxpin_map::Segment> daxpin_map::segments() const {
    const ProcessLock lock;
    return segments_;
}

std::size_t daxpin_map::mapped_size() const {
    const ProcessLock lock;
    return segments_.back().at + segments_.back().length;
}

bool daxpin_map::contains(const void *address, std::size_t length) const {
    const auto at = reinterpret_cast<std::uintptr_t>(address) -
                    reinterpret_cast<std::uintptr_t>(range_.address());
    return at <= size() && length <= size() - at;
}

// After stores that nobody flushes; nothing to do for ones that are.
Result<void> daxpin_map::stored(const void *destination, std::size_t length, unsigned flags) const {
    if ((flags & DAXPIN_F_NOFLUSH) != 0)
        return mark(destination, length);
    return stores().is_page() ? flush(destination, length) : Result<void>();
}

Result<void> daxpin_map::copy(void *destination, const void *source, std::size_t length,
                              unsigned flags) const {
    if (stores().is_page())
        std::memcpy(destination, source, length);
    else
        stores().copy(destination, source, length, flags);
    return stored(destination, length, flags);
}

Result<void> daxpin_map::move(void *destination, const void *source, std::size_t length,
                              unsigned flags) const {
    if (stores().is_page())
        std::memmove(destination, source, length);
    else
        stores().move(destination, source, length, flags);
    return stored(destination, length, flags);
}

Result<void> daxpin_map::set(void *destination, int value, std::size_t length,
                             unsigned flags) const {
    if (stores().is_page())
        std::memset(destination, value, length);
    else
        stores().set(destination, value, length, flags);
    return stored(destination, length, flags);
}

// With a fence for the lines: drain() is that of pages, which do not wait.
Result<void> daxpin_map::flush_pieces(const void *address, std::size_t length) const {
    const std::size_t from = static_cast<const std::byte *>(address) - range_.address();
    return each_piece_in(
        from, from + length, [&](const Piece &piece, const daxpin_device &device) -> Result<void> {
            DAXPIN_TRY_ASSIGN(const auto *how, client::stores_for(device.granularity));
            auto flushed = how->flush(range_.address() + piece.at, piece.length);
            how->drain();
            return flushed;
        });
}

Result<void> daxpin_map::deep_flush(const void *address, std::size_t length) const {
    if (!contains(address, length))
        return Error{Errc::invalid, "the range is not within the mapping"};
    DAXPIN_TRY(flush(address, length));
    stores().drain();
    const std::size_t from = static_cast<const std::byte *>(address) - range_.address();
    return each_piece_in(from, from + length, [&](const Piece &piece, const daxpin_device &device) {
        return client::deep_flush(device, range_.address() + piece.at, piece.length);
    });
}
