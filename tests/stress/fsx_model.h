// SPDX-License-Identifier: BSD-3-Clause
//
// Model: what the bytes of the file must be. Bytes between its size and the largest size it may
// have are zero at all times.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stress {

class Model {
  public:
    explicit Model(std::uint64_t size_max) : bytes_(size_max) {}

    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint64_t size_max() const { return bytes_.size(); }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const {
        return std::span(bytes_).first(size_);
    }

    // True if nothing but zeros is in [offset, end), as far as the file reaches.
    [[nodiscard]] bool is_zero(std::uint64_t offset, std::uint64_t end) const;

    // REQUIRES of all: what they reach is within size_max.
    void write(std::uint64_t offset, std::span<const std::uint8_t> data);
    void truncate(std::uint64_t size);
    void extend(std::uint64_t size); // no less than it is
    void zero(std::uint64_t offset, std::uint64_t length);
    void copy(std::uint64_t offset, std::uint64_t length, std::uint64_t target);
    void collapse(std::uint64_t offset, std::uint64_t length);
    void insert(std::uint64_t offset, std::uint64_t length);

  private:
    [[nodiscard]] auto at(std::uint64_t offset) {
        return bytes_.begin() + static_cast<std::ptrdiff_t>(offset);
    }

    std::vector<std::uint8_t> bytes_;
    std::uint64_t size_ = 0;
};

} // namespace stress
