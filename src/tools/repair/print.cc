// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/print.h"

#include <cinttypes>
#include <cstdio>

namespace daxpin::fsck {
namespace {

void print_counts(const Counts &counts) {
    const auto line = [](std::uint64_t count, const char *what) {
        std::printf("%12" PRIu64 " %s\n", count, what);
    };
    line(counts.inodes, "inodes");
    line(counts.directories, "of them directories");
    line(counts.entries, "directory entries");
    line(counts.extents, "extents");
    line(counts.unfinished, "deletions and truncations to be resumed");
    line(counts.bad_blocks, "bad blocks");
    line(counts.quarantined_blocks, "blocks in quarantine");
    line(counts.nodes, "tree nodes");
    line(counts.metadata_blocks, "metadata blocks in use");
    line(counts.data_blocks, "data blocks in use");
    line(counts.free_blocks, "free blocks");
}

void print_findings(const std::string &device, const Report &report) {
    for (const auto &finding : report.findings)
        std::printf("%s: %s: %s: %s%s\n", device.c_str(),
                    finding.severity == Severity::error ? "error" : "note",
                    to_string(finding.subject), finding.text.c_str(),
                    finding.path.empty() ? "" : (" (" + finding.path + ")").c_str());
    const std::uint64_t hidden = report.errors + report.notes - report.findings.size();
    if (hidden != 0)
        std::printf("%s: %" PRIu64 " more findings not shown\n", device.c_str(), hidden);
}

void print_done(const std::string &device, const repair::Outcome &outcome) {
    for (const auto &action : outcome.done)
        std::printf("%s: fixed: %s: %s\n", device.c_str(), to_string(action.subject),
                    action.text.c_str());
    for (const auto &text : outcome.failed)
        std::printf("%s: %s\n", device.c_str(), text.c_str());
}

void print_verdict(const std::string &device, const repair::Outcome &outcome) {
    const auto &report = outcome.after;
    if (report.cancelled)
        std::printf("%s: cancelled\n", device.c_str());
    else if (report.clean())
        std::printf("%s: %s, %" PRIu64 " inodes, %" PRIu64 " blocks in use\n", device.c_str(),
                    outcome.done.empty() ? "clean" : "repaired", report.counts.inodes,
                    report.counts.metadata_blocks + report.counts.data_blocks);
    else
        std::printf("%s: %" PRIu64 " errors left\n", device.c_str(), report.errors);
}

} // namespace

void print_text(const std::string &device, const repair::Outcome &outcome,
                const PrintOptions &options) {
    print_findings(device, outcome.before);
    print_done(device, outcome);
    const auto &report = outcome.after;
    if (!outcome.done.empty() && !report.clean()) {
        std::printf("%s: left:\n", device.c_str());
        print_findings(device, report);
    }
    if (report.counts.records_replayed != 0)
        std::printf("%s: the journal holds %" PRIu64 " records that the next mount will write "
                    "home; checked as if it had\n",
                    device.c_str(), report.counts.records_replayed);
    if (options.verbose)
        print_counts(report.counts);
    print_verdict(device, outcome);
}

} // namespace daxpin::fsck
