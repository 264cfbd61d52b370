// SPDX-License-Identifier: BSD-3-Clause
//
// QuarantineCheck: the part of a check that looks at the table of quarantined blocks.
#pragma once

#include "tools/fsck/pass.h"

namespace daxpin::fsck {

class QuarantineCheck {
  public:
    explicit QuarantineCheck(Pass &pass) : pass_(pass) {}

    void item(const reader::Item &item); // of format::quarantine_table, in key order
    void finish();                       // after the items of all inodes

  private:
    void drop(const reader::Key &key, Subject subject, const std::string &what);
    bool is_over(const format::QuarantineItem &entry) const;

    Pass &pass_;
    std::vector<std::pair<reader::Key, format::QuarantineItem>> entries_;
};

} // namespace daxpin::fsck
