// SPDX-License-Identifier: BSD-3-Clause
//
// Strong integers for quantities that are all 64 bits wide and must not be mixed up.
//
// `value` is the bare number. A position plus a count is a position; nothing else adds.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace daxpin {

inline constexpr std::uint32_t block_size = 4096; // bytes; the only block size of format 1

// The smallest multiple of `unit` that is not below `value`.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

struct BlockCount {
    std::uint64_t value = 0;
    auto operator<=>(const BlockCount &) const = default;
    constexpr std::uint64_t bytes() const { return value * block_size; }
    constexpr BlockCount operator+(BlockCount other) const { return {value + other.value}; }
    constexpr BlockCount operator-(BlockCount other) const { return {value - other.value}; }
    constexpr BlockCount &operator+=(BlockCount other) {
        value += other.value;
        return *this;
    }
    constexpr BlockCount &operator-=(BlockCount other) {
        value -= other.value;
        return *this;
    }
};

// A block of a file, counted from its start.
struct FileBlock {
    std::uint64_t value = 0;
    auto operator<=>(const FileBlock &) const = default;
    constexpr FileBlock operator+(BlockCount count) const { return {value + count.value}; }
    constexpr BlockCount operator-(FileBlock other) const { return {value - other.value}; }
    constexpr std::uint64_t bytes() const { return value * block_size; }
};

// A block on media: the device's index in the top 16 bits, its block number in the low 48.
struct MediaBlock {
    std::uint64_t value = 0;
    auto operator<=>(const MediaBlock &) const = default;
    static constexpr MediaBlock at(unsigned device, std::uint64_t block) {
        return {std::uint64_t{device} << 48 | block};
    }
    constexpr unsigned device() const { return static_cast<unsigned>(value >> 48); }
    constexpr std::uint64_t block() const { return value & ((std::uint64_t{1} << 48) - 1); }
    constexpr MediaBlock operator+(BlockCount count) const { return {value + count.value}; }
};

struct InodeNumber {
    std::uint64_t value = 0;
    auto operator<=>(const InodeNumber &) const = default;
};

// `count` blocks of one device, contiguous.
struct MediaRun {
    MediaBlock start;
    BlockCount count;
    bool operator==(const MediaRun &) const = default;
};

} // namespace daxpin

template <> struct std::hash<daxpin::InodeNumber> {
    std::size_t operator()(daxpin::InodeNumber number) const noexcept {
        return std::hash<std::uint64_t>{}(number.value * 0x9e3779b97f4a7c15U);
    }
};
