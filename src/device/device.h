// SPDX-License-Identifier: BSD-3-Clause
//
// Device: the one way to media. Every store of the engine goes through here.
//
// Shaped like libpmem2: stores go to the CPU's cache (cached) or past it (nontemporal), flush()
// starts the write-back of cached lines, drain() waits. A byte is durable when the thread that
// flushed it (or stored it non-temporally) has returned from drain(). An aligned store8() never
// tears; anything larger tears at 8 bytes.
//
// Thread-safe for disjoint ranges; who may touch which bytes is the caller's business.
// Implementations: pmem2_device.h (libpmem2), tests/support/sim_device.h (simulated).
#pragma once

#include "base/result.h"
#include "base/types.h"
#include "base/unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daxpin::device {

// What makes a store durable on this machine (docs/hardware.md, "Persistence domain").
enum class Domain {
    byte,       // eADR: visible means durable; nothing to flush, non-temporal stores need a drain
    cache_line, // ADR: write back the cache line, then drain
    page,       // ordinary file: msync
    none        // volatile memory; survives only as long as the machine runs
};
const char *to_string(Domain domain) noexcept;

// The domain whose to_string() is `text`, or nothing.
std::optional<Domain> parse_domain(std::string_view text) noexcept;

enum class StoreKind { cached, nontemporal };

struct DeviceInfo {
    std::string path;
    std::uint64_t size = 0;         // bytes, a multiple of block_size
    std::uint64_t mapping_unit = 0; // bytes: alignment and granularity of mmap
    Domain domain = Domain::none;
    bool domain_assumed = false; // set by an option, not told by the platform
    bool read_only = false;
    int numa_node = -1;
    dev_t number = 0; // of device DAX
    // How often a power loss kept the platform from flushing what was on its way to the medium;
    // nothing where it cannot tell.
    std::optional<std::uint64_t> unsafe_shutdowns = {};
};

struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

class Device {
  public:
    virtual ~Device() = default;

    virtual const DeviceInfo &info() const = 0;

    // The media, read-only. Touching a poisoned page raises SIGBUS, so read with read() and look(),
    // or hand the address to the kernel: write(2) from a poisoned page gives EFAULT.
    virtual std::span<const std::byte> view() const = 0;

    // Copies [offset, offset + out.size()) out.
    // ERRORS: io if the media is poisoned there.
    virtual Result<void> read(std::uint64_t offset, std::span<std::byte> out) const = 0;

    // Calls access(const std::byte *) with those bytes in place, which saves copying if few are
    // needed. A poisoned page ends the call in its middle (sigbus.h): `access` touches no other
    // media, holds no lock, throws nothing and owns nothing that needs a destructor.
    // ERRORS: io if the media is poisoned there.
    template <typename Access>
    Result<void> look(std::uint64_t offset, std::size_t length, const Access &access) const {
        return look_at(
            offset, length,
            [](const void *context, const std::byte *bytes) {
                (*static_cast<const Access *>(context))(bytes);
            },
            &access);
    }
    using LookAccess = void (*)(const void *context, const std::byte *bytes);
    virtual Result<void> look_at(std::uint64_t offset, std::size_t length, LookAccess access,
                                 const void *context) const = 0;

    // Stores of the engine. A non-temporal store of bytes that do not fill their 8-byte words is
    // done cached and flushed; durable after drain() either way. Bytes outside the range are not
    // touched, not even rewritten with the same value. Cached stores need flush() and drain().
    // ERRORS: io if the media is poisoned there (the page stays poisoned).
    virtual Result<void> store8(std::uint64_t offset, std::uint64_t value) = 0;
    virtual Result<void> copy(std::uint64_t offset, std::span<const std::byte> in,
                              StoreKind kind) = 0;
    virtual Result<void> set(std::uint64_t offset, std::byte value, std::uint64_t length,
                             StoreKind kind) = 0;
    // Copies parts of a block, cached; `image` holds all of its bytes.
    struct Part { // bytes of the block
        std::uint16_t offset;
        std::uint16_t length;
    };
    virtual Result<void> patch(std::uint64_t offset, std::span<const std::byte, block_size> image,
                               std::span<const Part> parts);

    // Starts the write-back of the lines of [offset, offset + length) for this thread.
    virtual void flush(std::uint64_t offset, std::uint64_t length) = 0;

    // Waits until everything this thread flushed or stored non-temporally is durable.
    // ERRORS: io if the medium reported a failure (msync); nothing may be assumed durable then.
    virtual Result<void> drain() = 0;

    // As flush() + drain(), down to the medium itself where the platform distinguishes it.
    virtual Result<void> deep_flush(std::uint64_t offset, std::uint64_t length) = 0;

    // An open file description of its own on the device, for others to map it: without the in-use
    // lock. ERRORS: unsupported if there is no file; those of open(2).
    virtual Result<UniqueFd> open_again(bool) const { return Errc::unsupported; }

    // ---- media errors ----

    // Bytes of the medium that are there now: less than info().size if a file was cut short.
    virtual std::uint64_t present_bytes() const { return info().size; }

    // Stores a whole block over one that may be unreadable, durably, with whatever help the
    // medium needs for that. REQUIRES: offset and size are those of one block.
    // ERRORS: io if the block cannot be read back as it was stored.
    virtual Result<void> rewrite(std::uint64_t offset, std::span<const std::byte> block);

    // What the device itself lists as unreadable; nothing where it cannot tell, or not to us.
    virtual std::vector<ByteRange> known_bad() const { return {}; }
};

} // namespace daxpin::device
