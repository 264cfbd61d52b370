// SPDX-License-Identifier: BSD-3-Clause
#include "inode/acl.h"

#include "base/endian.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

namespace daxpin::inode {

namespace {

struct MediaHeader {
    le32 version;
};
struct MediaEntry {
    le16 tag;
    le16 permissions;
    le32 id;
};
static_assert(sizeof(MediaHeader) == sizeof(posix_acl_xattr_header));
static_assert(sizeof(MediaEntry) == sizeof(posix_acl_xattr_entry));

constexpr std::uint16_t all_permissions = ACL_READ | ACL_WRITE | ACL_EXECUTE;
constexpr std::uint32_t no_id = 0xffffffff;

bool is_named(std::uint16_t tag) {
    return tag == ACL_USER || tag == ACL_GROUP;
}

bool is_known(std::uint16_t tag) {
    return std::has_single_bit(tag) && tag <= ACL_OTHER;
}

} // namespace

Result<Acl> Acl::parse(std::span<const std::byte> value) {
    MediaHeader header;
    if (value.size() < sizeof header || (value.size() - sizeof header) % sizeof(MediaEntry) != 0)
        return Errc::invalid;
    std::memcpy(&header, value.data(), sizeof header);
    if (header.version != POSIX_ACL_XATTR_VERSION)
        return Errc::unsupported;
    Acl acl;
    for (auto rest = value.subspan(sizeof header); !rest.empty();
         rest = rest.subspan(sizeof(MediaEntry))) {
        MediaEntry entry;
        std::memcpy(&entry, rest.data(), sizeof entry);
        acl.entries_.push_back({entry.tag, entry.permissions, entry.id});
    }
    if (!acl.is_valid())
        return Errc::invalid;
    return acl;
}

// One owner, group and other, and a mask if there are named users or groups; in order of tags.
bool Acl::is_valid() const {
    std::uint16_t last = 0;
    for (const Entry &entry : entries_) {
        const bool repeats = entry.tag == last && !is_named(entry.tag);
        if (repeats || entry.tag < last || !is_known(entry.tag) ||
            (entry.permissions & ~all_permissions) != 0 ||
            (is_named(entry.tag) && entry.id == no_id))
            return false;
        last = entry.tag;
    }
    const bool named = has(ACL_USER) || has(ACL_GROUP);
    return has(ACL_USER_OBJ) && has(ACL_GROUP_OBJ) && has(ACL_OTHER) && (has(ACL_MASK) || !named);
}

Bytes Acl::bytes() const {
    Bytes value(sizeof(MediaHeader) + entries_.size() * sizeof(MediaEntry));
    const MediaHeader header{POSIX_ACL_XATTR_VERSION};
    std::memcpy(value.data(), &header, sizeof header);
    auto *at = value.data() + sizeof header;
    for (const Entry &entry : entries_) {
        const MediaEntry media{entry.tag, entry.permissions, entry.id};
        std::memcpy(at, &media, sizeof media);
        at += sizeof media;
    }
    return value;
}

bool Acl::has(std::uint16_t tag) const {
    return std::ranges::find(entries_, tag, &Entry::tag) != entries_.end();
}

std::array<std::uint16_t, 3> Acl::classes() const {
    const bool masked = has(ACL_MASK);
    return {ACL_USER_OBJ, static_cast<std::uint16_t>(masked ? ACL_MASK : ACL_GROUP_OBJ), ACL_OTHER};
}

std::uint32_t Acl::mode() const {
    std::uint32_t bits = 0;
    for (const std::uint16_t tag : classes())
        bits = bits << 3 | std::ranges::find(entries_, tag, &Entry::tag)->permissions;
    return bits;
}

bool Acl::is_mode_only() const {
    return std::ranges::none_of(
        entries_, [](const Entry &entry) { return is_named(entry.tag) || entry.tag == ACL_MASK; });
}

void Acl::set_mode(std::uint32_t mode) {
    const auto tags = classes();
    for (Entry &entry : entries_)
        for (unsigned i = 0; i < tags.size(); ++i)
            if (entry.tag == tags[i])
                entry.permissions = mode >> (6 - 3 * i) & all_permissions;
}

std::uint32_t Acl::restrict_by(std::uint32_t mode) {
    set_mode(mode & this->mode());
    return (mode & ~std::uint32_t{0777}) | this->mode();
}

} // namespace daxpin::inode
