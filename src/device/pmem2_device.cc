// SPDX-License-Identifier: BSD-3-Clause
#include "device/pmem2_device.h"

#include "base/assert.h"
#include "device/pmem2_bad_blocks.h"
#include "device/pmem2_map.h"
#include "device/sigbus.h"
#include "device/words.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace daxpin::device {
namespace {

constexpr std::size_t line_bytes = 64;

// A range cut at cache lines: whole lines in the middle, less than a line on either side.
struct Cut {
    std::size_t head;
    std::size_t lines;
    std::size_t tail;
};

Cut cut_at_lines(const std::byte *begin, std::size_t length) {
    const std::size_t head = std::min(bytes_to_boundary(begin, line_bytes), length);
    const std::size_t tail = (length - head) % line_bytes;
    return {head, length - head - tail, tail};
}

// Small ranges are not worth a call into libpmem2.
constexpr std::size_t words_max = 256;

unsigned flags_for(StoreKind kind) {
    return kind == StoreKind::nontemporal ? PMEM2_F_MEM_NONTEMPORAL | PMEM2_F_MEM_NODRAIN
                                          : PMEM2_F_MEM_TEMPORAL | PMEM2_F_MEM_NOFLUSH;
}

} // namespace

Result<std::unique_ptr<Device>> Pmem2Device::map(UniqueFd fd, DeviceInfo info,
                                                 std::optional<Domain> domain) {
    install_sigbus_handler();
    DAXPIN_TRY_ASSIGN(Pmem2Map mapped, map_whole(fd.get(), info, domain));
    return std::unique_ptr<Device>(
        new Pmem2Device(std::move(fd), std::move(mapped), std::move(info)));
}

Pmem2Device::Pmem2Device(UniqueFd fd, Pmem2Map map, DeviceInfo info)
    : fd_(std::move(fd)), map_(std::move(map)), info_(std::move(info)),
      base_(static_cast<std::byte *>(pmem2_map_get_address(map_.get()))),
      memcpy_(pmem2_get_memcpy_fn(map_.get())), memset_(pmem2_get_memset_fn(map_.get())),
      flush_(pmem2_get_flush_fn(map_.get())), drain_(pmem2_get_drain_fn(map_.get())),
      dirty_pages_({base_, info_.size}) {}

std::byte *Pmem2Device::target(std::uint64_t offset, std::uint64_t length) {
    DAXPIN_ASSERT(!info_.read_only);
    DAXPIN_ASSERT(offset <= info_.size && length <= info_.size - offset);
    return base_ + offset;
}

Result<void> Pmem2Device::read(std::uint64_t offset, std::span<std::byte> out) const {
    DAXPIN_ASSERT(offset <= info_.size && out.size() <= info_.size - offset);
    const std::byte *from = base_ + offset;
    if (!guarded(from, out.size(), [&] { std::memcpy(out.data(), from, out.size()); }))
        return Errc::io;
    return {};
}

Result<void> Pmem2Device::look_at(std::uint64_t offset, std::size_t length, LookAccess access,
                                  const void *context) const {
    DAXPIN_ASSERT(offset <= info_.size && length <= info_.size - offset);
    const std::byte *from = base_ + offset;
    if (!guarded(from, length, [&] { access(context, from); }))
        return Errc::io;
    return {};
}

Result<void> Pmem2Device::finish(bool stored, std::uint64_t offset, std::uint64_t length,
                                 StoreKind kind) {
    if (!stored)
        return Errc::io;
    if (info_.domain == Domain::page && kind == StoreKind::nontemporal)
        dirty_pages_.record(offset, length);
    return {};
}

Result<void> Pmem2Device::store8(std::uint64_t offset, std::uint64_t value) {
    std::byte *to = target(offset, sizeof(value));
    DAXPIN_ASSERT(offset % sizeof(value) == 0);
    const bool stored = guarded(to, sizeof(value), [&] { store_word(to, value); });
    return finish(stored, offset, sizeof(value), StoreKind::cached);
}

Result<void> Pmem2Device::copy(std::uint64_t offset, std::span<const std::byte> in,
                               StoreKind kind) {
    std::byte *to = target(offset, in.size());
    const Cut cut = cut_at_lines(to, in.size());
    const bool flush_edges = is_cpu_domain() && kind == StoreKind::nontemporal;
    const bool stored = guarded(to, in.size(), [&] {
        if (in.size() < words_max && kind == StoreKind::cached) {
            copy_words(to, in.data(), in.size());
            return;
        }
        std::byte *const lines = to + cut.head;
        std::byte *const tail = lines + cut.lines;
        copy_words(to, in.data(), cut.head);
        if (cut.lines > 0 && is_cpu_domain())
            memcpy_(lines, in.data() + cut.head, cut.lines, flags_for(kind));
        else if (cut.lines > 0)
            std::memcpy(lines, in.data() + cut.head, cut.lines);
        copy_words(tail, in.data() + cut.head + cut.lines, cut.tail);
        if (flush_edges && cut.head > 0)
            flush_(to, cut.head);
        if (flush_edges && cut.tail > 0)
            flush_(tail, cut.tail);
    });
    return finish(stored, offset, in.size(), kind);
}

// Guarded once: that costs more than a short part.
Result<void> Pmem2Device::patch(std::uint64_t offset, std::span<const std::byte, block_size> image,
                                std::span<const Part> parts) {
    std::byte *to = target(offset, image.size());
    const bool stored = guarded(to, image.size(), [&] {
        for (const Part &part : parts)
            copy_words(to + part.offset, image.data() + part.offset, part.length);
    });
    return finish(stored, offset, image.size(), StoreKind::cached);
}

Result<void> Pmem2Device::set(std::uint64_t offset, std::byte value, std::uint64_t length,
                              StoreKind kind) {
    std::byte *to = target(offset, length);
    const Cut cut = cut_at_lines(to, length);
    const bool flush_edges = is_cpu_domain() && kind == StoreKind::nontemporal;
    const bool stored = guarded(to, length, [&] {
        std::byte *const lines = to + cut.head;
        std::byte *const tail = lines + cut.lines;
        set_words(to, value, cut.head);
        if (cut.lines > 0 && is_cpu_domain())
            memset_(lines, static_cast<int>(value), cut.lines, flags_for(kind));
        else if (cut.lines > 0)
            std::memset(lines, static_cast<int>(value), cut.lines);
        set_words(tail, value, cut.tail);
        if (flush_edges && cut.head > 0)
            flush_(to, cut.head);
        if (flush_edges && cut.tail > 0)
            flush_(tail, cut.tail);
    });
    return finish(stored, offset, length, kind);
}

// The line was stored before, but its page may be gone since: a file that was cut short, or a
// page that the kernel took out of use. As with DirtyPages, no drain may claim success then.
void Pmem2Device::flush(std::uint64_t offset, std::uint64_t length) {
    const std::byte *from = target(offset, length);
    if (info_.domain == Domain::page)
        dirty_pages_.record(offset, length);
    else if (info_.domain == Domain::cache_line &&
             !guarded(from, length, [&] { flush_(from, length); }))
        flush_failed_.store(true);
}

Result<void> Pmem2Device::drain() {
    if (info_.domain == Domain::page)
        return dirty_pages_.drain();
    drain_();
    if (flush_failed_.load(std::memory_order_relaxed)) [[unlikely]]
        return Error{Errc::io, info_.path + ": what was stored is lost: its page is gone"};
    return {};
}

Result<void> Pmem2Device::deep_flush(std::uint64_t offset, std::uint64_t length) {
    std::byte *from = target(offset, length);
    flush(offset, length);
    DAXPIN_TRY(drain());
    if (is_cpu_domain() && pmem2_deep_flush(map_.get(), from, length) != 0)
        return Error{Errc::io, info_.path + ": deep flush failed: " + pmem2_errormsg()};
    return {};
}

// By the descriptor, not by the path: that may lead elsewhere by now.
Result<UniqueFd> Pmem2Device::open_again(bool writable) const {
    const std::string path = "/proc/self/fd/" + std::to_string(fd_.get());
    UniqueFd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!fd)
        return Error{from_errno(errno),
                     info_.path + ": cannot be opened again: " + to_string(from_errno(errno))};
    return fd;
}

std::uint64_t Pmem2Device::present_bytes() const {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return info_.size;
    return std::min(info_.size, static_cast<std::uint64_t>(status.st_size));
}

std::vector<ByteRange> Pmem2Device::known_bad() const {
    return listed_by_device(fd_.get(), info_.path);
}

// A file's page is repaired by writing it through the filesystem, which knows how.
Result<void> Pmem2Device::write_to_file(std::uint64_t offset, std::span<const std::byte> block) {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return Errc::io;
    const auto written =
        ::pwrite(fd_.get(), block.data(), block.size(), static_cast<off_t>(offset));
    if (written != static_cast<ssize_t>(block.size()) || ::fdatasync(fd_.get()) != 0)
        return Errc::io;
    return {};
}

// The kernel marks a page that failed in the mapping itself: only a new mapping sees the new one.
Result<void> Pmem2Device::map_again(std::uint64_t offset) {
    const auto map = [&](int flags) {
        return ::mmap(base_ + offset, block_size, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
                      fd_.get(), static_cast<off_t>(offset));
    };
    // As libpmem2 does: with MAP_SYNC wherever the filesystem can.
    void *mapped = map(MAP_SHARED_VALIDATE | MAP_SYNC);
    if (mapped == MAP_FAILED && (errno == EOPNOTSUPP || errno == EINVAL))
        mapped = map(MAP_SHARED);
    if (mapped == MAP_FAILED)
        return Errc::io;
    ::madvise(mapped, block_size, MADV_DONTDUMP);
    return {};
}

Result<void> Pmem2Device::rewrite(std::uint64_t offset, std::span<const std::byte> block) {
    target(offset, block.size());
    if (offset + block.size() > present_bytes())
        return Errc::io; // cut off, not bad: nobody is to make the file longer here
    clear_listed_by_device(fd_.get(), {offset, block.size()});
    if (Device::rewrite(offset, block))
        return {};
    DAXPIN_TRY(write_to_file(offset, block));
    DAXPIN_TRY(map_again(offset));
    return Device::rewrite(offset, block);
}

} // namespace daxpin::device
