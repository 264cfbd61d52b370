// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/raw_request.h"

#include "support/catch.h"

#include <cstring>
#include <linux/fuse.h>
#include <vector>

using namespace daxpin::fusefs;

namespace {

template <typename Argument> std::vector<std::byte>
request(std::uint32_t opcode, const Argument &argument, std::uint64_t unique = 1) {
    std::vector<std::byte> bytes(sizeof(fuse_in_header) + sizeof argument);
    fuse_in_header header{};
    header.opcode = opcode;
    header.unique = unique;
    header.len = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, &argument, sizeof argument);
    return bytes;
}

void receive(std::vector<std::byte> bytes) {
    receive_request(bytes);
}

// What the kernel is told about the feature in reply to an INIT that offered `offered`.
bool accepted(std::uint32_t offered, std::uint64_t answered, std::int32_t error = 0) {
    fuse_init_in init{};
    init.major = 7;
    init.minor = 34;
    init.flags = offered;
    receive(request(FUSE_INIT, init, 8));
    fuse_out_header header{};
    header.unique = answered;
    header.error = error;
    fuse_init_out out{};
    const iovec parts[] = {{&header, sizeof header}, {&out, sizeof out}};
    amend_reply(parts);
    return (out.flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
}

} // namespace

TEST_CASE("raw request: WRITE, OPEN and SETATTR say whether set-id bits go", "[fusefs]") {
    fuse_write_in write{};
    receive(request(FUSE_WRITE, write));
    CHECK(!request_kills_set_id());
    write.write_flags = FUSE_WRITE_KILL_SUIDGID;
    receive(request(FUSE_WRITE, write));
    CHECK(request_kills_set_id());

    fuse_open_in open{};
    receive(request(FUSE_OPEN, open)); // the flag of the request before is gone
    CHECK(!request_kills_set_id());
    open.open_flags = FUSE_OPEN_KILL_SUIDGID;
    receive(request(FUSE_OPEN, open));
    CHECK(request_kills_set_id());

    fuse_setattr_in change{};
    receive(request(FUSE_SETATTR, change));
    CHECK(!request_kills_set_id());
    change.valid = FATTR_KILL_SUIDGID;
    receive(request(FUSE_SETATTR, change));
    CHECK(request_kills_set_id());

    receive(request(FUSE_MKDIR, write));
    CHECK(!request_kills_set_id());
}

TEST_CASE("raw request: one that is too short says nothing", "[fusefs]") {
    fuse_write_in write{};
    write.write_flags = FUSE_WRITE_KILL_SUIDGID;
    const auto whole = request(FUSE_WRITE, write);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        receive({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
        CHECK(!request_kills_set_id());
    }
}

TEST_CASE("raw request: libfuse is shown a CREATE for a TMPFILE", "[fusefs]") {
    fuse_create_in create{};
    create.mode = 0640;
    auto bytes = request(FUSE_TMPFILE, create, 7);
    receive_request(bytes);
    CHECK((bytes == request(FUSE_CREATE, create, 7)));
    CHECK(request_creates_unnamed());
    receive_request(bytes);
    CHECK((bytes == request(FUSE_CREATE, create, 7)));
    CHECK(!request_creates_unnamed());
}

TEST_CASE("raw request: the feature is accepted only if the kernel offered it", "[fusefs]") {
    CHECK(accepted(FUSE_HANDLE_KILLPRIV_V2, 8));
    CHECK(!accepted(FUSE_POSIX_ACL, 8));
    CHECK(!accepted(FUSE_HANDLE_KILLPRIV_V2, 8, -71));
}

TEST_CASE("raw request: no other reply is amended", "[fusefs]") {
    CHECK(!accepted(FUSE_HANDLE_KILLPRIV_V2, 9));
    CHECK(!accepted(0, 8)); // nor does the offer outlive the INIT that is answered next
}
