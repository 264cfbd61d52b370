// SPDX-License-Identifier: BSD-3-Clause
#include "verify.h"

#include "tools/fsck/check.h"

namespace daxpin::test {

std::string fsck_findings(VolumeFixture &fixture) {
    std::vector<std::shared_ptr<SimMedia>> copies;
    for (const auto &media : fixture.all_media())
        copies.push_back(media->clone());
    const auto devices = open_table(copies);
    const auto report = fsck::check(devices);
    std::string text;
    for (const auto &finding : report.findings)
        if (finding.severity == fsck::Severity::error)
            text += finding.text + "\n";
    if (text.empty() && !report.clean())
        text = "not clean, but nothing was found\n";
    return text;
}

} // namespace daxpin::test
