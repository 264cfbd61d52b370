// SPDX-License-Identifier: BSD-3-Clause
//
// Findings: where the parts of a check put what they found. Keeps the first ones, counts all.
#pragma once

#include "base/types.h"
#include "tools/fsck/check.h"

namespace daxpin::fsck {

class Findings {
  public:
    Findings(Report &report, std::size_t kept_max) : report_(report), kept_max_(kept_max) {}

    void error(Subject subject, std::string text) {
        ++report_.errors;
        keep({subject, Severity::error, std::move(text)});
    }
    void note(Subject subject, std::string text) {
        ++report_.notes;
        keep({subject, Severity::note, std::move(text)});
    }

  private:
    void keep(Finding finding) {
        if (report_.findings.size() < kept_max_)
            report_.findings.push_back(std::move(finding));
    }

    Report &report_;
    std::size_t kept_max_;
};

// "0:17", the way blocks are named in findings.
std::string to_string(MediaBlock block);
std::string to_string(MediaRun run); // "blocks 0:17 to 0:20" or "block 0:17"

} // namespace daxpin::fsck
