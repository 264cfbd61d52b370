// SPDX-License-Identifier: BSD-3-Clause
#include "crash/operation.h"

#include "support/test_env.h"

#include <cstring>

namespace daxpin::crash {

const char *to_string(Op op) noexcept {
    switch (op) {
    case Op::create:
        return "create";
    case Op::mkdir:
        return "mkdir";
    case Op::mknod:
        return "mknod";
    case Op::symlink:
        return "symlink";
    case Op::link:
        return "link";
    case Op::unlink:
        return "unlink";
    case Op::rmdir:
        return "rmdir";
    case Op::rename:
        return "rename";
    case Op::write:
        return "write";
    case Op::append:
        return "append";
    case Op::truncate:
        return "truncate";
    case Op::open_truncate:
        return "open(O_TRUNC)";
    case Op::fallocate:
        return "fallocate";
    case Op::copy:
        return "copy_range";
    case Op::chmod:
        return "chmod";
    case Op::chown:
        return "chown";
    case Op::utimens:
        return "utimens";
    case Op::set_xattr:
        return "setxattr";
    case Op::remove_xattr:
        return "removexattr";
    case Op::set_list:
        return "setfacl";
    case Op::set_flags:
        return "set_flags";
    case Op::open:
        return "open";
    case Op::close:
        return "close";
    case Op::open_unnamed:
        return "open(O_TMPFILE)";
    case Op::pin:
        return "pin";
    case Op::unpin:
        return "unpin";
    case Op::extend:
        return "extend";
    case Op::lease:
        return "lease";
    case Op::mapped_write:
        return "mapped stores and sync";
    case Op::checkpoint:
        return "checkpoint";
    case Op::background:
        return "background";
    case Op::remount:
        return "remount";
    }
    return "?";
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

} // namespace daxpin::crash
