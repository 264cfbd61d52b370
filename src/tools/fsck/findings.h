// SPDX-License-Identifier: BSD-3-Clause
//
// Findings: where the parts of a check put what they found, and what to do about it. Keeps the
// first ones, counts all.
#pragma once

#include "base/types.h"
#include "tools/fsck/fixes.h"

namespace daxpin::fsck {

class Findings {
  public:
    Findings(Report &report, std::size_t kept_max, Fixes *fixes)
        : report_(report), kept_max_(kept_max), fixes_(fixes) {}

    void error(Subject subject, std::string text) {
        ++report_.errors;
        keep({subject, Severity::error, std::move(text), about_});
    }
    void note(Subject subject, std::string text) {
        ++report_.notes;
        keep({subject, Severity::note, std::move(text), about_});
    }
    // Which inode the findings are about from here on; 0: none.
    void about(std::uint64_t inode) { about_ = inode; }

    // What is to be done about the last findings.
    void safe_fix(Stage stage, Subject subject, std::string text, How how) {
        fix({stage, true, subject, std::move(text), std::move(how)});
    }
    void fix(Stage stage, Subject subject, std::string text, How how) {
        fix({stage, false, subject, std::move(text), std::move(how)});
    }
    Fixes *fixes() { return fixes_; }

  private:
    void keep(Finding finding) {
        if (report_.findings.size() < kept_max_)
            report_.findings.push_back(std::move(finding));
    }
    void fix(Fix fix) {
        if (fixes_ != nullptr)
            fixes_->add(std::move(fix));
    }

    Report &report_;
    std::size_t kept_max_;
    Fixes *fixes_;
    std::uint64_t about_ = 0;
};

// "0:17", the way blocks are named in findings.
std::string to_string(MediaBlock block);
std::string to_string(MediaRun run); // "blocks 0:17 to 0:20" or "block 0:17"

// An item's value made of a structure.
template <typename T> ItemBytes item_bytes(const T &item) {
    const auto *bytes = reinterpret_cast<const std::byte *>(&item);
    return {bytes, bytes + sizeof item};
}

} // namespace daxpin::fsck
