// SPDX-License-Identifier: BSD-3-Clause
//
// AccessList: access control lists of one form, for workloads: the permissions of the owner, of
// user 1000, of the group, of the mask and of others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace daxpin::crash {

inline constexpr char access_list[] = "system.posix_acl_access";
inline constexpr char default_list[] = "system.posix_acl_default";

class AccessList {
  public:
    // Five octal digits in the order above.
    explicit AccessList(std::uint64_t digits) : digits_(digits) {}

    // As linux/posix_acl_xattr.h lays it out.
    std::vector<std::byte> bytes() const;

    // With a mask, the mode's second digit is the mask's.
    std::uint32_t mode() const;
    void set_mode(std::uint32_t mode);
    // What a new file that was asked for with `mode` inherits.
    AccessList restricted_by(std::uint32_t mode) const;

  private:
    std::uint64_t digits_;
};

} // namespace daxpin::crash
