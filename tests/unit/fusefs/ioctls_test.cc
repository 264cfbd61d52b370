// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/ioctls.h"

#include "support/catch.h"
#include "unit/volume/helpers.h"
#include "wire/control.h"

#include <cstring>
#include <daxpin/ioctl.h>
#include <linux/fs.h>

using namespace daxpin;
using namespace daxpin::fusefs;
using namespace daxpin::test;

namespace {

// A volume with one file of 8 KiB, open for writing, and what the ioctls work on.
struct Bench {
    VolumeFixture fixture;
    Notifier notifier{[](const Invalidation &) {}};
    Background background{fixture.volume()};
    DaemonOptions options;
    Filesystem fs{fixture.volume(), notifier, background, options};
    InodeNumber file;
    volume::Handle handle = 0;

    Bench() : file(make_file(fixture.volume(), root_dir, "file")) {
        volume::OpenRequest request;
        request.write = true;
        request.direct = true;
        handle = must(fixture->open_file(root_caller(), file, request)).handle;
        must(fixture->write(file, handle, 0, std::vector<std::byte>(8192)));
    }
    ~Bench() { fixture->release(file, handle); }
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    template <typename T> IoctlRequest request(unsigned command, T &in) {
        IoctlRequest made;
        made.inode = file;
        made.handle = handle;
        made.command = command;
        if (_IOC_DIR(command) & _IOC_WRITE)
            made.in = std::as_bytes(std::span(&in, 1));
        made.out_bytes = (_IOC_DIR(command) & _IOC_READ) ? sizeof(T) : 0;
        return made;
    }

    // Sends it as the kernel would, and takes the answer back into `in`.
    template <typename T> Result<void> send(unsigned command, T &in) {
        for (const auto family : {pin_ioctl, lease_ioctl, lease_list_ioctl, flags_ioctl,
                                  bad_block_ioctl, control_ioctl}) {
            auto answer = family(fs, root_caller(), request(command, in));
            if (!answer && answer.code() == Errc::not_a_tty)
                continue;
            if (!answer)
                return std::move(answer).error();
            REQUIRE(answer->size() <= sizeof in);
            if (!answer->empty())
                std::memcpy(&in, answer->data(), answer->size());
            return {};
        }
        return Errc::not_a_tty;
    }
};

daxpin_range whole_prepared() {
    daxpin_range range{};
    range.flags = DAXPIN_PREPARE;
    return range;
}

} // namespace

TEST_CASE("ioctls: an unknown number is ENOTTY", "[fusefs]") {
    Bench bench;
    daxpin_range range{};
    CHECK(fails(bench.send(_IOW(0xDA, 33, daxpin_range), range), Errc::not_a_tty));
    CHECK(fails(bench.send(_IOR('f', 99, daxpin_range), range), Errc::not_a_tty));
}

TEST_CASE("ioctls: PIN, STATUS and UNPIN speak of the same pin", "[fusefs]") {
    Bench bench;
    auto range = whole_prepared();
    must(bench.send(DAXPIN_IOC_PIN, range));
    daxpin_file_status status{};
    must(bench.send(DAXPIN_IOC_STATUS, status));
    CHECK((status.flags & DAXPIN_STATUS_WHOLE) != 0);
    CHECK(status.pinned_bytes == 8192);
    CHECK(status.generation.mount_id == bench.fixture->mount_id());
    range = {};
    must(bench.send(DAXPIN_IOC_UNPIN, range));
    status = {};
    must(bench.send(DAXPIN_IOC_STATUS, status));
    CHECK((status.flags & DAXPIN_STATUS_PINNED) == 0);
}

TEST_CASE("ioctls: reserved bytes must be zero, each of every structure", "[fusefs]") {
    Bench bench;
    const auto check = [&](unsigned command, auto in) {
        CAPTURE(_IOC_NR(command));
        for (auto &word : in.reserved) {
            word = 1;
            CHECK(fails(bench.send(command, in), Errc::invalid));
            word = 0;
        }
        const auto sent = bench.send(command, in);
        CHECK((sent || sent.error().code != Errc::invalid)); // so it was nothing else
        return in;
    };
    check(DAXPIN_IOC_PIN, whole_prepared());
    check(DAXPIN_IOC_EXTEND, daxpin_extension{.length = 16384, .flags = 0, .reserved = {}});
    check(DAXPIN_IOC_STATUS, daxpin_file_status{});
    daxpin_lease wanted{};
    wanted.access = DAXPIN_LEASE_READ;
    const auto lease = check(DAXPIN_IOC_LEASE, wanted);
    check(DAXPIN_IOC_EXTENTS, daxpin_extents{});
    check(DAXPIN_IOC_DEVICE, daxpin_device{});
    check(DAXPIN_IOC_TICKET, daxpin_ticket{});
    check(DAXPIN_IOC_SYNC, daxpin_range{});
    check(DAXPIN_IOC_BAD_BLOCKS, daxpin_bad_blocks{});
    check(DAXPIN_IOC_DAMAGE, daxpin_damage{});
    check(DAXPIN_IOC_VOLUME, daxpin_volume{});
    check(DAXPIN_IOC_LEASES, daxpin_leases{});
    check(DAXPIN_IOC_QUARANTINE, daxpin_quarantine{});
    check(DAXPIN_IOC_BREAK, daxpin_break{});
    check(DAXPIN_IOC_FORGET, daxpin_forget{});
    check(DAXPIN_IOC_RELEASE, daxpin_release{.id = lease.id, .flags = 0, .reserved = {}});
    check(DAXPIN_IOC_UNPIN, daxpin_range{});
}

TEST_CASE("ioctls: what is out may be anything on the way in, so a loop needs no zeroing",
          "[fusefs]") {
    Bench bench;
    auto range = whole_prepared();
    must(bench.send(DAXPIN_IOC_PIN, range));
    const auto again = [&](unsigned command, auto in) {
        CAPTURE(_IOC_NR(command));
        must(bench.send(command, in));
        must(bench.send(command, in));
        return in;
    };
    CHECK(again(DAXPIN_IOC_STATUS, daxpin_file_status{}).flags != 0);
    CHECK(again(DAXPIN_IOC_DEVICE, daxpin_device{}).flags != 0);
    again(DAXPIN_IOC_VOLUME, daxpin_volume{});
    must(bench.fixture->set_read_only(true));
    CHECK(again(DAXPIN_IOC_DAMAGE, daxpin_damage{}).flags != 0);
    must(bench.fixture->set_read_only(false));
    daxpin_lease wanted{};
    wanted.access = DAXPIN_LEASE_READ;
    const auto lease = again(DAXPIN_IOC_LEASE, wanted);
    CHECK(lease.id != 0);
    daxpin_extents extents{};
    must(bench.send(DAXPIN_IOC_EXTENTS, extents));
    REQUIRE(extents.count > 0);
    extents.cursor = 0;
    must(bench.send(DAXPIN_IOC_EXTENTS, extents));
    CHECK(extents.count > 0);
}

TEST_CASE("ioctls: flags without a name are refused", "[fusefs]") {
    Bench bench;
    auto range = whole_prepared();
    CHECK(fails(bench.send(DAXPIN_IOC_UNPIN, range), Errc::invalid));
    CHECK(fails(bench.send(DAXPIN_IOC_SYNC, range), Errc::invalid));
    range.flags = 2;
    CHECK(fails(bench.send(DAXPIN_IOC_PIN, range), Errc::invalid));
    range = {};
    range.align = 4096; // only PIN takes one
    CHECK(fails(bench.send(DAXPIN_IOC_UNPIN, range), Errc::invalid));
    daxpin_lease lease{};
    lease.access = 3;
    CHECK(fails(bench.send(DAXPIN_IOC_LEASE, lease), Errc::invalid));
}

TEST_CASE("ioctls: a structure of another size is refused", "[fusefs]") {
    Bench bench;
    daxpin_range range{};
    auto request = bench.request(DAXPIN_IOC_PIN, range);
    request.in = request.in.first(8);
    CHECK(fails(pin_ioctl(bench.fs, root_caller(), request), Errc::invalid));
    daxpin_lease lease{};
    lease.access = DAXPIN_LEASE_READ;
    auto no_room = bench.request(DAXPIN_IOC_LEASE, lease);
    no_room.out_bytes = 8;
    CHECK(fails(lease_ioctl(bench.fs, root_caller(), no_room), Errc::invalid));
    daxpin_file_status status{};
    must(bench.send(DAXPIN_IOC_STATUS, status));
    CHECK(status.lease_count == 0); // none was taken that nobody would know of
}

TEST_CASE("ioctls: a directory has no pins", "[fusefs]") {
    Bench bench;
    auto range = whole_prepared();
    auto request = bench.request(DAXPIN_IOC_PIN, range);
    request.inode = root_dir;
    request.handle = 0;
    CHECK(fails(pin_ioctl(bench.fs, root_caller(), request), Errc::invalid));
}

TEST_CASE("ioctls: extents are shown under a lease of this mount only", "[fusefs]") {
    Bench bench;
    daxpin_extents extents{};
    CHECK(fails(bench.send(DAXPIN_IOC_EXTENTS, extents), Errc::no_lease));
    daxpin_lease lease{};
    lease.access = DAXPIN_LEASE_WRITE;
    lease.flags = DAXPIN_PREPARE;
    must(bench.send(DAXPIN_IOC_LEASE, lease));
    CHECK(lease.id != 0);
    extents = {};
    extents.generation = lease.generation;
    must(bench.send(DAXPIN_IOC_EXTENTS, extents));
    CHECK(extents.count >= 1);
    CHECK(extents.extents[0].file_offset == 0);
    CHECK(extents.cursor == ~std::uint64_t{0});
    extents = {};
    extents.generation = {lease.generation.mount_id + 1, lease.generation.counter};
    CHECK(fails(bench.send(DAXPIN_IOC_EXTENTS, extents), Errc::stale));
    daxpin_release release{};
    release.id = lease.id;
    must(bench.send(DAXPIN_IOC_RELEASE, release));
    CHECK(fails(bench.send(DAXPIN_IOC_RELEASE, release), Errc::invalid));
}

TEST_CASE("ioctls: DEVICE tells each device of the volume", "[fusefs]") {
    Bench bench;
    daxpin_device device{};
    must(bench.send(DAXPIN_IOC_DEVICE, device));
    CHECK(device.count == 1);
    CHECK(device.granularity == DAXPIN_GRANULARITY_CACHE_LINE);
    CHECK((device.flags & DAXPIN_DEVICE_METADATA) != 0);
    CHECK((device.flags & DAXPIN_DEVICE_DATA) != 0);
    CHECK(device.size == bench.fixture->devices().at(0).info().size);
    CHECK(device.number == 0); // not device DAX
    device = {};
    device.index = 1;
    CHECK(fails(bench.send(DAXPIN_IOC_DEVICE, device), Errc::invalid));
}

TEST_CASE("ioctls: chattr's flags are kept, a pin among them untouched", "[fusefs]") {
    Bench bench;
    auto range = whole_prepared();
    must(bench.send(DAXPIN_IOC_PIN, range));
    unsigned flags = FS_NODUMP_FL | FS_NOATIME_FL;
    must(bench.send(FS_IOC_SETFLAGS, flags));
    unsigned shown = 0;
    must(bench.send(FS_IOC_GETFLAGS, shown));
    CHECK(shown == flags);
    daxpin_file_status status{};
    must(bench.send(DAXPIN_IOC_STATUS, status));
    CHECK((status.flags & DAXPIN_STATUS_WHOLE) != 0);
}

TEST_CASE("control: anybody may ask how much is known to be zero", "[fusefs]") {
    Bench bench;
    while (must(bench.fixture->prezero_step()))
        continue;
    daxpin_volume state{};
    auto request = bench.request(DAXPIN_IOC_VOLUME, state);
    const auto out = must(control_ioctl(bench.fs, user_caller(4242), request));
    REQUIRE(out.size() == sizeof state);
    std::memcpy(&state, out.data(), sizeof state);
    CHECK(state.flags == 0); // the option is off
    CHECK(state.abi == DAXPIN_ABI);
    CHECK(state.prezeroed_bytes == bench.fixture->prezeroed_bytes());
    CHECK(state.prezeroed_bytes > 0);
}

TEST_CASE("control: remounting is root's, on the root directory", "[fusefs]") {
    Bench bench;
    wire::ControlRemount wanted{};
    wanted.read_only = 1;
    auto request = bench.request(wire::control_remount, wanted);
    CHECK(fails(control_ioctl(bench.fs, root_caller(), request), Errc::not_a_tty));
    request.inode = root_dir;
    CHECK(fails(control_ioctl(bench.fs, user_caller(4242), request), Errc::not_permitted));
    REQUIRE(control_ioctl(bench.fs, root_caller(), request));
    CHECK(bench.fixture->read_only());
    wanted.read_only = 0;
    REQUIRE(control_ioctl(bench.fs, root_caller(), request));
    CHECK_FALSE(bench.fixture->read_only());
}
