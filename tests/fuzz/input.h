// SPDX-License-Identifier: BSD-3-Clause
//
// Input: the bytes of one fuzzer run, taken apart from the front. What is not there reads as
// zeros, so that every input means something.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace daxpin::fuzz {

class Input {
  public:
    Input(const std::uint8_t *bytes, std::size_t size) : rest_(bytes, size) {}

    bool empty() const { return rest_.empty(); }

    template <typename T> T take() {
        static_assert(std::is_trivially_copyable_v<T>);
        T value{};
        const std::size_t count = std::min(sizeof value, rest_.size());
        if (count > 0) // an empty span may have no address
            std::memcpy(&value, rest_.data(), count);
        rest_ = rest_.subspan(count);
        return value;
    }

  private:
    std::span<const std::uint8_t> rest_;
};

// A broken promise: says so and ends the run as a finding.
[[noreturn]] inline void fail(const std::string &what) {
    std::fprintf(stderr, "FINDING: %s\n", what.c_str());
    std::abort();
}

} // namespace daxpin::fuzz
