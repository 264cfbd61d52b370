// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/text.h"

#include "tools/reader/view.h"

#include <ctime>
#include <sys/stat.h>

namespace daxpin::dump {

std::string hex_text(std::span<const std::byte> bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text += digits[std::to_integer<unsigned>(byte) >> 4];
        text += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

std::string hex_text(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

std::string block_text(std::uint64_t media_block) {
    const MediaBlock block{media_block};
    return std::to_string(block.device()) + ":" + std::to_string(block.block());
}

std::string role_text(std::uint32_t role) {
    switch (static_cast<format::Role>(role)) {
    case format::Role::metadata:
        return "metadata";
    case format::Role::data:
        return "data";
    case format::Role::both:
        return "both";
    }
    return "unknown " + std::to_string(role);
}

std::string time_text(std::uint64_t ns) {
    constexpr std::int64_t second = 1'000'000'000;
    const auto value = static_cast<std::int64_t>(ns);
    std::time_t seconds = value / second;
    std::int64_t rest = value % second;
    if (rest < 0) {
        rest += second;
        --seconds;
    }
    std::tm broken{};
    gmtime_r(&seconds, &broken);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &broken);
    char text[48];
    std::snprintf(text, sizeof text, "%s.%09lldZ", date, static_cast<long long>(rest));
    return text;
}

std::string type_text(unsigned dirent_type) {
    switch (dirent_type << 12) {
    case S_IFIFO:
        return "fifo";
    case S_IFCHR:
        return "character device";
    case S_IFDIR:
        return "directory";
    case S_IFBLK:
        return "block device";
    case S_IFREG:
        return "regular file";
    case S_IFLNK:
        return "symbolic link";
    case S_IFSOCK:
        return "socket";
    default:
        return "unknown " + std::to_string(dirent_type);
    }
}

std::string mode_text(std::uint32_t mode) {
    char octal[16];
    std::snprintf(octal, sizeof octal, "%07o ", mode);
    return octal + type_text(mode >> 12);
}

std::string flags_text(std::uint32_t inode_flags) {
    static constexpr struct {
        std::uint32_t bit;
        const char *name;
    } names[] = {{format::inode_flag_immutable, "immutable"},
                 {format::inode_flag_append, "append"},
                 {format::inode_flag_noatime, "noatime"},
                 {format::inode_flag_nodump, "nodump"},
                 {format::inode_flag_dax, "dax"},
                 {format::inode_flag_pinned_whole, "pinned-whole"}};
    std::string text;
    for (const auto &[bit, name] : names) {
        if ((inode_flags & bit) != 0)
            text += std::string(text.empty() ? "" : " ") + name;
        inode_flags &= ~bit;
    }
    if (inode_flags != 0)
        text += (text.empty() ? "" : " ") + hex_text(inode_flags);
    return text.empty() ? "-" : text;
}

std::string bad_source_text(std::uint32_t source) {
    switch (static_cast<format::BadBlockSource>(source)) {
    case format::BadBlockSource::access:
        return "access";
    case format::BadBlockSource::reply:
        return "reply";
    case format::BadBlockSource::device:
        return "device";
    }
    return "unknown " + std::to_string(source);
}

std::string item_type_text(unsigned type) {
    switch (static_cast<format::ItemType>(type)) {
    case format::ItemType::inode:
        return "inode";
    case format::ItemType::dirent:
        return "dirent";
    case format::ItemType::xattr:
        return "xattr";
    case format::ItemType::symlink:
        return "symlink";
    case format::ItemType::extent:
        return "extent";
    case format::ItemType::pin:
        return "pin";
    case format::ItemType::unfinished:
        return "unfinished";
    case format::ItemType::bad_block:
        return "bad_block";
    case format::ItemType::quarantine:
        return "quarantine";
    case format::ItemType::shutdown:
        return "shutdown";
    }
    return "unknown " + std::to_string(type);
}

std::string label_text(const char (&text)[format::label_text_max]) {
    return reader::printable({text, strnlen(text, sizeof text)});
}

} // namespace daxpin::dump
