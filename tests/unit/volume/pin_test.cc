// SPDX-License-Identifier: BSD-3-Clause
//
// PIN, UNPIN, EXTEND and PREPARE on a volume: the rows of the table of errors in docs/pinning.md
// that need one, and what a pin does to the file.
#include "file_helpers.h"

#include <atomic>
#include <chrono>
#include <thread>

using namespace daxpin;
using namespace daxpin::test;
using immutable::ByteRange;
using volume::FallocateMode;

namespace {

constexpr std::uint64_t big_unit = 64 * 1024;

// Holds a file that PREPARE and EXTEND take in more than one piece.
constexpr std::uint64_t roomy = std::uint64_t{24} << 20;

class PinFixture {
  public:
    explicit PinFixture(std::uint64_t mapping_unit = block_size,
                        const volume::Options &options = {},
                        std::uint64_t device_bytes = std::uint64_t{8} << 20)
        : fixture_(shape_of(mapping_unit, device_bytes), options) {
        if (!options.read_only)
            file_ = make_file(volume(), root_dir, "f");
    }

    volume::Volume &volume() { return fixture_.volume(); }
    VolumeFixture &fixture() { return fixture_; }
    InodeNumber file() const { return file_; }

    void write(std::uint64_t offset, std::size_t length, unsigned value = 0x31) {
        write_at(volume(), file_, offset, filled(length, value));
    }
    Result<void> pin(ByteRange range = {}, bool prepare = false, std::uint64_t align = 0,
                     volume::Handle handle = 0) {
        return volume().pin(root_caller(), file_, {range, align, prepare, handle});
    }
    Result<void> pin_while_closing(volume::Handle cached) {
        std::thread closer([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            volume().release(file_, cached);
        });
        auto pinned = pin();
        closer.join();
        return pinned;
    }
    Result<void> unpin(ByteRange range = {}, volume::Handle handle = 0) {
        return volume().unpin(root_caller(), file_, range, handle);
    }
    volume::PinStatus status() { return must(volume().pin_status(file_)); }
    bool is_pinned() { return status().pinned; }

  private:
    static VolumeShape shape_of(std::uint64_t mapping_unit, std::uint64_t device_bytes) {
        VolumeShape shape;
        shape.device_bytes = device_bytes;
        shape.journal_bytes = 256 * 1024;
        shape.mapping_unit = mapping_unit;
        return shape;
    }
    VolumeFixture fixture_;
    InodeNumber file_;
};

class Recorder final : public volume::CacheObserver {
  public:
    void invalidate_data(InodeNumber) override { ++data; }
    void invalidate_attributes(InodeNumber) override { ++attributes; }
    int data = 0;
    int attributes = 0;
};

} // namespace

TEST_CASE("pin: it holds across unmount, kill and reboot", "[volume][pins]") {
    PinFixture f;
    f.write(0, 10'000);
    must(f.pin());
    check_and_remount(f.fixture());
    CHECK(f.status().whole);
    must(f.fixture().kill_and_mount());
    f.fixture().env().set_boot(2);
    f.fixture().remount();
    CHECK(f.status().whole);
    CHECK(f.status().pinned_bytes == 3 * block_size);
    CHECK(fails(f.volume().unlink(root_caller(), root_dir, "f"), Errc::not_permitted));
}

TEST_CASE("pin: repeating PIN or UNPIN changes nothing and succeeds", "[volume][pins]") {
    PinFixture f;
    f.write(0, 10'000);
    must(f.pin());
    const auto ctime = stat_of(f.volume(), f.file()).ctime_ns;
    must(f.pin());
    must(f.pin({4096, 4096}));
    CHECK(stat_of(f.volume(), f.file()).ctime_ns == ctime);
    must(f.unpin());
    const auto later = stat_of(f.volume(), f.file()).ctime_ns;
    must(f.unpin());
    CHECK(stat_of(f.volume(), f.file()).ctime_ns == later);
}

TEST_CASE("pin: a handle not open for writing is EBADF, the attribute needs none",
          "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    const auto handle = open_handle(f.volume(), f.file(), for_reading(true));
    CHECK(fails(f.pin({}, false, 0, handle), Errc::bad_handle));
    CHECK(fails(f.unpin({}, handle), Errc::bad_handle));
    CHECK(fails(f.volume().extend(root_caller(), f.file(), 9000, handle), Errc::bad_handle));
    f.volume().release(f.file(), handle);
    must(f.pin());
}

TEST_CASE("pin: directories and files without a name are EINVAL", "[volume][pins]") {
    PinFixture f;
    CHECK(fails(f.volume().pin(root_caller(), root_dir, {}), Errc::invalid));
    f.write(0, 4096);
    const auto handle = open_handle(f.volume(), f.file(), for_writing(true));
    unlink(f.volume(), root_dir, "f");
    CHECK(fails(f.pin({}, false, 0, handle), Errc::invalid));
    f.volume().release(f.file(), handle);
}

TEST_CASE("pin: owner, capability or nobody, as the mount says", "[volume][pins]") {
    volume::Options options;
    SECTION("owner") {
        PinFixture f;
        f.write(0, 4096);
        CHECK(fails(f.volume().pin(user_caller(77), f.file(), {}), Errc::not_permitted));
        volume::AttributeChange change;
        change.uid = 77;
        must(f.volume().set_attributes(root_caller(), f.file(), change));
        must(f.volume().pin(user_caller(77), f.file(), {}));
    }
    SECTION("capability") {
        options.pin = volume::PinPolicy::capability;
        PinFixture f(block_size, options);
        f.write(0, 4096);
        CHECK(fails(f.volume().pin(user_caller(0), f.file(), {}), Errc::not_permitted));
        must(f.volume().pin(root_caller(), f.file(), {}));
    }
    SECTION("off") {
        options.pin = volume::PinPolicy::off;
        PinFixture f(block_size, options);
        f.write(0, 4096);
        CHECK(fails(f.pin(), Errc::not_permitted));
    }
}

TEST_CASE("pin: EROFS on a read-only mount", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    must(f.volume().set_read_only(true));
    CHECK(fails(f.pin(), Errc::read_only));
    CHECK(fails(f.unpin(), Errc::read_only));
    CHECK(fails(f.volume().extend(root_caller(), f.file(), 9000, 0), Errc::read_only));
    CHECK(f.status().read_only);
}

TEST_CASE("pin: without PREPARE holes and unwritten extents are EINVAL", "[volume][pins]") {
    PinFixture f;
    SECTION("hole") {
        f.write(block_size, 100);
    }
    SECTION("unwritten") {
        must(f.volume().fallocate(f.file(), 0, FallocateMode::allocate, 0, 2 * block_size));
    }
    CHECK(fails(f.pin(), Errc::invalid));
    CHECK_FALSE(f.is_pinned());
    must(f.pin({}, true));
    CHECK(f.status().whole);
    CHECK(must(f.volume().show_extents(f.file())).size() <= 2);
    check_and_remount(f.fixture());
}

TEST_CASE("pin: PREPARE keeps the data and fills with zeros", "[volume][pins]") {
    PinFixture f;
    f.write(5 * block_size + 17, 1000);
    const Data before = read_all(f.volume(), f.file());
    must(f.pin({}, true));
    CHECK(read_all(f.volume(), f.file()) == before);
    CHECK(stat_of(f.volume(), f.file()).block_count == 6);
    CHECK(must(f.volume().seek(f.file(), 0, true)) == before.size());
}

TEST_CASE("pin: PREPARE without space is ENOSPC and changes neither data nor pin",
          "[volume][pins]") {
    PinFixture f;
    f.write(0, 100);
    must(set_size(f.volume(), f.file(), std::uint64_t{64} << 20));
    CHECK(fails(f.pin({}, true), Errc::no_space));
    CHECK_FALSE(f.is_pinned());
    CHECK(read_at(f.volume(), f.file(), 0, 100) == filled(100, 0x31));
    must(set_size(f.volume(), f.file(), block_size));
    must(f.pin());
    CHECK(fails(f.volume().extend(root_caller(), f.file(), std::uint64_t{64} << 20, 0),
                Errc::no_space));
    CHECK(stat_of(f.volume(), f.file()).size == block_size);
    CHECK(f.status().pinned_bytes == block_size);
}

TEST_CASE("pin: a cached handle is waited for, then EBUSY", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    const auto cached = must(f.volume().open_file(root_caller(), f.file(), for_writing()));
    CHECK_FALSE(cached.direct);
    SECTION("that stays") {
        CHECK(fails(f.pin({}, false, 0, cached.handle), Errc::busy)); // the caller's own counts
        CHECK_FALSE(f.is_pinned());
        // Undone: opens are cached again.
        const auto next = must(f.volume().open_file(root_caller(), f.file(), for_reading()));
        CHECK_FALSE(next.direct);
        f.volume().release(f.file(), next.handle);
        f.volume().release(f.file(), cached.handle);
    }
    SECTION("that stays, while others come and go") {
        const InodeNumber other = make_file(f.volume(), root_dir, "other");
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        std::atomic<bool> done = false, gave_up = false;
        std::thread others([&] {
            while (!done && !gave_up) {
                const auto open = f.volume().open_file(root_caller(), other, for_reading());
                if (open)
                    f.volume().release(other, open->handle);
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                gave_up = std::chrono::steady_clock::now() > end;
            }
        });
        const bool refused = fails(f.pin(), Errc::busy);
        CHECK_FALSE(gave_up); // it was refused while they still came and went
        done = true;
        others.join();
        CHECK(refused);
        f.volume().release(f.file(), cached.handle);
    }
    SECTION("that goes") {
        must(f.pin_while_closing(cached.handle));
    }
}

TEST_CASE("pin: opens are direct from the pin on, and cached afresh after it", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    Recorder recorder;
    f.volume().set_observer(&recorder);
    const auto open = [&] {
        const auto reply = must(f.volume().open_file(root_caller(), f.file(), for_reading()));
        f.volume().release(f.file(), reply.handle);
        return reply;
    };
    CHECK(open().keep_cache);
    must(f.pin());
    CHECK(recorder.data == 1);
    CHECK(open().direct);
    CHECK(f.status().direct);
    must(f.unpin());
    CHECK(recorder.data == 2);
    const auto first = open();
    CHECK_FALSE(first.direct);
    CHECK_FALSE(first.keep_cache);
    CHECK(open().keep_cache);
    f.volume().set_observer(nullptr);
}

TEST_CASE("pin: every change of the map is ETXTBSY", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4 * block_size);
    must(f.pin());
    auto &volume = f.volume();
    const auto file = f.file();
    CHECK(fails(set_size(volume, file, 100), Errc::pinned));
    CHECK(fails(set_size(volume, file, 5 * block_size), Errc::pinned));
    CHECK(fails(volume.fallocate(file, 0, FallocateMode::punch, 0, 100), Errc::pinned));
    CHECK(fails(volume.fallocate(file, 0, FallocateMode::zero, 0, 100), Errc::pinned));
    CHECK(fails(volume.fallocate(file, 0, FallocateMode::zero_keep_size, 0, 100), Errc::pinned));
    CHECK(
        fails(volume.fallocate(file, 0, FallocateMode::allocate, 0, 5 * block_size), Errc::pinned));
    CHECK(fails(volume.write(file, 0, 4 * block_size - 1, filled(2, 1)), Errc::pinned));
    auto truncating = for_writing();
    truncating.truncate = true;
    CHECK(fails(volume.open_file(root_caller(), file, truncating), Errc::pinned));
    const InodeNumber other = make_file(volume, root_dir, "other");
    write_at(volume, other, 0, filled(8 * block_size, 0x32));
    CHECK(fails(volume.copy_range(other, 0, 0, file, 0, 0, 8 * block_size), Errc::pinned));
    CHECK(read_all(volume, file) == filled(4 * block_size, 0x31));
}

TEST_CASE("pin: what leaves the map alone is allowed", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4 * block_size);
    must(f.pin());
    auto &volume = f.volume();
    const auto file = f.file();
    const auto extents = must(volume.show_extents(file));
    must(set_size(volume, file, 4 * block_size));
    must(volume.fallocate(file, 0, FallocateMode::allocate, 0, 4 * block_size));
    f.write(100, 200, 0x33);
    const InodeNumber other = make_file(volume, root_dir, "other");
    write_at(volume, other, 0, filled(block_size, 0x34));
    CHECK(must(volume.copy_range(other, 0, 0, file, 0, 0, block_size)) == block_size);
    CHECK(read_at(volume, file, 0, block_size) == filled(block_size, 0x34));
    volume::AttributeChange change;
    change.mode = 0600;
    must(volume.set_attributes(root_caller(), file, change));
    must(volume.link(root_caller(), file, root_dir, "second"));
    rename(volume, root_dir, "f", root_dir, "moved");
    unlink(volume, root_dir, "moved"); // one of two names
    CHECK(fails(volume.unlink(root_caller(), root_dir, "second"), Errc::not_permitted));
    const auto after = must(volume.show_extents(file));
    REQUIRE(after.size() == extents.size());
    CHECK(after[0].device_offset == extents[0].device_offset);
}

TEST_CASE("pin: beyond a partial pin the file lives on", "[volume][pins]") {
    PinFixture f;
    f.write(0, 2 * block_size + 100);
    must(f.pin({2 * block_size, 100}));
    CHECK_FALSE(f.status().whole);
    f.write(2 * block_size + 100, 50);     // inside its last block
    f.write(2 * block_size + 150, 20'000); // and beyond
    must(set_size(f.volume(), f.file(), 3 * block_size));
    CHECK(fails(set_size(f.volume(), f.file(), 2 * block_size), Errc::pinned));
    must(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 0, 2 * block_size));
    check_and_remount(f.fixture());
}

TEST_CASE("pin: UNPIN cuts a range out of a larger pin", "[volume][pins]") {
    PinFixture f;
    f.write(0, 10 * block_size);
    must(f.pin());
    must(f.unpin({4 * block_size, 2 * block_size}));
    CHECK_FALSE(f.status().whole);
    CHECK(f.status().pinned_bytes == 8 * block_size);
    must(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 4 * block_size, 2 * block_size));
    CHECK(fails(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 3 * block_size, 1),
                Errc::pinned));
    check_and_remount(f.fixture());
}

TEST_CASE("pin: not on +i or +a; +i on a pinned file freezes all but the mapping",
          "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    auto &volume = f.volume();
    for (const auto flag : {format::inode_flag_immutable, format::inode_flag_append}) {
        must(volume.set_flags(root_caller(), f.file(), flag, std::nullopt));
        CHECK(fails(f.pin(), Errc::not_permitted));
    }
    must(volume.set_flags(root_caller(), f.file(), 0, std::nullopt));
    must(f.pin());
    must(volume.set_flags(root_caller(), f.file(), format::inode_flag_immutable, std::nullopt));
    CHECK(f.status().whole);
    CHECK(fails(f.unpin(), Errc::not_permitted));
    CHECK(fails(volume.write(f.file(), 0, 0, filled(1, 1)), Errc::not_permitted));
    CHECK(read_at(volume, f.file(), 0, 1) == filled(1, 0x31));
    const auto handle = open_handle(volume, f.file(), for_writing());
    must(volume.lease(root_caller(), f.file(), {}, true, false, handle));
    volume.release(f.file(), handle);
}

TEST_CASE("pin: large mapping units are owned whole, aligned, zero to their end",
          "[volume][pins]") {
    PinFixture f(big_unit);
    // Small files pack at blocks, so this one does not lie as a mapping wants it.
    make_file(f.volume(), root_dir, "x");
    f.write(0, 10, 0x35);
    f.write(5 * block_size, 10, 0x36);
    const Data before = read_all(f.volume(), f.file());
    CHECK(fails(f.pin(), Errc::invalid));
    must(f.pin({}, true));
    CHECK(read_all(f.volume(), f.file()) == before);
    CHECK(f.status().pinned_bytes == big_unit);
    CHECK(stat_of(f.volume(), f.file()).block_count == big_unit / block_size);
    const auto extents = must(f.volume().show_extents(f.file()));
    REQUIRE(extents.size() == 1);
    CHECK(extents[0].device_offset % big_unit == 0);
    CHECK(extents[0].length == big_unit);
    const auto media = f.fixture().media().bytes().subspan(extents[0].device_offset, big_unit);
    CHECK(all_zero(media.subspan(before.size())));
    check_and_remount(f.fixture());
    must(f.unpin());
    must(set_size(f.volume(), f.file(), 0));
    CHECK(stat_of(f.volume(), f.file()).block_count == 0);
}

TEST_CASE("pin: PREPARE moves data to the alignment asked for", "[volume][pins]") {
    PinFixture f;
    const InodeNumber other = make_file(f.volume(), root_dir, "other");
    for (std::uint64_t i = 0; i < 40; ++i) { // interleaved, so that nothing lies in line
        f.write(i * block_size, block_size, static_cast<unsigned>(i + 1));
        write_at(f.volume(), other, i * block_size, filled(block_size, 0xff));
    }
    const Data before = read_all(f.volume(), f.file());
    must(f.pin({}, true, big_unit));
    CHECK(read_all(f.volume(), f.file()) == before);
    for (const auto &extent : must(f.volume().show_extents(f.file())))
        CHECK(extent.device_offset % big_unit == extent.file_offset % big_unit);
    must(f.pin({}, false, big_unit));
    check_and_remount(f.fixture());
    CHECK(read_all(f.volume(), f.file()) == before);
}

TEST_CASE("pin: PREPARE that meets a media error is EIO and pins nothing", "[volume][pins]") {
    PinFixture f;
    const InodeNumber other = make_file(f.volume(), root_dir, "other");
    for (std::uint64_t i = 0; i < 4; ++i) {
        f.write(i * block_size, block_size);
        write_at(f.volume(), other, i * block_size, filled(block_size, 0xff));
    }
    const auto extents = must(f.volume().show_extents(f.file()));
    f.fixture().media().poison(extents.back().device_offset, 1);
    CHECK(fails(f.pin({}, true, big_unit), Errc::io));
    CHECK_FALSE(f.is_pinned());
    f.fixture().media().poison(0, 0);
    CHECK(fails(f.pin({}, true, big_unit), Errc::io)); // what the block held is lost all the same
    f.write(extents.back().file_offset, block_size);
    must(f.pin({}, true, big_unit));
}

TEST_CASE("extend: size, blocks and pin grow together; old extents stay", "[volume][pins]") {
    const std::uint64_t unit = GENERATE(std::uint64_t{block_size}, big_unit);
    PinFixture f(unit);
    f.write(0, 10'000);
    CHECK(fails(f.volume().extend(root_caller(), f.file(), 20'000, 0), Errc::invalid)); // no pin
    must(f.pin({}, true));
    const auto before = must(f.volume().show_extents(f.file()));
    const std::uint64_t new_size = 300'000;
    must(f.volume().extend(root_caller(), f.file(), new_size, 0));
    CHECK(stat_of(f.volume(), f.file()).size == new_size);
    CHECK(f.status().whole);
    CHECK(f.status().pinned_bytes == (new_size + unit - 1) / unit * unit);
    const auto after = must(f.volume().show_extents(f.file()));
    CHECK(after[0].device_offset == before[0].device_offset);
    CHECK(read_at(f.volume(), f.file(), 0, 10'000) == filled(10'000, 0x31));
    CHECK(all_zero(read_at(f.volume(), f.file(), 10'000, new_size)));
    CHECK(must(f.volume().seek(f.file(), 0, true)) == new_size);
    must(f.volume().extend(root_caller(), f.file(), new_size, 0));
    CHECK(fails(f.volume().extend(root_caller(), f.file(), 1, 0), Errc::invalid));
    check_and_remount(f.fixture());
    must(f.pin()); // still fits
}

TEST_CASE("extend: what a mapper stored beyond the end becomes zeros", "[volume][pins]") {
    PinFixture f;
    f.write(0, 100);
    must(f.pin());
    const auto extents = must(f.volume().show_extents(f.file()));
    f.fixture().media().bytes()[extents[0].device_offset + 200] = std::byte{0x77};
    must(f.volume().extend(root_caller(), f.file(), 5000, 0));
    CHECK(all_zero(read_at(f.volume(), f.file(), 100, 5000)));
}

TEST_CASE("extend: beyond what one record has room for", "[volume][pins]") {
    VolumeShape shape;
    shape.data_devices = 1;
    shape.data_bytes = std::uint64_t{700} << 20;
    VolumeFixture fixture(shape);
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(100, 0x31));
    must(volume.pin(root_caller(), file, {{}, 0, false, 0}));
    const std::uint64_t new_size = std::uint64_t{600} << 20;
    must(volume.extend(root_caller(), file, new_size, 0));
    CHECK(must(volume.pin_status(file)).pinned_bytes == new_size);
    CHECK(all_zero(read_at(volume, file, new_size - 100, 100)));
    check_and_remount(fixture);
}

TEST_CASE("hint: of a piece that no record has room for it is no more than that", "[volume]") {
    VolumeShape shape;
    shape.data_devices = 1;
    shape.data_bytes = std::uint64_t{2200} << 20; // holds an aligned piece of 1 GiB
    VolumeFixture fixture(shape);
    const InodeNumber file = make_file(fixture.volume(), root_dir, "f");
    must(fixture->set_flags(root_caller(), file, 0, 1U << 30));
    write_at(fixture.volume(), file, 0, filled(100, 0x31));
    CHECK(read_all(fixture.volume(), file) == filled(100, 0x31));
}

TEST_CASE("pin: a PREPARE that fails tells of blocks that the file has got", "[volume][pins]") {
    PinFixture f(block_size, {}, roomy);
    Recorder recorder;
    f.volume().set_observer(&recorder);
    f.write(0, 100);
    must(set_size(f.volume(), f.file(), std::uint64_t{12} << 20));
    const auto cached = must(f.volume().open_file(root_caller(), f.file(), for_writing()));
    CHECK(fails(f.pin({}, true), Errc::busy));
    CHECK(recorder.attributes == 0); // it did not come to that
    f.volume().release(f.file(), cached.handle);
    volume::Caller impatient = root_caller();
    unsigned asked = 0;
    impatient.has_given_up = [&] { return ++asked > 1; };
    CHECK(fails(f.volume().pin(impatient, f.file(), {{}, 0, true, 0}), Errc::interrupted));
    CHECK(recorder.attributes == 1);
    f.volume().set_observer(nullptr);
}

TEST_CASE("pin: no more than two requests of a user wait for cached handles", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    bool refused_at_once = false;
    // Again if this machine did not get as far in time.
    for (unsigned attempt = 0; attempt < 10 && !refused_at_once; ++attempt) {
        const auto cached = must(f.volume().open_file(root_caller(), f.file(), for_writing()));
        std::atomic<unsigned> ended = 0;
        std::atomic<unsigned> granted = 0;
        const auto ask = [&] {
            granted += f.pin() ? 1 : 0;
            ++ended;
        };
        std::thread first(ask);
        std::thread second(ask);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        const bool refused = fails(f.pin(), Errc::busy);
        const bool others_wait = ended == 0;
        f.volume().release(f.file(), cached.handle);
        first.join();
        second.join();
        refused_at_once = refused && others_wait && granted == 2;
        if (granted > 0)
            must(f.unpin());
    }
    CHECK(refused_at_once);
    // Those have ended: there is room for others.
    const auto cached = must(f.volume().open_file(root_caller(), f.file(), for_writing()));
    must(f.pin_while_closing(cached.handle));
}

TEST_CASE("sync: whoever maps may store on though the volume takes no changes", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    must(f.volume().set_read_only(true));
    must(f.volume().sync_range(f.file(), {}));
    f.fixture().media().fail_drains_from(1);
    CHECK(fails(f.volume().sync_range(f.file(), {}), Errc::io));
    CHECK(fails(f.volume().sync_range(f.file(), {}), Errc::io));
}

TEST_CASE("sync: there is nothing to do on a device that is open for reading", "[volume][pins]") {
    PinFixture f;
    f.write(0, 4096);
    f.fixture().unmount();
    std::vector<std::unique_ptr<device::Device>> devices;
    devices.push_back(f.fixture().media().open(true));
    const auto volume = must(volume::Volume::open(device::DeviceTable(std::move(devices)),
                                                  f.fixture().env(), {.read_only = true}));
    must(volume->sync_range(f.file(), {}));
}

TEST_CASE("pin: one whose caller gives up ends between two pieces, and leaves size and pin",
          "[volume][pins]") {
    PinFixture f(block_size, {}, roomy);
    f.write(0, 100);
    must(set_size(f.volume(), f.file(), std::uint64_t{12} << 20));
    volume::Caller impatient = root_caller();
    unsigned asked = 0;
    impatient.has_given_up = [&] { return ++asked > 1; };
    const volume::PinRequest request{{}, 0, true, 0};
    CHECK(fails(f.volume().pin(impatient, f.file(), request), Errc::interrupted));
    CHECK_FALSE(f.is_pinned());
    const auto blocks = stat_of(f.volume(), f.file()).block_count;
    CHECK(blocks > 1);
    CHECK(blocks < 3072);
    CHECK(read_at(f.volume(), f.file(), 0, 100) == filled(100, 0x31));
    must(f.pin({}, true));
    asked = 1;
    CHECK(fails(f.volume().extend(impatient, f.file(), std::uint64_t{13} << 20, 0),
                Errc::interrupted));
    CHECK(stat_of(f.volume(), f.file()).size == std::uint64_t{12} << 20);
    check_and_remount(f.fixture());
}

TEST_CASE("pin: a larger alignment than the pinned file has is refused, not passed over",
          "[volume][pins]") {
    PinFixture f;
    make_file(f.volume(), root_dir, "spacer");
    for (std::uint64_t i = 0; i < 32; ++i) { // apart on media
        f.write(i * block_size, block_size);
        write_at(f.volume(), must(peek(f.volume(), root_dir, "spacer")).number, i * block_size,
                 filled(block_size, 1));
    }
    must(f.pin());
    CHECK(fails(f.pin({}, false, big_unit), Errc::invalid));
    CHECK(fails(f.pin({}, true, big_unit), Errc::pinned));
    must(f.pin());
    must(f.unpin());
    must(f.pin({}, true, big_unit));
    must(f.pin({}, false, big_unit)); // it has it now
}
