// SPDX-License-Identifier: BSD-3-Clause
#include "fsx_order.h"

#include <array>
#include <cstdio>
#include <fcntl.h>

namespace stress {
namespace {

constexpr std::array<const char *, kind_count> names = {
    "read", "write",    "mapped_read", "mapped_write", "truncate", "allocate", "punch", "zero",
    "copy", "collapse", "insert",      "sync",         "unmap",    "reopen",   "seek",  "check"};

std::string open_flags(int flags) {
    std::string text = "O_RDWR";
    text += flags & O_APPEND ? "|O_APPEND" : "";
    text += flags & O_DIRECT ? "|O_DIRECT" : "";
    text += flags & O_TRUNC ? "|O_TRUNC" : "";
    return text;
}

std::string details(const Order &order) {
    switch (order.kind) {
    case Kind::truncate:
        return order.mode ? " by path" : "";
    case Kind::allocate:
    case Kind::zero:
        return order.mode ? " keep size" : "";
    case Kind::sync:
        return order.mode == sync_mapping ? " msync" : order.mode == sync_data ? " data" : "";
    case Kind::reopen:
        return " " + open_flags(order.mode);
    default:
        return "";
    }
}

bool overlap(std::uint64_t a, std::uint64_t a_length, std::uint64_t b, std::uint64_t b_length) {
    return a < b + b_length && b < a + a_length;
}

} // namespace

const char *name_of(Kind kind) {
    return names[static_cast<std::uint32_t>(kind)];
}

std::string to_string(const Order &order) {
    std::array<char, 160> text;
    std::snprintf(text.data(), text.size(), "%6lu p%u d%u %-12s", order.number, order.process,
                  order.descriptor, name_of(order.kind));
    std::string line = text.data();
    if (order.kind == Kind::truncate)
        std::snprintf(text.data(), text.size(), " to 0x%lx", order.length);
    else
        std::snprintf(text.data(), text.size(), " [0x%lx, 0x%lx)", order.offset,
                      order.offset + order.length);
    line += order.length || order.offset || order.kind == Kind::truncate ? text.data() : "";
    if (order.target != 0 || order.kind == Kind::copy) {
        std::snprintf(text.data(), text.size(), order.kind == Kind::copy ? " to 0x%lx" : " +0x%lx",
                      order.target);
        line += text.data();
    }
    return line + details(order);
}

bool touches(const Order &order, std::uint64_t offset, std::uint64_t length) {
    switch (order.kind) {
    case Kind::sync:
    case Kind::unmap:
    case Kind::seek:
    case Kind::check:
        return false;
    case Kind::reopen:
        return (order.mode & O_TRUNC) != 0;
    case Kind::truncate:
        return order.length < offset + length;
    case Kind::collapse:
    case Kind::insert:
        return order.offset < offset + length;
    case Kind::copy:
        return overlap(order.offset, order.length, offset, length) ||
               overlap(order.target, order.length, offset, length);
    default:
        return overlap(order.offset, order.length + order.target, offset, length);
    }
}

} // namespace stress
