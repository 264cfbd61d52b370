// SPDX-License-Identifier: BSD-3-Clause
//
// Acl: an access control list (POSIX.1e draft 17) as Linux passes it in the attributes
// system.posix_acl_access and system.posix_acl_default: le32 version (2), then entries of
// le16 tag, le16 permissions, le32 id, in the order of their tags (linux/posix_acl_xattr.h).
//
// Pure bookkeeping: what a list says together with the mode. Who may do what is the kernel's to
// decide, from the same list.
#pragma once

#include "inode/blob.h"

#include <array>

namespace daxpin::inode {

class Acl {
  public:
    // ERRORS: unsupported (another version), invalid (not what acl_valid(3) calls a valid list).
    static Result<Acl> parse(std::span<const std::byte> value);
    Bytes bytes() const;

    // The permission bits (0777) of a file with this list: owner, mask or else group, others.
    std::uint32_t mode() const;
    // Says no more than these bits do, so that none need be stored.
    bool is_mode_only() const;

    // chmod(2): owner, mask or else group, and others get the permissions of `mode`.
    void set_mode(std::uint32_t mode);
    // For a new file that inherits this list and was asked for with `mode`: each entry and each bit
    // loses what the other does not grant. Returns the new mode; bits beyond 0777 stay.
    std::uint32_t restrict_by(std::uint32_t mode);

    friend bool operator==(const Acl &, const Acl &) = default;

  private:
    struct Entry {
        std::uint16_t tag;
        std::uint16_t permissions;
        std::uint32_t id;
        friend bool operator==(const Entry &, const Entry &) = default;
    };
    bool is_valid() const;
    bool has(std::uint16_t tag) const;
    // The tags that the mode's three digits stand for, owner first.
    std::array<std::uint16_t, 3> classes() const;
    std::vector<Entry> entries_;
};

} // namespace daxpin::inode
