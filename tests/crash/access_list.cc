// SPDX-License-Identifier: BSD-3-Clause
#include "crash/access_list.h"

#include <cstring>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

namespace daxpin::crash {

namespace {

constexpr std::uint32_t the_user = 1000;
constexpr std::uint32_t nobody = ~0U;         // entries that name none
constexpr std::uint64_t not_of_mode = 007700; // the named user's digit and the group's

// The mode's digits where the list has them.
std::uint64_t spread(std::uint32_t mode) {
    const std::uint64_t owner = mode >> 6 & 7, mask = mode >> 3 & 7, others = mode & 7;
    return owner << 12 | mask << 3 | others;
}

} // namespace

std::vector<std::byte> AccessList::bytes() const {
    struct {
        posix_acl_xattr_header header;
        posix_acl_xattr_entry entries[5];
    } list{};
    list.header.a_version = POSIX_ACL_XATTR_VERSION;
    const std::uint16_t tags[] = {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_MASK, ACL_OTHER};
    for (unsigned i = 0; i < 5; ++i) {
        const auto permissions = static_cast<std::uint16_t>(digits_ >> (12 - 3 * i) & 7);
        list.entries[i] = {tags[i], permissions, tags[i] == ACL_USER ? the_user : nobody};
    }
    std::vector<std::byte> bytes(sizeof list);
    std::memcpy(bytes.data(), &list, sizeof list);
    return bytes;
}

std::uint32_t AccessList::mode() const {
    const std::uint64_t owner = digits_ >> 12 & 7, mask = digits_ >> 3 & 7, others = digits_ & 7;
    return static_cast<std::uint32_t>(owner << 6 | mask << 3 | others);
}

void AccessList::set_mode(std::uint32_t mode) {
    digits_ = (digits_ & not_of_mode) | spread(mode);
}

AccessList AccessList::restricted_by(std::uint32_t mode) const {
    return AccessList(digits_ & (not_of_mode | spread(mode)));
}

} // namespace daxpin::crash
