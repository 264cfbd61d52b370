// SPDX-License-Identifier: BSD-3-Clause
//
// Env: everything the engine takes from the outside world besides media. Injectable, so that a
// test replays a run byte for byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace daxpin {

using BootId = std::array<std::byte, 16>;

class Env {
  public:
    virtual ~Env() = default;

    // Nanoseconds since 1970-01-01 UTC; may be negative.
    virtual std::int64_t now_ns() = 0;

    // Nanoseconds since the machine was started, asleep or not; nobody sets this clock.
    virtual std::int64_t since_boot_ns() = 0;

    // Fills `out` with bytes nobody can guess.
    virtual void random(std::span<std::byte> out) = 0;

    // The kernel's boot id (/proc/sys/kernel/random/boot_id).
    virtual BootId boot_id() = 0;

    std::uint64_t random64();
};

// Clock, getrandom(2) and boot id of this machine. One instance for the process's life.
Env &system_env();

} // namespace daxpin
