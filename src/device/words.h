// SPDX-License-Identifier: BSD-3-Clause
//
// Stores in units that media keep whole: every aligned 8-byte word that the range covers is
// written by one store, the bytes at its edges one by one. memcpy() promises neither; its
// overlapping stores would tear words and make a crash show half of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace daxpin::device {

inline void store_word(std::byte *to, std::uint64_t value) {
    __atomic_store_n(reinterpret_cast<std::uint64_t *>(to), value, __ATOMIC_RELAXED);
}

inline void store_byte(std::byte *to, std::byte value) {
    __atomic_store_n(reinterpret_cast<unsigned char *>(to), static_cast<unsigned char>(value),
                     __ATOMIC_RELAXED);
}

inline std::size_t bytes_to_boundary(const std::byte *address, std::size_t boundary) {
    return (boundary - reinterpret_cast<std::uintptr_t>(address) % boundary) % boundary;
}

inline void copy_words(std::byte *to, const std::byte *from, std::size_t length) {
    std::size_t done = 0;
    for (; done < length && bytes_to_boundary(to + done, 8) != 0; ++done)
        store_byte(to + done, from[done]);
    for (; length - done >= 8; done += 8) {
        std::uint64_t word;
        std::memcpy(&word, from + done, 8);
        store_word(to + done, word);
    }
    for (; done < length; ++done)
        store_byte(to + done, from[done]);
}

inline void set_words(std::byte *to, std::byte value, std::size_t length) {
    std::uint64_t word;
    std::memset(&word, static_cast<int>(value), sizeof(word));
    std::size_t done = 0;
    for (; done < length && bytes_to_boundary(to + done, 8) != 0; ++done)
        store_byte(to + done, value);
    for (; length - done >= 8; done += 8)
        store_word(to + done, word);
    for (; done < length; ++done)
        store_byte(to + done, value);
}

} // namespace daxpin::device
