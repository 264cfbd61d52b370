// SPDX-License-Identifier: BSD-3-Clause
#include "crash/operation.h"

#include "support/test_env.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace daxpin::crash {

namespace {

// In the order of Op.
constexpr const char *op_names[] = {
    "create",      "mkdir",       "mknod",      "symlink",    "link",     "unlink",
    "rmdir",       "rename",      "write",      "append",     "truncate", "open(O_TRUNC)",
    "fallocate",   "copy_range",  "chmod",      "chown",      "utimens",  "setxattr",
    "removexattr", "setfacl",     "set_flags",  "open",       "close",    "open(O_TMPFILE)",
    "pin",         "unpin",       "extend",     "lease",      "release",  "mapped stores and sync",
    "read",        "media error", "checkpoint", "background", "prezero",  "prove_absence",
    "remount",     "kill",        "reboot"};
static_assert(std::size(op_names) == static_cast<std::size_t>(Op::reboot) + 1);

} // namespace

const char *to_string(Op op) noexcept {
    return op_names[static_cast<std::size_t>(op)];
}

std::string describe(const Operation &operation) {
    return std::string(to_string(operation.op)) + "(" + operation.path + ", " + operation.other +
           ", offset " + std::to_string(operation.offset) + ", length " +
           std::to_string(operation.length) + ", value " + std::to_string(operation.value) + ")";
}

void fill_version(std::uint64_t version, std::uint64_t offset, std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const std::uint64_t position = offset + done;
        std::uint64_t state = version << 40 | position / 8;
        const std::uint64_t word = test::split_mix(state) | 0x0101010101010101U;
        const std::size_t skip = position % 8;
        const std::size_t count = std::min<std::size_t>(8 - skip, out.size() - done);
        std::memcpy(out.data() + done, reinterpret_cast<const std::byte *>(&word) + skip, count);
        done += count;
    }
}

std::vector<std::byte> content(std::uint64_t version, std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(length);
    fill_version(version, offset, bytes);
    return bytes;
}

std::vector<std::byte> written_bytes(const Operation &operation, std::uint64_t offset,
                                     std::uint64_t length) {
    if (operation.bytes.empty())
        return content(operation.version, offset, length);
    const auto begin = operation.bytes.begin();
    return {begin, begin + static_cast<std::ptrdiff_t>(
                               std::min<std::size_t>(length, operation.bytes.size()))};
}

} // namespace daxpin::crash
