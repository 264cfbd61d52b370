// SPDX-License-Identifier: BSD-3-Clause
//
// Summary: what finished units add up to, and the log they are read from.
//
// The log has a line of JSON for each unit that was finished; a later line for the same unit
// counts instead of an earlier one.
#pragma once

#include "crash/counters.h"
#include "crash/units.h"

#include <map>
#include <string>

namespace daxpin::crash {

struct UnitResult {
    std::string unit; // Unit::id()
    std::uint64_t seed = 0;
    std::string tier;
    std::string build; // tells programs apart
    Counters counters;
    std::map<std::string, std::uint64_t> states; // by workload
    double seconds = 0;                          // of one processor
};

std::string to_json(const UnitResult &result);
std::optional<UnitResult> parse_result(const std::string &line);

class Summary {
  public:
    void add(UnitResult result);
    // Reads what was logged of this seed and tier; a file that is not there yet is empty.
    void load(const std::string &path, std::uint64_t seed, const std::string &tier);

    bool has(const std::string &unit) const { return results_.contains(unit); }
    // Without violations: need not be run again.
    bool is_done(const std::string &unit) const;
    std::size_t units() const { return results_.size(); }
    const Counters &counters() const { return counters_; }

    struct Share {
        std::string workload;
        std::uint64_t states = 0;
    };
    Share largest() const;
    std::size_t workloads() const { return states_.size(); }
    std::size_t builds() const;
    double seconds() const;

  private:
    std::map<std::string, UnitResult> results_;
    Counters counters_;
    std::map<std::string, std::uint64_t> states_;
};

// The rest of a line is never missing: one write to a file opened for appending.
class Log {
  public:
    explicit Log(const std::string &path); // empty: none
    ~Log();
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;
    void append(const std::string &line);

  private:
    int fd_ = -1;
};

} // namespace daxpin::crash
