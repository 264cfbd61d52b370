// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/mutate.h"

#include "support/test_env.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

namespace daxpin::fuzz {

namespace {

// Values at which sizes, offsets and counts change their meaning.
constexpr std::uint64_t interesting[] = {
    0,          1,          2,          7,          8,           63,         64,         65,
    127,        128,        255,        256,        1024,        1416,       4032,       4064,
    4095,       4096,       4097,       8192,       65535,       65536,      1U << 20,   0x7fffffff,
    0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 47, 1ULL << 48,  1ULL << 51, 1ULL << 52, 1ULL << 60,
    1ULL << 63, ~0ULL,      ~0ULL - 1,  ~0ULL - 63, ~0ULL - 4095};

class Mutation {
  public:
    Mutation(std::uint8_t *data, std::size_t size, std::size_t size_max, unsigned seed,
             RecordShape shape)
        : bytes_(data, data + size), size_max_(size_max), shape_(shape), state_(seed) {
        bytes_.resize(std::max(bytes_.size(), shape_.head));
        bytes_.resize(shape_.head + count() * shape_.record);
    }

    void step() {
        switch (pick(8)) {
        case 0:
            return insert();
        case 1:
            return drop();
        case 2:
            return repeat();
        case 3:
            return swap();
        case 4:
            return change_head();
        case 5:
            return set_field();
        default:
            return change_record();
        }
    }

    std::size_t store(std::uint8_t *data) const {
        const std::size_t size = std::min(bytes_.size(), size_max_);
        if (size > 0)
            std::memcpy(data, bytes_.data(), size);
        return size;
    }

  private:
    std::size_t pick(std::size_t below) { return test::split_mix(state_) % below; }
    std::size_t count() const { return (bytes_.size() - shape_.head) / shape_.record; }
    bool has_room() const { return bytes_.size() + shape_.record <= size_max_; }
    auto at(std::size_t record) {
        return bytes_.begin() + static_cast<std::ptrdiff_t>(shape_.head + record * shape_.record);
    }

    void insert() {
        if (!has_room())
            return drop();
        std::vector<std::uint8_t> fresh(shape_.record);
        std::generate(fresh.begin(), fresh.end(),
                      [&] { return static_cast<std::uint8_t>(test::split_mix(state_)); });
        bytes_.insert(at(pick(count() + 1)), fresh.begin(), fresh.end());
    }
    void drop() {
        if (count() == 0)
            return;
        const std::size_t first = pick(count());
        const std::size_t many = pick(4) == 0 ? 1 + pick(count() - first) : 1;
        bytes_.erase(at(first), at(first + many));
    }
    void repeat() {
        if (count() == 0 || !has_room())
            return change_head();
        const auto from = at(pick(count()));
        const std::vector<std::uint8_t> copy(from,
                                             from + static_cast<std::ptrdiff_t>(shape_.record));
        bytes_.insert(at(pick(count() + 1)), copy.begin(), copy.end());
    }
    void swap() {
        if (count() > 1)
            std::swap_ranges(at(0), at(1), at(1 + pick(count() - 1)));
    }
    void change_head() {
        if (shape_.head > 0)
            bytes_[pick(shape_.head)] = static_cast<std::uint8_t>(test::split_mix(state_));
    }
    void change_record() {
        if (count() == 0)
            return insert();
        const auto record = at(pick(count()));
        LLVMFuzzerMutate(&*record, shape_.record, shape_.record);
    }
    void set_field() {
        if (count() == 0)
            return insert();
        const std::size_t width = std::size_t{1} << pick(4);
        if (width > shape_.record)
            return;
        const std::size_t offset = pick((shape_.record - width) / width + 1) * width;
        const std::uint64_t value = interesting[pick(std::size(interesting))];
        std::memcpy(&*at(pick(count())) + offset, &value, width);
    }

    std::vector<std::uint8_t> bytes_;
    std::size_t size_max_;
    RecordShape shape_;
    std::uint64_t state_;
};

} // namespace

std::size_t mutate_records(std::uint8_t *data, std::size_t size, std::size_t size_max,
                           unsigned seed, RecordShape shape) {
    if (size_max < shape.head + shape.record)
        return size;
    Mutation mutation(data, size, size_max, seed, shape);
    std::uint64_t steps = seed;
    for (std::uint64_t i = 1 + test::split_mix(steps) % 3; i > 0; --i)
        mutation.step();
    return mutation.store(data);
}

} // namespace daxpin::fuzz
