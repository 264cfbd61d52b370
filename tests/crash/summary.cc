// SPDX-License-Identifier: BSD-3-Clause
#include "crash/summary.h"

#include "base/assert.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <unistd.h>

namespace daxpin::crash {

using nlohmann::json;

std::string to_json(const UnitResult &result) {
    json counters;
    for (const CounterField &field : counter_fields) {
        if (result.counters.*field.value > 0)
            counters[field.key] = result.counters.*field.value;
    }
    const json line{{"unit", result.unit},       {"seed", result.seed},
                    {"tier", result.tier},       {"build", result.build},
                    {"seconds", result.seconds}, {"counters", std::move(counters)},
                    {"states", result.states}};
    return line.dump();
}

// A line that a kill cut short is no result.
std::optional<UnitResult> parse_result(const std::string &text) {
    const json line = json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("unit"))
        return {};
    UnitResult result;
    result.unit = line.at("unit");
    result.seed = line.at("seed");
    result.tier = line.at("tier");
    result.build = line.at("build");
    result.seconds = line.at("seconds");
    for (const CounterField &field : counter_fields)
        result.counters.*field.value = line.at("counters").value(field.key, std::uint64_t{0});
    result.states = line.at("states").get<std::map<std::string, std::uint64_t>>();
    return result;
}

void Summary::add(UnitResult result) {
    const auto known = results_.find(result.unit);
    if (known != results_.end()) {
        for (const CounterField &field : counter_fields)
            counters_.*field.value -= known->second.counters.*field.value;
        for (const auto &[workload, states] : known->second.states)
            states_[workload] -= states;
    }
    counters_.add(result.counters);
    for (const auto &[workload, states] : result.states)
        states_[workload] += states;
    std::string unit = result.unit;
    results_.insert_or_assign(std::move(unit), std::move(result));
}

void Summary::load(const std::string &path, std::uint64_t seed, const std::string &tier) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        auto result = parse_result(line);
        if (result && result->seed == seed && result->tier == tier)
            add(std::move(*result));
    }
}

bool Summary::is_done(const std::string &unit) const {
    const auto found = results_.find(unit);
    return found != results_.end() && found->second.counters.violations == 0;
}

Summary::Share Summary::largest() const {
    Share share;
    for (const auto &[workload, states] : states_) {
        if (states > share.states)
            share = {workload, states};
    }
    return share;
}

std::size_t Summary::builds() const {
    std::set<std::string> builds;
    for (const auto &[unit, result] : results_)
        builds.insert(result.build);
    return builds.size();
}

double Summary::seconds() const {
    double sum = 0;
    for (const auto &[unit, result] : results_)
        sum += result.seconds;
    return sum;
}

// ---- the log ------------------------------------------------------------------------------------

namespace {

bool ends_in_a_line(int fd) {
    const off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n';
    return size == 0 || (pread(fd, &last, 1, size - 1) == 1 && last == '\n');
}

} // namespace

Log::Log(const std::string &path) {
    if (path.empty())
        return;
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd_ < 0) {
        std::fprintf(stderr, "crash-suite: %s: %s\n", path.c_str(), std::strerror(errno));
        std::exit(2);
    }
    if (!ends_in_a_line(fd_))
        append("");
}

Log::~Log() {
    if (fd_ >= 0)
        ::close(fd_);
}

void Log::append(const std::string &line) {
    if (fd_ < 0)
        return;
    const std::string text = line + "\n";
    DAXPIN_ASSERT(::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

} // namespace daxpin::crash
