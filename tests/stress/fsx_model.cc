// SPDX-License-Identifier: BSD-3-Clause
#include "fsx_model.h"

#include <algorithm>

namespace stress {

bool Model::is_zero(std::uint64_t offset, std::uint64_t end) const {
    const auto limit = std::min(end, size_);
    for (std::uint64_t i = offset; i < limit; ++i)
        if (bytes_[i] != 0)
            return false;
    return true;
}

void Model::write(std::uint64_t offset, std::span<const std::uint8_t> data) {
    std::copy(data.begin(), data.end(), at(offset));
    extend(offset + data.size());
}

void Model::truncate(std::uint64_t size) {
    if (size < size_)
        std::fill(at(size), at(size_), std::uint8_t{0});
    size_ = size;
}

void Model::extend(std::uint64_t size) {
    size_ = std::max(size_, size);
}

void Model::zero(std::uint64_t offset, std::uint64_t length) {
    const auto end = std::min(offset + length, size_);
    if (offset < end)
        std::fill(at(offset), at(end), std::uint8_t{0});
}

void Model::copy(std::uint64_t offset, std::uint64_t length, std::uint64_t target) {
    const std::vector<std::uint8_t> data(at(offset), at(offset + length));
    write(target, data);
}

void Model::collapse(std::uint64_t offset, std::uint64_t length) {
    std::copy(at(offset + length), at(size_), at(offset));
    truncate(size_ - length);
}

void Model::insert(std::uint64_t offset, std::uint64_t length) {
    std::copy_backward(at(offset), at(size_), at(size_ + length));
    size_ += length;
    zero(offset, length);
}

} // namespace stress
