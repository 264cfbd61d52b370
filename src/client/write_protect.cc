// SPDX-License-Identifier: BSD-3-Clause
#include "client/write_protect.h"

#include "client/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <span>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace daxpin::client {

namespace {

// From <linux/userfaultfd.h> and <linux/fs.h> of Linux 6.7.
constexpr std::uint64_t feature_wp_unpopulated = 1 << 13;
constexpr std::uint64_t feature_wp_async = 1 << 15;

struct ScannedRegion {
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t categories;
};
struct ScanArgument {
    std::uint64_t size;
    std::uint64_t flags;
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t walk_end; // out
    std::uint64_t regions;
    std::uint64_t region_count;
    std::uint64_t pages_max;
    std::uint64_t category_inverted;
    std::uint64_t category_mask;
    std::uint64_t category_any_of;
    std::uint64_t return_mask;
};
constexpr unsigned long pagemap_scan = _IOWR('f', 16, ScanArgument);
constexpr std::uint64_t scan_protect_matching = 1 << 0;
constexpr std::uint64_t scan_check_watched = 1 << 1;
constexpr std::uint64_t page_is_written = 1 << 1;

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t regions_a_scan = 256;

Error cannot_watch(const char *what) {
    switch (errno) {
    case EPERM:
        return {Errc::not_permitted, std::string(what) + ": userfaultfd is not permitted"};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return system_error(what);
    default:
        return {Errc::unsupported,
                std::string(what) +
                    ": this kernel cannot watch stores to this mapping (Linux 6.7 can)"};
    }
}

Result<UniqueFd> open_watch() {
    UniqueFd watch(
        static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
    if (!watch)
        return cannot_watch("cannot open a userfaultfd");
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = feature_wp_async | feature_wp_unpopulated;
    if (ioctl(watch.get(), UFFDIO_API, &api) != 0)
        return cannot_watch("no asynchronous write-protection");
    return watch;
}

UniqueFd open_pagemap() {
    return UniqueFd(open("/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC));
}

// Whether this kernel can scan at all.
Result<void> try_scan(const std::byte *address) {
    const auto pagemap = open_pagemap();
    if (!pagemap)
        return system_error("cannot open /proc/thread-self/pagemap");
    ScanArgument scan{};
    scan.size = sizeof scan;
    scan.start = scan.end = reinterpret_cast<std::uintptr_t>(address);
    scan.category_mask = page_is_written;
    scan.return_mask = page_is_written;
    if (ioctl(pagemap.get(), pagemap_scan, &scan) < 0)
        return cannot_watch("cannot scan the mapping");
    return {};
}

std::size_t round_up(std::size_t value) {
    return (value + page_bytes - 1) / page_bytes * page_bytes;
}

} // namespace

Result<std::unique_ptr<DirtyTracker>> WriteProtect::make(std::byte *address, std::size_t size) {
    DAXPIN_TRY_ASSIGN(auto watch, open_watch());
    DAXPIN_TRY(try_scan(address));
    auto made = std::unique_ptr<DirtyTracker>(new WriteProtect(address, std::move(watch)));
    DAXPIN_TRY(made->extend(size));
    return made;
}

WriteProtect::WriteProtect(std::byte *address, UniqueFd watch)
    : address_(address), watch_(std::move(watch)), maker_(getpid()) {
    struct stat status {};
    fstat(watch_.get(), &status);
    watch_device_ = status.st_dev;
    watch_inode_ = status.st_ino;
}

WriteProtect::~WriteProtect() {
    if (!holds_watch())
        static_cast<void>(watch_.release());
}

// A program that closes every descriptor it finds, as daemons do, may have given the number to a
// file of its own.
bool WriteProtect::holds_watch() const {
    struct stat status {};
    return fstat(watch_.get(), &status) == 0 && status.st_dev == watch_device_ &&
           status.st_ino == watch_inode_;
}

Result<void> WriteProtect::extend(std::size_t size) {
    const auto whole = round_up(size);
    if (whole <= size_)
        return {};
    // The descriptor is inherited, but it is the parent's memory that it watches.
    if (maker_ != getpid() || !holds_watch())
        return {};
    const auto start = reinterpret_cast<std::uintptr_t>(address_) + size_;
    uffdio_register watched{};
    watched.range = {start, whole - size_};
    watched.mode = UFFDIO_REGISTER_MODE_WP;
    if (ioctl(watch_.get(), UFFDIO_REGISTER, &watched) != 0)
        return cannot_watch("cannot watch the mapping");
    uffdio_writeprotect protect{};
    protect.range = watched.range;
    protect.mode = UFFDIO_WRITEPROTECT_MODE_WP;
    if (ioctl(watch_.get(), UFFDIO_WRITEPROTECT, &protect) != 0)
        return cannot_watch("cannot protect the mapping");
    size_ = whole;
    return {};
}

Result<void> WriteProtect::take(std::size_t offset, std::size_t length, const Flush &flush) {
    const auto pagemap = open_pagemap();
    const auto base = reinterpret_cast<std::uintptr_t>(address_);
    const auto from = offset / page_bytes * page_bytes;
    const auto to = round_up(offset + length);
    std::array<ScannedRegion, regions_a_scan> regions;
    ScanArgument scan{};
    scan.size = sizeof scan;
    scan.flags = scan_protect_matching | scan_check_watched;
    scan.start = base + from;
    scan.end = base + to;
    scan.regions = reinterpret_cast<std::uintptr_t>(regions.data());
    scan.region_count = regions.size();
    scan.category_mask = page_is_written;
    scan.return_mask = page_is_written;
    do {
        const int count = ioctl(pagemap.get(), pagemap_scan, &scan);
        if (count < 0) { // not watched (any more), or the kernel does not say
            flush(scan.start - base, scan.end - scan.start);
            return {};
        }
        for (const auto &region : std::span(regions).first(static_cast<std::size_t>(count)))
            flush(region.start - base, region.end - region.start);
        scan.start = scan.walk_end;
    } while (scan.start < scan.end);
    return {};
}

} // namespace daxpin::client
