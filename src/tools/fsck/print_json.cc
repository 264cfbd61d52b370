// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/print.h"

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
            {"metadata_blocks", counts.metadata_blocks},
            {"data_blocks", counts.data_blocks},
            {"free_blocks", counts.free_blocks}};
}

Json volume_json(const Checked &volume) {
    Json findings = Json::array();
    for (const auto &finding : volume.report.findings)
        findings.push_back({{"subject", to_string(finding.subject)},
                            {"severity", finding.severity == Severity::error ? "error" : "note"},
                            {"text", finding.text}});
    Json object = {{"device", volume.device},
                   {"clean", volume.failure.empty() && volume.report.clean()}};
    if (!volume.failure.empty()) {
        object["failure"] = volume.failure;
        return object;
    }
    object["cancelled"] = volume.report.cancelled;
    object["errors"] = volume.report.errors;
    object["notes"] = volume.report.notes;
    object["findings"] = findings;
    object["counts"] = counts_json(volume.report.counts);
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
