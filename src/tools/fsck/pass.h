// SPDX-License-Identifier: BSD-3-Clause
//
// Pass: what the parts of one check share, and the claims on blocks that all of them make.
#pragma once

#include "tools/fsck/findings.h"
#include "tools/fsck/owner_map.h"
#include "tools/reader/view.h"

#include <set>

namespace daxpin::fsck {

struct Pass {
    const reader::View &view;
    const CheckOptions &options;
    Report &report;
    Findings findings;
    OwnerMap owners;
    OwnerMap metadata; // of owners' blocks, those that hold metadata: they keep what is contested
    std::vector<MediaRun> contested;  // with data on one side at least
    std::set<std::uint64_t> unproven; // claimed by blobs that will go: others may have them
    std::set<std::uint64_t> listed;   // blocks that nobody but the list of bad blocks owns
    HashKey hash_key;
    // A part of the tree was lost: what is not found may have been in it.
    bool incomplete = false;

    Pass(const reader::View &the_view, const CheckOptions &the_options, Report &the_report,
         const Findings &the_findings)
        : view(the_view), options(the_options), report(the_report), findings(the_findings),
          owners(the_view.superblock()), metadata(the_view.superblock()),
          hash_key(the_view.hash_key()) {}

    // Claims metadata blocks for `owner`. False (and a finding) if the run is not on device 0 or
    // other metadata is there already; if data is, it will have to go.
    bool claim_metadata(MediaRun run, const std::string &owner) {
        if (run.start.device() != 0 || !owners.contains(run)) {
            findings.error(Subject::ownership,
                           owner + ": " + to_string(run) + " is not on the metadata device");
            return false;
        }
        report.counts.metadata_blocks += run.count.value;
        const bool free_of_metadata = metadata.claim(run).count == 0;
        if (claim(run, owner))
            return true;
        if (free_of_metadata)
            contested.push_back(run);
        return free_of_metadata;
    }

    // Claims data blocks. REQUIRES: owners.contains(run).
    void claim_data(MediaRun run, const std::string &owner) {
        report.counts.data_blocks += run.count.value;
        forbid_records(run, owner);
        if (!claim(run, owner))
            contested.push_back(run);
    }

    // Bytes are owned by the journal or are data, never both: no record may name this run.
    void forbid_records(MediaRun run, const std::string &owner) {
        if (!view.patches_of(run.start, run.count).empty())
            forbidden_record(run, "a record names bytes of " + to_string(run) + ", " + owner);
    }

    void forbidden_record(MediaRun run, const std::string &text) {
        findings.error(Subject::ring, text);
        findings.fix(Stage::ring, Subject::ring, "the journal's records were written home",
                     FixRing{true});
        if (findings.fixes() != nullptr)
            findings.fixes()->not_units.push_back(run);
    }

    // False if the check is to be given up.
    bool progress(double done) {
        if (options.progress && !options.progress(done))
            report.cancelled = true;
        return !report.cancelled;
    }

  private:
    bool claim(MediaRun run, const std::string &owner) {
        const auto conflict = owners.claim(run);
        if (conflict.count != 0)
            findings.error(Subject::ownership,
                           owner + ": " + to_string({conflict.first, {conflict.count}}) +
                               " of its " + to_string(run) + " belongs to something else too");
        return conflict.count == 0;
    }
};

} // namespace daxpin::fsck
