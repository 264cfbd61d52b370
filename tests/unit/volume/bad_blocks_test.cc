// SPDX-License-Identifier: BSD-3-Clause
//
// Media errors: who is told, what the list keeps, what makes a block good again.
#include "device/sigbus.h"
#include "file_helpers.h"
#include "support/lost_page.h"

using namespace daxpin;
using namespace daxpin::test;
using volume::BadBlockUse;

namespace {

constexpr std::uint64_t block = block_size;

struct BadFixture : VolumeFixture {
    using VolumeFixture::VolumeFixture;

    // Where byte `offset` of the file lies on device 0.
    std::uint64_t place(InodeNumber file, std::uint64_t offset) {
        for (const auto &extent : must(volume().show_extents(file)))
            if (offset >= extent.file_offset && offset < extent.file_offset + extent.length)
                return extent.device_offset + offset - extent.file_offset;
        FAIL("a hole");
        return 0;
    }

    // A file of `blocks` blocks, block i filled with i + 1.
    InodeNumber file(std::string_view name, std::uint64_t blocks) {
        const auto number = make_file(volume(), root_dir, name);
        for (std::uint64_t i = 0; i < blocks; ++i)
            write_at(volume(), number, i * block, filled(block, static_cast<unsigned>(i + 1)));
        return number;
    }

    // Damages byte `offset` of the file, and has an access find it. Returns the address.
    std::uint64_t spoil(InodeNumber number, std::uint64_t offset) {
        const std::uint64_t at = place(number, offset) / block * block;
        media().poison(at, block);
        spoilt_ = at;
        volume().devices().note_unreadable(MediaBlock{}, at, block);
        return at;
    }

    std::vector<volume::BadBlockInfo> list() { return volume().bad_blocks(true); }

    Result<volume::ReadReply> read(InodeNumber number, std::uint64_t offset, std::uint64_t length) {
        return volume().read(number, 0, offset, length);
    }

    bool is_allocated(std::uint64_t at) {
        for (const auto &name : names_in(volume(), root_dir)) {
            const auto found = must(peek(volume(), root_dir, name));
            if (found.is_regular())
                for (const auto &extent : must(volume().show_extents(found.number)))
                    if (at >= extent.device_offset && at < extent.device_offset + extent.length)
                        return true;
        }
        return false;
    }

    // What was stored stays, and so does the damage.
    void kill() {
        must(kill_and_mount());
        media().poison(spoilt_, block);
    }

    void remove(std::string_view name) {
        const auto number = must(volume().lookup(root_dir, name)).number;
        unlink(volume(), root_dir, name);
        volume().forget(number, 2); // of lookup() and of the creation
        finish_background(volume());
    }

    // Fills the volume; true if `at` was handed out.
    bool fill_takes(std::uint64_t at) {
        const auto number = make_file(volume(), root_dir, "filler");
        const auto piece = filled(block, 9);
        std::uint64_t offset = 0;
        for (Result<std::uint64_t> done = 0; done;) {
            done = volume().write(number, 0, offset, piece);
            offset += block;
        }
        const bool taken = is_allocated(at);
        remove("filler");
        return taken;
    }

    void check_now() {
        finish_background(volume());
        check_and_remount(*this);
    }

  private:
    std::uint64_t spoilt_ = 0;
};

} // namespace

TEST_CASE("bad block: its range alone gives io, and goes on doing so", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    fixture.spoil(number, block);
    for (int round = 0; round < 3; ++round) {
        CHECK(fails(fixture.read(number, block, block), Errc::io));
        CHECK(fails(fixture.read(number, 2 * block - 1, 2), Errc::io));
        CHECK(read_at(fixture.volume(), number, 0, block) == filled(block, 1));
        CHECK(read_at(fixture.volume(), number, 2 * block, 2 * block).size() == 2 * block);
        // Part of it cannot be written either: the rest would be garbage.
        CHECK(fails(fixture.volume().write(number, 0, block + 8, filled(8, 7)), Errc::io));
        write_at(fixture.volume(), number, 0, filled(block, 1));
        if (round == 1)
            fixture.check_now();
        fixture.media().poison(0, 0); // the medium answers again; what it says is not trusted
    }
}

TEST_CASE("bad block: the list says what is hit and outlives unmount and kill", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    const std::uint64_t at = fixture.spoil(number, 3 * block + 5);
    CHECK(!fixture.list().at(0).listed);
    finish_background(fixture.volume());
    for (int round = 0; round < 3; ++round) {
        const auto list = fixture.list();
        REQUIRE(list.size() == 1);
        CHECK(list[0].listed);
        CHECK(list[0].found_ns != 0);
        CHECK(list[0].device == 0);
        CHECK(list[0].device_offset == at);
        CHECK(list[0].source == format::BadBlockSource::access);
        CHECK(list[0].use == BadBlockUse::file);
        CHECK(list[0].inode == number);
        CHECK(list[0].file_offset == 3 * block);
        if (round == 0)
            must(fixture.kill_and_mount());
        else
            check_and_remount(fixture);
    }
}

TEST_CASE("bad block: what the kernel says is lost is bad, though it can be read", "[bad]") {
    device::install_sigbus_handler();
    BadFixture fixture;
    const auto file = fixture.file("f", 3);
    const auto at = fixture.place(file, block);
    auto &volume = fixture.volume();
    REQUIRE(tell_lost_page(volume.devices().at(0).view().data() + at + 100));
    volume.note_lost_pages();
    CHECK(fails(fixture.read(file, block, 1), Errc::io));
    CHECK(fixture.read(file, 0, block).has_value());
    finish_background(volume);
    fixture.remount();
    CHECK(fails(fixture.read(file, block, 1), Errc::io));
    REQUIRE(fixture.list().size() == 1);
    CHECK(fixture.list()[0].use == BadBlockUse::file);
    CHECK(fixture.list()[0].inode == file);
    CHECK(fixture.list()[0].source == format::BadBlockSource::device);
    write_at(fixture.volume(), file, block, filled(block, 9));
    CHECK(fixture.list().empty());
    CHECK(fixture.read(file, block, 1).has_value());
}

TEST_CASE("bad block: of a larger page that the kernel says is lost, what cannot be read",
          "[bad]") {
    device::install_sigbus_handler();
    BadFixture fixture;
    const auto file = fixture.file("f", 3);
    const auto at = fixture.place(file, block);
    auto &volume = fixture.volume();
    fixture.media().poison(at, block);
    REQUIRE(tell_lost_page(volume.devices().at(0).view().data() + at + block, 21));
    volume.note_lost_pages();
    CHECK(volume.bad_blocks(true).size() == 1);
    CHECK(fails(fixture.read(file, block, 1), Errc::io));
    CHECK(fixture.read(file, 2 * block, block).has_value());
    fixture.media().poison(0, 0);
}

TEST_CASE("bad block: rewriting all of it takes it off the list", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    fixture.media().heal_on_rewrite(true);
    const bool listed = GENERATE(false, true);
    fixture.spoil(number, block);
    if (listed)
        finish_background(fixture.volume());
    SECTION("by a write of the block") {
        write_at(fixture.volume(), number, block, filled(block, 42));
        CHECK(read_at(fixture.volume(), number, block, block) == filled(block, 42));
    }
    SECTION("by a longer write that ends within another block") {
        write_at(fixture.volume(), number, block - 3, filled(block + 10, 42));
        CHECK(read_at(fixture.volume(), number, block - 3, block + 10) == filled(block + 10, 42));
        CHECK(read_at(fixture.volume(), number, 0, block - 3) == filled(block - 3, 1));
        CHECK(read_at(fixture.volume(), number, 2 * block + 7, 1) == filled(1, 3));
    }
    SECTION("by zeroing it") {
        must(fixture.volume().fallocate(number, 0, volume::FallocateMode::zero, block, block));
        CHECK(all_zero(read_at(fixture.volume(), number, block, block)));
    }
    CHECK(fixture.list().empty());
    must(fixture.kill_and_mount());
    CHECK(fixture.list().empty());
    check_and_remount(fixture);
    CHECK(read_at(fixture.volume(), number, block, block).size() == block);
}

TEST_CASE("bad block: the end of a file counts as the end of its last block", "[bad]") {
    BadFixture fixture;
    fixture.media().heal_on_rewrite(true);
    const auto number = fixture.file("f", 1);
    write_at(fixture.volume(), number, block, filled(100, 2));
    fixture.spoil(number, block);
    CHECK(fails(fixture.volume().write(number, 0, block, filled(99, 3)), Errc::io));
    write_at(fixture.volume(), number, block, filled(100, 3));
    CHECK(read_at(fixture.volume(), number, block, 100) == filled(100, 3));
    CHECK(fixture.list().empty());
    must(set_size(fixture.volume(), number, 2 * block));
    CHECK(all_zero(read_at(fixture.volume(), number, block + 100, block - 100)));
}

TEST_CASE("bad block: found by the rewrite itself it is healed at once", "[bad]") {
    BadFixture fixture;
    fixture.media().heal_on_rewrite(true);
    const auto number = fixture.file("f", 4);
    fixture.media().poison(fixture.place(number, block) + 100, 64);
    write_at(fixture.volume(), number, block, filled(block, 42));
    CHECK(read_at(fixture.volume(), number, block, block) == filled(block, 42));
    CHECK(fixture.list().empty());
}

TEST_CASE("bad block: a medium that stays bad gives io and keeps its place on the list", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    fixture.spoil(number, block);
    CHECK(fails(fixture.volume().write(number, 0, block, filled(block, 42)), Errc::io));
    CHECK(fixture.list().size() == 1);
    CHECK(!fixture.volume().failed());
    fixture.media().poison(0, 0);
    write_at(fixture.volume(), number, block, filled(block, 42));
    CHECK(fixture.list().empty());
    fixture.check_now();
}

TEST_CASE("bad block: a deleted file's is not handed out until it was rewritten", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    const bool listed_before = GENERATE(true, false);
    const std::uint64_t at = fixture.spoil(number, block);
    if (listed_before)
        finish_background(fixture.volume());
    const auto free = [&] { return must(fixture.volume().statistics()).free_blocks; };
    const auto free_before = free();
    fixture.remove("f");
    CHECK(!fixture.fill_takes(at));
    CHECK(!fixture.fill_takes(at)); // what was noted while the block was on its way is listed now
    CHECK(free() == free_before + 3);
    REQUIRE(fixture.list().size() == 1);
    CHECK(fixture.list()[0].use == BadBlockUse::free);
    fixture.kill();
    finish_background(fixture.volume()); // the medium gets its chance, and fails
    CHECK(fixture.list().size() == 1);
    CHECK(!fixture.fill_takes(at));
    fixture.check_now();

    fixture.unmount();
    fixture.media().heal_on_rewrite(true);
    must(fixture.mount());
    finish_background(fixture.volume());
    CHECK(fixture.list().empty());
    CHECK(free() == free_before + 4);
    fixture.check_now();
}

TEST_CASE("bad block: the hole where one was is filled from elsewhere", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    const bool listed_before = GENERATE(true, false);
    const std::uint64_t at = fixture.spoil(number, block);
    if (listed_before)
        finish_background(fixture.volume());
    const auto refill = [&] {
        must(fixture.volume().fallocate(number, 0, volume::FallocateMode::punch, block, block));
        must(fixture.volume().checkpoint());
        write_at(fixture.volume(), number, block, filled(block, 7));
        return fixture.place(number, block);
    };
    // The freed block is where the file would be continued.
    CHECK(refill() != at);
    CHECK(read_at(fixture.volume(), number, 0, 4 * block).size() == 4 * block);
    fixture.check_now();
    CHECK(refill() != at);
    fixture.unmount();
    fixture.media().heal_on_rewrite(true);
    must(fixture.mount());
    finish_background(fixture.volume());
    CHECK(refill() == at);
    fixture.check_now();
}

TEST_CASE("bad block: a free one is passed over and nobody notices", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 2);
    // The next block of the file would be the one behind its last.
    const std::uint64_t next = fixture.place(number, block) + block;
    const auto free_before = must(fixture.volume().statistics()).free_blocks;
    fixture.media().poison(next + 64, 64);
    write_at(fixture.volume(), number, 2 * block, filled(2 * block, 5));
    CHECK(read_at(fixture.volume(), number, 2 * block, 2 * block) == filled(2 * block, 5));
    CHECK(!fixture.is_allocated(next));
    finish_background(fixture.volume());
    REQUIRE(fixture.list().size() == 1);
    CHECK(fixture.list()[0].use == BadBlockUse::free);
    CHECK(must(fixture.volume().statistics()).free_blocks < free_before - 2);
    CHECK(!fixture.fill_takes(next));
    fixture.check_now();
    CHECK(fixture.list().size() == 1);
}

TEST_CASE("bad block: metadata that cannot be read is named as such", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 2);
    const std::uint64_t chunk = fixture.volume().superblock().devices[0].bitmap_start * block;
    fixture.volume().devices().note_unreadable(MediaBlock{}, chunk, block);
    CHECK(fixture.list().empty());          // it can be read
    fixture.media().poison(block - 64, 64); // the label's block
    fixture.volume().devices().note_unreadable(MediaBlock{}, 0, block);
    finish_background(fixture.volume());
    REQUIRE(fixture.list().size() == 1);
    CHECK(fixture.list()[0].use == BadBlockUse::metadata);
    CHECK(read_at(fixture.volume(), number, 0, block) == filled(block, 1));
}

TEST_CASE("bad block: copying from one fails, copying over it heals it", "[bad]") {
    BadFixture fixture;
    fixture.media().heal_on_rewrite(true);
    const auto from = fixture.file("from", 4);
    const auto to = fixture.file("to", 4);
    fixture.spoil(from, 2 * block);
    // The copy ends before the piece that cannot be read.
    const auto copied = fixture.volume().copy_range(from, 0, 2 * block, to, 0, 0, block);
    CHECK(fails(copied, Errc::io));
    CHECK(read_at(fixture.volume(), to, 0, block) == filled(block, 1));
    CHECK(must(fixture.volume().copy_range(to, 0, 0, from, 0, 2 * block, block)) == block);
    CHECK(fixture.list().empty());
    CHECK(read_at(fixture.volume(), from, 2 * block, block) == filled(block, 1));
}

TEST_CASE("bad block: unlink needs no space for it", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 8);
    fixture.spoil(number, 4 * block);
    const auto filler = make_file(fixture.volume(), root_dir, "filler");
    std::uint64_t offset = 0;
    for (Result<std::uint64_t> done = 0; done; offset += block)
        done = fixture.volume().write(filler, 0, offset, filled(block, 9));
    finish_background(fixture.volume());
    CHECK(fixture.list().at(0).listed);
    fixture.remove("f");
    CHECK(fixture.list().at(0).use == BadBlockUse::free);
    fixture.check_now();
}

TEST_CASE("bad block: a read-only mount lists in memory alone", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    must(fixture.volume().set_read_only(true));
    fixture.spoil(number, block);
    CHECK(fails(fixture.read(number, block, block), Errc::io));
    static_cast<void>(fixture.volume().background_step().has_value());
    CHECK(!fixture.list().at(0).listed);
    CHECK(fixture.volume().take_media_reports().size() == 1);
    CHECK(fixture.volume().take_media_reports().empty());
    must(fixture.volume().set_read_only(false));
    finish_background(fixture.volume());
    CHECK(fixture.list().at(0).listed);
}

TEST_CASE("bad block: a kill after any step leaves a clean volume and the same list", "[bad]") {
    BadFixture fixture;
    const auto number = fixture.file("f", 4);
    fixture.spoil(number, block);
    finish_background(fixture.volume());
    fixture.kill();
    check_and_remount(fixture);
    unlink(fixture.volume(), root_dir, "f");
    fixture.kill();
    finish_background(fixture.volume());
    CHECK(fixture.list().at(0).use == BadBlockUse::free);
    check_and_remount(fixture);
    finish_background(fixture.volume());
    CHECK(fixture.list().size() == 1);
    fixture.media().heal_on_rewrite(true);
    must(fixture.kill_and_mount()); // other media, without damage
    finish_background(fixture.volume());
    CHECK(fixture.list().empty());
    must(fixture.kill_and_mount());
    CHECK(fixture.list().empty());
    check_and_remount(fixture);
}

TEST_CASE("bad block: beyond the volume's end it is nobody's business", "[bad]") {
    VolumeFixture fixture;
    fixture.unmount();
    SimOptions longer = fixture.media().options();
    longer.size *= 2;
    const auto media = SimMedia::create(longer);
    std::ranges::copy(fixture.media().bytes(), media->bytes().begin());
    const std::uint64_t beyond = fixture.media().options().size + 5 * block;
    media->poison(beyond, block);
    const auto volume = must(volume::Volume::open(open_table({media}), fixture.env(), {}));
    volume->devices().note_unreadable(MediaBlock{}, beyond, block);
    CHECK(volume->bad_blocks(true).empty());
    CHECK_FALSE(must(volume->background_step()));
    CHECK_FALSE(volume->read_only());
}
