// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/print.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace daxpin::fsck {
namespace {

using Json = nlohmann::ordered_json;

Json counts_json(const Counts &counts) {
    return {{"records_replayed", counts.records_replayed},
            {"nodes", counts.nodes},
            {"inodes", counts.inodes},
            {"directories", counts.directories},
            {"entries", counts.entries},
            {"extents", counts.extents},
            {"unfinished", counts.unfinished},
            {"bad_blocks", counts.bad_blocks},
            {"quarantined_blocks", counts.quarantined_blocks},
            {"metadata_blocks", counts.metadata_blocks},
            {"data_blocks", counts.data_blocks},
            {"free_blocks", counts.free_blocks}};
}

Json findings_json(const Report &report) {
    Json findings = Json::array();
    for (const auto &finding : report.findings) {
        Json one = {{"subject", to_string(finding.subject)},
                    {"severity", finding.severity == Severity::error ? "error" : "note"},
                    {"text", finding.text}};
        if (finding.inode != 0)
            one["inode"] = finding.inode;
        if (!finding.path.empty())
            one["path"] = finding.path;
        findings.push_back(std::move(one));
    }
    return findings;
}

// What was found; of a repair also what was done, what could not be, and what is left.
Json volume_json(const Checked &volume) {
    if (volume.skipped)
        return {{"device", volume.device}, {"skipped", true}};
    const auto &[before, after, done, failed] = volume.outcome;
    Json object = {{"device", volume.device}, {"clean", volume.failure.empty() && after.clean()}};
    if (!volume.failure.empty()) {
        object["failure"] = volume.failure;
        return object;
    }
    object["cancelled"] = after.cancelled;
    object["errors"] = before.errors;
    object["notes"] = before.notes;
    object["findings"] = findings_json(before);
    Json actions = Json::array();
    for (const auto &action : done)
        actions.push_back({{"subject", to_string(action.subject)}, {"text", action.text}});
    object["done"] = actions;
    object["failed"] = failed;
    object["errors_left"] = after.errors;
    object["left"] = after.clean() ? Json::array() : findings_json(after);
    object["counts"] = counts_json(after.counts);
    return object;
}

} // namespace

void print_json(const std::vector<Checked> &volumes) {
    Json all = Json::array();
    for (const auto &volume : volumes)
        all.push_back(volume_json(volume));
    const auto text =
        Json{{"volumes", all}}.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
    std::printf("%s\n", text.c_str());
}

} // namespace daxpin::fsck
