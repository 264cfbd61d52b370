// SPDX-License-Identifier: BSD-3-Clause
//
// Little-endian integers for structures on media and on the wire.
//
// A leNN has alignment 1 and no padding, so a structure made of them has the same layout on
// every compiler. Reading and assigning convert; there is no arithmetic on the stored form.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace daxpin {

template <typename T> class LittleEndian {
  public:
    LittleEndian() = default;
    constexpr LittleEndian(T value) { *this = value; }

    constexpr LittleEndian &operator=(T value) {
        for (unsigned i = 0; i < sizeof(T); ++i)
            bytes_[i] = static_cast<unsigned char>(value >> (8 * i));
        return *this;
    }

    constexpr operator T() const { return get(); }

    constexpr T get() const {
        T value = 0;
        for (unsigned i = 0; i < sizeof(T); ++i)
            value = static_cast<T>(value | static_cast<T>(T{bytes_[i]} << (8 * i)));
        return value;
    }

  private:
    unsigned char bytes_[sizeof(T)];
};

using le16 = LittleEndian<std::uint16_t>;
using le32 = LittleEndian<std::uint32_t>;
using le64 = LittleEndian<std::uint64_t>;

} // namespace daxpin
