// SPDX-License-Identifier: BSD-3-Clause
//
// AddressRange: reserved addresses that device pages are mapped into.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>

namespace daxpin::client {

class [[nodiscard]] AddressRange {
  public:
    AddressRange() = default;
    // Inaccessible addresses. From 2 MiB (1 GiB) on the start is aligned to that, so that the
    // kernel can use pages as large as the medium has. ERRORS: out_of_memory.
    static Result<AddressRange> reserve(std::size_t length);
    // Zeroed memory that processes made by fork() share with this one.
    static Result<AddressRange> shared(std::size_t length);
    // One page of the file `fd` at `offset`, inaccessible: it keeps the open file description
    // alive, and with it the lease, in every process that inherits it.
    static Result<AddressRange> anchor(int fd, std::uint64_t offset);

    AddressRange(AddressRange &&other) noexcept;
    AddressRange &operator=(AddressRange &&other) noexcept;
    ~AddressRange();

    std::byte *address() const { return address_; }
    std::size_t length() const { return length_; }

    enum class Sync {
        none,
        offered,
        required
    }; // MAP_SYNC: where the kernel offers it; or else fail
    struct Part {
        std::size_t at; // within the range
        std::size_t length;
        int fd;
        std::uint64_t offset; // in the device
        bool writable;
        Sync sync;
    };
    Result<void> map(const Part &part);
    // Makes a part inaccessible again; its addresses stay reserved.
    void clear(std::size_t at, std::size_t length);

  private:
    AddressRange(std::byte *address, std::size_t length) : address_(address), length_(length) {}
    std::byte *address_ = nullptr;
    std::size_t length_ = 0;
};

} // namespace daxpin::client
