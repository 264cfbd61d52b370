// SPDX-License-Identifier: BSD-3-Clause
#include "verify.h"

#include "tools/fsck/check.h"

namespace daxpin::test {

namespace {

fsck::Report check_copy(VolumeFixture &fixture) {
    std::vector<std::shared_ptr<SimMedia>> copies;
    for (const auto &media : fixture.all_media())
        copies.push_back(media->clone());
    return fsck::check(open_table(copies));
}

} // namespace

std::string fsck_findings(VolumeFixture &fixture) {
    const auto report = check_copy(fixture);
    std::string text;
    for (const auto &finding : report.findings)
        if (finding.severity == fsck::Severity::error)
            text += finding.text + "\n";
    if (text.empty() && !report.clean())
        text = "not clean, but nothing was found\n";
    return text;
}

Contents contents_of(VolumeFixture &fixture) {
    const auto counts = check_copy(fixture).counts;
    return {counts.inodes, counts.unfinished, counts.nodes};
}

} // namespace daxpin::test
