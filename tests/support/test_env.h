// SPDX-License-Identifier: BSD-3-Clause
//
// TestEnv: an Env that repeats itself. Same seed, same random bytes and times.
//
// Thread-safe; with several threads the order of calls decides who gets which value.
#pragma once

#include "base/env.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace daxpin::test {

// The next value of a SplitMix64 sequence: small, fast, good enough to choose test cases.
inline std::uint64_t split_mix(std::uint64_t &state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

class TestEnv : public Env {
  public:
    explicit TestEnv(std::uint64_t seed = 1) : seed_(seed) { set_boot(1); }

    // Every look at a clock moves it by `tick_ns`.
    std::int64_t now_ns() override { return now_ns_.fetch_add(tick_ns) + tick_ns; }
    std::int64_t since_boot_ns() override { return since_boot_ns_.fetch_add(tick_ns) + tick_ns; }

    void random(std::span<std::byte> out) override {
        for (std::size_t i = 0; i < out.size(); i += 8) {
            std::uint64_t state = seed_ + draws_.fetch_add(1) * 0xd1b54a32d192ed03U;
            const std::uint64_t value = split_mix(state);
            std::memcpy(out.data() + i, &value, std::min<std::size_t>(8, out.size() - i));
        }
    }

    BootId boot_id() override { return boot_; }

    void set_now_ns(std::int64_t now) { now_ns_ = now; }
    void set_since_boot_ns(std::int64_t now) { since_boot_ns_ = now; }
    // A boot id made of a number; another number is another boot.
    void set_boot(std::uint64_t number) { std::memcpy(boot_.data(), &number, sizeof(number)); }

    static constexpr std::int64_t tick_ns = 1000;

  private:
    const std::uint64_t seed_;
    std::atomic<std::uint64_t> draws_{0};
    std::atomic<std::int64_t> now_ns_{1'700'000'000'000'000'000};
    std::atomic<std::int64_t> since_boot_ns_{1'000'000'000'000};
    BootId boot_{};
};

} // namespace daxpin::test
