// SPDX-License-Identifier: BSD-3-Clause
//
// libdaxpin for C++20: the functions of <daxpin/daxpin.h> with a mapping that owns itself, spans
// in place of (address, length), and std::system_error in place of numbers. Nothing but inline
// calls; see the man page of the C function for what each does.
#ifndef DAXPIN_HPP
#define DAXPIN_HPP

#include <daxpin/daxpin.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace daxpin {

// Throws std::system_error, with the library's line of text, for what a C function returned.
inline void check(int result) {
    if (result != 0)
        throw std::system_error(daxpin_err_to_errno(result), std::generic_category(),
                                daxpin_errormsg());
}

namespace detail {
template <typename T> inline constexpr bool is_array = std::is_array_v<T>;
template <typename T, std::size_t Count> inline constexpr bool is_array<std::array<T, Count>> =
    true;
} // namespace detail

// What Map::persist() takes for an object of the file: its bytes are all there is of it. A pointer,
// a view or a container leads to bytes that lie elsewhere; of those it takes a span.
template <typename T>
concept MappedObject = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                       !std::is_member_pointer_v<T> && !std::is_null_pointer_v<T> &&
                       (detail::is_array<T> || !requires(T & object) { std::begin(object); });

struct MapOptions {
    std::uint64_t offset = 0; // in the file, bytes
    std::size_t length = 0;   // bytes; 0 = to the end of the file
    std::size_t reserve = 0;  // bytes of addresses in all, for Map::extend()
    unsigned flags = 0;       // DAXPIN_MAP_*
};

// A mapping of a file. Moving it leaves an empty one; an empty one may only be assigned to and
// destroyed.
class Map {
  public:
    Map() = default;
    explicit Map(int fd, const MapOptions &options = {}) {
        check(daxpin_map_new_reserved(&map_, fd, options.offset, options.length, options.reserve,
                                      options.flags));
    }
    Map(Map &&other) noexcept : map_(std::exchange(other.map_, nullptr)) {}
    Map &operator=(Map &&other) noexcept {
        Map old(std::move(other)); // what this one mapped goes now, and its lease with it
        std::swap(map_, old.map_);
        return *this;
    }
    ~Map() { daxpin_map_delete(&map_); }

    explicit operator bool() const noexcept { return map_ != nullptr; }
    daxpin_map *get() const noexcept { return map_; } // for the C functions

    std::span<std::byte> bytes() const noexcept {
        return {static_cast<std::byte *>(daxpin_map_get_address(map_)), daxpin_map_get_size(map_)};
    }
    // The object at an offset of the mapping. Throws std::system_error if it does not fit there.
    template <typename T> T &at(std::size_t offset) const {
        static_assert(std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>,
                      "what a file holds has no pointers of its own and the layout of C");
        const auto all = bytes();
        if (offset % alignof(T) != 0 || offset > all.size() || sizeof(T) > all.size() - offset)
            throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                    "an object outside of the mapping");
        return *reinterpret_cast<T *>(all.data() + offset);
    }
    void extend(int fd, std::size_t length = 0, unsigned flags = 0) {
        check(daxpin_map_extend(map_, fd, length, flags));
    }
    unsigned granularity() const noexcept { return daxpin_map_get_granularity(map_); }
    // False if blocks under it are, or may be, no longer the file's: make another mapping.
    bool is_current(int fd) const {
        const int result = daxpin_map_check(map_, fd);
        if (daxpin_err_to_errno(result) == ESTALE)
            return false;
        check(result);
        return true;
    }

    template <MappedObject T> void persist(const T &object) const {
        check(daxpin_persist(map_, std::addressof(object), sizeof(T)));
    }
    template <MappedObject T> void persist(const T &&) const = delete; // a copy is not in the map
    template <typename T, std::size_t Count> void persist(std::span<T, Count> range) const {
        check(daxpin_persist(map_, range.data(), range.size_bytes()));
    }
    template <typename T, std::size_t Count> void flush(std::span<T, Count> range) const {
        check(daxpin_flush(map_, range.data(), range.size_bytes()));
    }
    void drain() const noexcept { daxpin_drain(map_); }
    template <typename T, std::size_t Count> void deep_flush(std::span<T, Count> range) const {
        check(daxpin_deep_flush(map_, range.data(), range.size_bytes()));
    }
    void copy(void *destination, std::span<const std::byte> source, unsigned flags = 0) const {
        check(daxpin_memcpy(map_, destination, source.data(), source.size(), flags));
    }
    void move(void *destination, std::span<const std::byte> source, unsigned flags = 0) const {
        check(daxpin_memmove(map_, destination, source.data(), source.size(), flags));
    }
    void set(std::span<std::byte> range, std::byte value, unsigned flags = 0) const {
        check(daxpin_memset(map_, range.data(), std::to_integer<int>(value), range.size(), flags));
    }

    void track(unsigned mode) { check(daxpin_dirty_track(map_, mode)); }
    template <typename T, std::size_t Count> void mark(std::span<T, Count> range) const {
        check(daxpin_dirty_mark(map_, range.data(), range.size_bytes()));
    }
    void sync(std::size_t offset = 0, std::size_t length = 0) const {
        check(daxpin_sync(map_, offset, length));
    }

  private:
    daxpin_map *map_ = nullptr;
};

inline void pin(int fd, std::uint64_t offset = 0, std::uint64_t length = 0,
                unsigned flags = DAXPIN_PIN_PREPARE, std::uint64_t align = 0) {
    check(daxpin_pin(fd, offset, length, align, flags));
}

inline void unpin(int fd, std::uint64_t offset = 0, std::uint64_t length = 0) {
    check(daxpin_unpin(fd, offset, length));
}

inline void extend(int fd, std::uint64_t length) {
    check(daxpin_extend(fd, length));
}

inline daxpin_file_status status(int fd) {
    daxpin_file_status found{};
    check(daxpin_status(fd, &found));
    return found;
}

// One entry for each mapping that touches the range.
inline std::vector<daxpin_map_info> query(const void *address, std::size_t length) {
    std::vector<daxpin_map_info> infos(1);
    for (;;) {
        auto count = infos.size();
        const int result = daxpin_query(address, length, infos.data(), &count);
        const bool fits = count <= infos.size();
        infos.resize(count);
        if (fits) {
            check(result);
            return infos;
        }
    }
}

} // namespace daxpin

#endif
