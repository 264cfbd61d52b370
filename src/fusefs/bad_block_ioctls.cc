// SPDX-License-Identifier: BSD-3-Clause
//
// DAXPIN_IOC_BAD_BLOCKS: what of the volume cannot be read.
#include "fusefs/ioctls.h"

#include <daxpin/ioctl.h>

namespace daxpin::fusefs {
namespace {

constexpr std::uint64_t at_end = ~std::uint64_t{0};

unsigned to_use(volume::BadBlockUse use) {
    switch (use) {
    case volume::BadBlockUse::unknown:
        return DAXPIN_BAD_UNKNOWN;
    case volume::BadBlockUse::file:
        return DAXPIN_BAD_FILE;
    case volume::BadBlockUse::metadata:
        return DAXPIN_BAD_METADATA;
    case volume::BadBlockUse::free:
        return DAXPIN_BAD_FREE;
    }
    return DAXPIN_BAD_UNKNOWN;
}

unsigned to_source(format::BadBlockSource source) {
    switch (source) {
    case format::BadBlockSource::access:
        return DAXPIN_BAD_SOURCE_ACCESS;
    case format::BadBlockSource::reply:
        return DAXPIN_BAD_SOURCE_REPLY;
    case format::BadBlockSource::device:
        return DAXPIN_BAD_SOURCE_DEVICE;
    }
    return DAXPIN_BAD_SOURCE_ACCESS;
}

daxpin_bad_block to_wire(const volume::BadBlockInfo &info) {
    daxpin_bad_block out{};
    out.device_offset = info.device_offset;
    out.found_ns = static_cast<__u64>(info.found_ns);
    out.inode = info.inode.value;
    out.file_offset = info.file_offset;
    out.device = info.device;
    out.source = to_source(info.source);
    out.use = to_use(info.use);
    return out;
}

// The cursor is an address, so that blocks that come and go meanwhile do no harm.
std::uint64_t cursor_of(const volume::BadBlockInfo &info) {
    return MediaBlock::at(info.device, info.device_offset / block_size).value;
}

} // namespace

IoctlAnswer bad_block_ioctl(Filesystem &fs, const volume::Caller &, const IoctlRequest &request) {
    if (request.command != DAXPIN_IOC_BAD_BLOCKS)
        return Errc::not_a_tty;
    DAXPIN_TRY_ASSIGN(const auto in, large_ioctl_in<daxpin_bad_blocks>(request, DAXPIN_BAD_OWNERS));
    const auto blocks = fs.volume.bad_blocks((in->flags & DAXPIN_BAD_OWNERS) != 0);
    const auto out = std::make_unique<daxpin_bad_blocks>();
    out->flags = in->flags;
    out->total = blocks.size();
    out->cursor = at_end;
    for (const auto &block : blocks) {
        if (cursor_of(block) < in->cursor)
            continue;
        if (out->count == DAXPIN_BAD_BLOCKS_MAX) {
            out->cursor = cursor_of(block);
            break;
        }
        out->blocks[out->count++] = to_wire(block);
    }
    return ioctl_out(request, *out);
}

} // namespace daxpin::fusefs
