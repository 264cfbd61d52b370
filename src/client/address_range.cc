// SPDX-License-Identifier: BSD-3-Clause
#include "client/address_range.h"

#include "base/types.h"
#include "client/error.h"

#include <cerrno>
#include <string>
#include <sys/mman.h>
#include <utility>

namespace daxpin::client {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t giant_page = std::size_t{1} << 30;

std::size_t alignment_for(std::size_t length) {
    return length >= giant_page ? giant_page : length >= huge_page ? huge_page : block_size;
}

} // namespace

Result<AddressRange> AddressRange::reserve(std::size_t length) {
    const auto align = alignment_for(length);
    const auto padded = length + align;
    if (padded < length)
        return Errc::out_of_memory;
    void *found =
        mmap(nullptr, padded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        return system_error("cannot reserve " + std::to_string(length) + " bytes of addresses");
    auto *start = static_cast<std::byte *>(found);
    const auto misfit = reinterpret_cast<std::uintptr_t>(start) % align;
    const auto skip = misfit == 0 ? 0 : align - misfit;
    if (skip > 0)
        munmap(start, skip);
    munmap(start + skip + length, align - skip);
    return AddressRange(start + skip, length);
}

Result<AddressRange> AddressRange::shared(std::size_t length) {
    void *found = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        return system_error("cannot map " + std::to_string(length) + " bytes of memory");
    return AddressRange(static_cast<std::byte *>(found), length);
}

Result<AddressRange> AddressRange::anchor(int fd, std::uint64_t offset) {
    void *found = mmap(nullptr, block_size, PROT_NONE, MAP_PRIVATE, fd, static_cast<off_t>(offset));
    if (found == MAP_FAILED)
        return system_error("cannot map the file itself beside the device");
    return AddressRange(static_cast<std::byte *>(found), block_size);
}

AddressRange::AddressRange(AddressRange &&other) noexcept
    : address_(std::exchange(other.address_, nullptr)), length_(std::exchange(other.length_, 0)) {}

AddressRange &AddressRange::operator=(AddressRange &&other) noexcept {
    std::swap(address_, other.address_);
    std::swap(length_, other.length_);
    return *this;
}

AddressRange::~AddressRange() {
    if (address_ != nullptr)
        munmap(address_, length_);
}

// Elsewhere first, then moved into place: a mapping that the filesystem refuses (ext4 without DAX
// and MAP_SYNC) has by then taken away what stood at a fixed address, and another thread may get
// it.
Result<void> AddressRange::map(const Part &part) {
    const int protection = part.writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const auto offset = static_cast<off_t>(part.offset);
    void *found = MAP_FAILED;
    if (part.sync != Sync::none) {
        found =
            mmap(nullptr, part.length, protection, MAP_SHARED_VALIDATE | MAP_SYNC, part.fd, offset);
        const bool refused = found == MAP_FAILED && (errno == EOPNOTSUPP || errno == EINVAL);
        if (found == MAP_FAILED && !refused)
            return system_error("cannot map the device");
        if (refused && part.sync == Sync::required)
            return system_error("cannot map the device with MAP_SYNC, without which stores do not "
                                "last");
    }
    if (found == MAP_FAILED)
        found = mmap(nullptr, part.length, protection, MAP_SHARED, part.fd, offset);
    if (found == MAP_FAILED)
        return system_error("cannot map the device");
    if (mremap(found, part.length, part.length, MREMAP_MAYMOVE | MREMAP_FIXED,
               address_ + part.at) != MAP_FAILED)
        return {};
    const auto error = system_error("cannot map the device at its place in the mapping");
    munmap(found, part.length);
    return error;
}

void AddressRange::clear(std::size_t at, std::size_t length) {
    if (length > 0)
        mmap(address_ + at, length, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

} // namespace daxpin::client
