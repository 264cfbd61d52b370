// SPDX-License-Identifier: BSD-3-Clause
//
// Session: one seed of fsx on one file. Each operation is planned, carried out, and its answer
// held against the model; the first that differs ends it with a Mismatch.
#pragma once

#include "fsx_hands.h"
#include "fsx_plan.h"

#include <array>
#include <deque>
#include <stdexcept>
#include <string>

namespace stress {

struct FsxOptions {
    std::uint64_t seed = 1;
    std::uint64_t operations = 5000;
    double seconds = 0; // 0: one seed
    std::uint64_t size_max = 256 << 10;
    std::uint64_t print_from = 0; // 0: nothing
    bool direct = true;
    bool pollute = false;
    std::string file;
};

struct Count {
    std::uint64_t done = 0;
    std::uint64_t unsupported = 0;
};
using Counts = std::array<Count, kind_count>;

struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Session {
  public:
    // Makes the file, empty.
    Session(const FsxOptions &options, std::uint64_t seed, std::span<std::uint8_t> buffer,
            Counts &counts);

    // ERRORS: Mismatch, with the whole report as its text.
    void run();

  private:
    void step(const Order &order);
    void prepare(const Order &order);
    void judge(const Order &order, const Answer &answer);
    void expect_result(const Order &order, const Answer &answer, std::uint64_t wanted);
    void expect_bytes(const Order &order, std::uint64_t offset, std::uint64_t length);
    void judge_seek(const Order &order, const Answer &answer);
    void expect_size(const Order &order, const Answer &answer);
    void apply(const Order &order);
    void check_all(std::uint64_t number);
    [[noreturn]] void fail(const Order &order, const std::string &what, std::uint64_t offset,
                           std::uint64_t length);

    const FsxOptions &options_;
    std::uint64_t seed_;
    std::span<std::uint8_t> buffer_;
    Counts &counts_;
    Model model_;
    Planner planner_;
    Hands own_;
    Helper helper_;
    std::deque<Order> log_;
};

} // namespace stress
