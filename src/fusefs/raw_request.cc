// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/raw_request.h"

#include <cstdint>
#include <cstring>
#include <linux/fuse.h>
#include <optional>

namespace daxpin::fusefs {
namespace {

thread_local bool kills_set_id = false;
thread_local bool creates_unnamed = false;
// The INIT request that awaits its reply in this thread, if it offered the feature.
thread_local std::optional<std::uint64_t> offered_by;

// The argument structure behind the header; nothing if the request is too short to hold it.
template <typename Argument>
std::optional<Argument> argument_of(std::span<const std::byte> request) {
    Argument argument;
    if (request.size() < sizeof(fuse_in_header) + sizeof argument)
        return std::nullopt;
    std::memcpy(&argument, request.data() + sizeof(fuse_in_header), sizeof argument);
    return argument;
}

bool says_kill(std::uint32_t opcode, std::span<const std::byte> request) {
    switch (opcode) {
    case FUSE_WRITE:
        if (const auto write = argument_of<fuse_write_in>(request))
            return (write->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
        return false;
    case FUSE_OPEN:
        if (const auto open = argument_of<fuse_open_in>(request))
            return (open->open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
        return false;
    case FUSE_SETATTR:
        if (const auto change = argument_of<fuse_setattr_in>(request))
            return (change->valid & FATTR_KILL_SUIDGID) != 0;
        return false;
    default:
        return false;
    }
}

// Older kernels send a shorter structure; its first four members are what there always was.
struct InitStart {
    std::uint32_t major, minor, max_readahead, flags;
};

bool offers_feature(std::span<const std::byte> request) {
    const auto init = argument_of<InitStart>(request);
    return init && (init->flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
}

} // namespace

void receive_request(std::span<std::byte> request) {
    fuse_in_header header;
    kills_set_id = creates_unnamed = false;
    if (request.size() < sizeof header)
        return;
    std::memcpy(&header, request.data(), sizeof header);
    if (header.opcode == FUSE_INIT)
        offered_by = offers_feature(request) ? std::optional(header.unique) : std::nullopt;
    else
        kills_set_id = says_kill(header.opcode, request);
    if (header.opcode == FUSE_TMPFILE) {
        creates_unnamed = true;
        header.opcode = FUSE_CREATE;
        std::memcpy(request.data(), &header, sizeof header);
    }
}

void amend_reply(std::span<const iovec> reply) {
    if (!offered_by)
        return;
    const auto *header = static_cast<const fuse_out_header *>(reply[0].iov_base);
    if (header->unique != *offered_by)
        return;
    offered_by.reset();
    constexpr std::size_t up_to_flags = offsetof(fuse_init_out, flags) + sizeof(std::uint32_t);
    if (header->error == 0 && reply.size() > 1 && reply[1].iov_len >= up_to_flags)
        static_cast<fuse_init_out *>(reply[1].iov_base)->flags |= FUSE_HANDLE_KILLPRIV_V2;
}

bool request_kills_set_id() {
    return kills_set_id;
}

bool request_creates_unnamed() {
    return creates_unnamed;
}

} // namespace daxpin::fusefs
