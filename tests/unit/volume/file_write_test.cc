// SPDX-License-Identifier: BSD-3-Clause
//
// Writing, truncating, fallocate: edges, full volumes, what must never be seen;
// what the kernel keeps of a file meanwhile.
#include "file_helpers.h"

using namespace daxpin;
using namespace daxpin::test;
using volume::FallocateMode;

namespace {

std::uint64_t blocks_of(volume::Volume &volume, InodeNumber file) {
    return stat_of(volume, file).block_count;
}

// Fills the volume's free blocks with a pattern that must never be seen elsewhere, and frees them.
void soil(VolumeFixture &fixture) {
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "soil");
    const Data block = filled(64 * 1024, 0xee);
    for (std::uint64_t at = 0; volume.write(file, 0, at, block); at += block.size())
        ;
    unlink(volume, root_dir, "soil");
    volume.forget(file, 1);
    finish_background(volume);
    must(volume.checkpoint());
}

} // namespace

TEST_CASE("write: edges are exact at every alignment", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    const Data base = filled(3 * block_size, 0x11);
    for (const std::uint64_t offset : {0, 1, 7, 8, 63, 64, 4095, 4096, 4097, 8191})
        for (const std::size_t length : {1, 7, 8, 63, 64, 255, 256, 4095, 4096, 4097}) {
            write_at(volume, file, 0, base);
            write_at(volume, file, offset, filled(length, 0x22));
            Data expected = base;
            expected.resize(std::max<std::size_t>(expected.size(), offset + length));
            std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(offset), length,
                        std::byte{0x22});
            REQUIRE(read_all(volume, file) == expected);
            must(set_size(volume, file, 3 * block_size));
        }
}

TEST_CASE("write: what was there before is never seen around new data", "[volume][files]") {
    VolumeFixture fixture;
    soil(fixture);
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 5000, filled(10, 0x33));
    CHECK(all_zero(read_at(volume, file, 0, 5000)));
    must(set_size(volume, file, 100'000));
    CHECK(all_zero(read_at(volume, file, 5010, 100'000)));
    write_at(volume, file, 50'000, filled(1, 0x33));
    CHECK(all_zero(read_at(volume, file, 5010, 44'990)));
}

TEST_CASE("write: growth zeroes what a truncation left in the last block", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    SECTION("by truncation") {
        write_at(volume, file, 0, filled(block_size, 0x44));
        must(set_size(volume, file, 10));
        must(set_size(volume, file, block_size));
    }
    SECTION("by a write behind the end") {
        write_at(volume, file, 0, filled(block_size, 0x44));
        must(set_size(volume, file, 10));
        write_at(volume, file, block_size - 1, filled(1, 0));
    }
    SECTION("by fallocate") {
        write_at(volume, file, 0, filled(block_size, 0x44));
        must(set_size(volume, file, 10));
        must(volume.fallocate(file, 0, FallocateMode::allocate, 100, block_size - 100));
    }
    CHECK(read_at(volume, file, 0, 10) == filled(10, 0x44));
    CHECK(all_zero(read_at(volume, file, 10, block_size)));
}

TEST_CASE("write: an append handle writes at the end, wherever it is told to", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    auto request = for_writing();
    request.append = true;
    const auto handle = open_handle(volume, file, request);
    CHECK(must(volume.write(file, handle, 0, filled(3, 1))) == 3);
    CHECK(must(volume.write(file, handle, 0, filled(3, 2))) == 3);
    CHECK(stat_of(volume, file).size == 6);
    CHECK(read_at(volume, file, 3, 3) == filled(3, 2));
    volume.release(file, handle);
}

TEST_CASE("write: what the kernel has placed at the end stays in its order", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    auto request = for_writing(true);
    request.append = true;
    const auto handle = open_handle(volume, file, request);
    const auto write = [&](std::uint64_t offset, std::uint8_t byte) {
        return volume.write(file, handle, offset, filled(block_size, byte),
                            volume::WriteMode::append);
    };
    must(write(block_size, 2)); // the second piece of one write comes first
    must(write(0, 1));
    CHECK(stat_of(volume, file).size == 2 * block_size);
    CHECK(read_at(volume, file, 0, block_size) == filled(block_size, 1));
    CHECK(read_at(volume, file, block_size, block_size) == filled(block_size, 2));
    must(volume.set_flags(root_caller(), file, format::inode_flag_append, {}));
    CHECK(fails(write(0, 3), Errc::not_permitted)); // RWF_NOAPPEND
    must(write(2 * block_size, 3));
    volume.release(file, handle);
}

TEST_CASE("write: appends go to the end that EXTEND has moved, until the kernel knows it",
          "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(block_size, 1));
    const auto handle = open_handle(volume, file, for_writing(true));
    must(volume.pin(root_caller(), file, {}));
    must(volume.extend(root_caller(), file, 2 * block_size, handle));
    must(volume.extend(root_caller(), file, 3 * block_size, handle));
    must(volume.unpin(root_caller(), file, {}, handle));
    const auto append_at = [&](std::uint64_t offset) {
        must(volume.write(file, handle, offset, filled(block_size, 2), volume::WriteMode::append));
        return stat_of(volume, file).size;
    };
    CHECK(append_at(block_size) == 4 * block_size);
    CHECK(append_at(2 * block_size) == 5 * block_size); // what the kernel takes for the end then
    CHECK(all_zero(read_at(volume, file, block_size, 2 * block_size)));
    CHECK(append_at(5 * block_size) == 6 * block_size); // now it knows
    CHECK(append_at(block_size) == 6 * block_size);     // RWF_NOAPPEND
    CHECK(read_at(volume, file, block_size, block_size) == filled(block_size, 2));
    volume.release(file, handle);
}

TEST_CASE("write: only a handle open for writing writes", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    const auto handle = open_handle(volume, file, for_reading());
    CHECK(fails(volume.write(file, handle, 0, filled(1, 1)), Errc::bad_handle));
    CHECK(fails(volume.fallocate(file, handle, FallocateMode::allocate, 0, 1), Errc::bad_handle));
    volume.release(file, handle);
    CHECK(fails(volume.write(file, handle, 0, filled(1, 1)), Errc::bad_handle));
}

TEST_CASE("write: no byte beyond 2^63 - 2", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    const std::uint64_t last = immutable::file_size_max - 1;
    write_at(volume, file, last, filled(1, 5));
    CHECK(fails(volume.write(file, 0, last, filled(2, 5)), Errc::file_too_big));
    CHECK(stat_of(volume, file).size == immutable::file_size_max);
    CHECK(read_at(volume, file, last, 10) == filled(1, 5));
    CHECK(blocks_of(volume, file) == 1);
    must(set_size(volume, file, 0));
    CHECK(blocks_of(volume, file) == 0);
}

TEST_CASE("write: with too little space as much as there is room for; with none ENOSPC",
          "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(2 * block_size, 0x55));
    const InodeNumber hog = make_file(volume, root_dir, "hog");
    std::uint64_t at = 0;
    for (std::size_t length = 256 * 1024; length >= block_size;)
        if (volume.write(hog, 0, at, filled(length, 0x66)))
            at += length;
        else
            length /= 2;
    const auto free = must(volume.statistics()).free_blocks;
    // Begins in place and goes on where nothing is allocated.
    CHECK(must(volume.write(file, 0, block_size, filled(64 * 1024, 0x77))) == block_size);
    auto content = filled(block_size, 0x55);
    content.resize(2 * block_size, std::byte{0x77});
    CHECK((read_all(volume, file) == content));
    const auto before = stat_of(volume, file);
    CHECK(fails(volume.write(file, 0, 2 * block_size, filled(64 * 1024, 0x77)), Errc::no_space));
    CHECK(fails(volume.fallocate(file, 0, FallocateMode::allocate, 0, 1 << 20), Errc::no_space));
    CHECK((read_all(volume, file) == content));
    CHECK(stat_of(volume, file).mtime_ns == before.mtime_ns);
    CHECK(must(volume.statistics()).free_blocks == free);
    // Truncation and punching need none.
    must(set_size(volume, file, 100));
    must(volume.fallocate(hog, 0, FallocateMode::punch, block_size, block_size));
    check_and_remount(fixture);
}

TEST_CASE("write: one that ends early for want of space ends with a block", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    const auto room = must(volume.statistics()).available_blocks;
    write_at(volume, make_file(volume, root_dir, "hog"), 0, filled((room - 20) * block_size, 1));
    const std::uint64_t offset = 1001, length = 64 * block_size + 333;
    const auto written = must(volume.write(file, 0, offset, filled(length, 2)));
    CHECK(written < length);
    CHECK(written > 8 * block_size);
    CHECK((offset + written) % block_size == 0);
    SECTION("the first of two blocks if that is there already") {
        const auto end = offset + written;
        while (volume.write(file, 0, stat_of(volume, file).size, filled(block_size, 3)))
            ;
        const auto full = stat_of(volume, file).size;
        CHECK(full > end);
        CHECK(must(volume.write(file, 0, full - 10, filled(20, 4))) == 10);
        CHECK(stat_of(volume, file).size == full);
    }
    check_and_remount(fixture);
}

TEST_CASE("truncate: a large file goes in steps, and growth finds zeros", "[volume][files]") {
    VolumeShape shape;
    shape.device_bytes = std::uint64_t{16} << 20;
    VolumeFixture fixture(shape);
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    // One extent each: more than a transaction of this ring can free.
    for (std::uint64_t i = 0; i < 300; ++i)
        write_at(volume, file, 2 * i * block_size, filled(block_size, 0x88));
    const auto free = must(volume.statistics()).free_blocks;
    must(set_size(volume, file, 100));
    CHECK(stat_of(volume, file).size == 100);
    CHECK(blocks_of(volume, file) > 1); // the rest waits
    SECTION("grown while the deletion runs") {
        must(set_size(volume, file, 600 * block_size));
        CHECK(all_zero(read_at(volume, file, 100, 600 * block_size)));
    }
    SECTION("written to while the deletion runs") {
        write_at(volume, file, 400 * block_size + 5, filled(1, 0x99));
        CHECK(all_zero(read_at(volume, file, 100, 400 * block_size - 95)));
    }
    SECTION("allocated into while the deletion runs") {
        must(volume.fallocate(file, 0, FallocateMode::allocate_keep_size, 0, 8 * block_size));
        must(set_size(volume, file, 600 * block_size));
        CHECK(all_zero(read_at(volume, file, 100, 600 * block_size)));
    }
    SECTION("finished by the background after a crash") {
        must(fixture.kill_and_mount());
        finish_background(fixture.volume());
        CHECK(blocks_of(fixture.volume(), file) == 1);
        CHECK(must(fixture->statistics()).free_blocks > free);
    }
    check_and_remount(fixture);
}

TEST_CASE("write: a tiny ring takes fragmented writes in steps", "[volume][files]") {
    VolumeShape shape;
    shape.device_bytes = std::uint64_t{8} << 20;
    VolumeFixture fixture(shape);
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    for (std::uint64_t i = 0; i < 100; ++i)
        write_at(volume, file, (2 * i + 1) * block_size, filled(1, 0xaa));
    // A hundred holes to fill at once.
    const Data data = filled(200 * block_size, 0xbb);
    write_at(volume, file, 0, data);
    CHECK(read_all(volume, file) == data);
    must(volume.fallocate(file, 0, FallocateMode::zero, 0, data.size()));
    CHECK(all_zero(read_all(volume, file)));
    check_and_remount(fixture);
}

TEST_CASE("fallocate: allocation keeps what is there and reads as zeros", "[volume][files]") {
    VolumeFixture fixture;
    soil(fixture);
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, block_size, filled(100, 0xcc));
    must(volume.fallocate(file, 0, FallocateMode::allocate_keep_size, 0, 10 * block_size));
    CHECK(stat_of(volume, file).size == block_size + 100);
    CHECK(blocks_of(volume, file) == 10);
    must(volume.fallocate(file, 0, FallocateMode::allocate, 0, 10 * block_size));
    CHECK(stat_of(volume, file).size == 10 * block_size);
    Data expected = filled(10 * block_size, 0);
    std::fill_n(expected.begin() + block_size, 100, std::byte{0xcc});
    CHECK(read_all(volume, file) == expected);
    CHECK(must(volume.seek(file, 0, false)) == block_size);
    CHECK(must(volume.seek(file, block_size, true)) == 2 * block_size);
    CHECK(fails(volume.seek(file, 2 * block_size, false), Errc::no_data));
}

TEST_CASE("fallocate: punching frees whole blocks and zeroes the edges", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(4 * block_size, 0xdd));
    must(volume.fallocate(file, 0, FallocateMode::punch, 100, 2 * block_size));
    CHECK(blocks_of(volume, file) == 3);
    Data expected = filled(4 * block_size, 0xdd);
    std::fill_n(expected.begin() + 100, 2 * block_size, std::byte{0});
    CHECK(read_all(volume, file) == expected);
    CHECK(fails(volume.fallocate(file, 0, FallocateMode::punch, 0, 0), Errc::invalid));
}

TEST_CASE("copy: ranges of one file must not overlap", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(10'000, 0x12));
    CHECK(fails(volume.copy_range(file, 0, 0, file, 0, 9'999, 10'000), Errc::invalid));
    CHECK(must(volume.copy_range(file, 0, 0, file, 0, 10'000, 10'000)) == 10'000);
    CHECK(read_all(volume, file) == filled(20'000, 0x12));
    CHECK(must(volume.copy_range(file, 0, 20'000, file, 0, 0, 1)) == 0);
}

TEST_CASE("read: a poisoned page fails the copy, and only that", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    const InodeNumber other = make_file(volume, root_dir, "g");
    write_at(volume, file, 0, filled(2 * block_size, 0x13));
    const auto extents = must(volume.show_extents(file));
    fixture.media().poison(extents[0].device_offset, block_size);
    CHECK(fails(volume.copy_range(file, 0, 0, other, 0, 0, block_size), Errc::io));
    CHECK(must(volume.copy_range(file, 0, block_size, other, 0, 0, block_size)) == block_size);
    CHECK_FALSE(volume.failed());
    fixture.media().poison(0, 0);
}

TEST_CASE("read: atime follows relatime", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(10, 1));
    const auto written = stat_of(volume, file);
    read_at(volume, file, 0, 1);
    const auto first = stat_of(volume, file);
    CHECK(first.atime_ns > written.mtime_ns);
    read_at(volume, file, 0, 1);
    CHECK(stat_of(volume, file).atime_ns == first.atime_ns);
    fixture.env().set_now_ns(first.atime_ns + std::int64_t{86'400} * 1'000'000'000);
    read_at(volume, file, 0, 1);
    CHECK(stat_of(volume, file).atime_ns > first.atime_ns);
}

TEST_CASE("read: reading a symbolic link updates its atime", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    auto link = node(S_IFLNK | 0777);
    link.target = "file";
    const auto made = must(volume.make_node(root_caller(), root_dir, "link", link));
    CHECK(must(volume.read_link(made.number)) == "file");
    CHECK(stat_of(volume, made.number).atime_ns > made.atime_ns);
}

TEST_CASE("read: an atime that cannot be stored is dropped, at open and when listing too",
          "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(10, 1));
    const auto written = stat_of(volume, file);
    fixture.media().fail_drains_from(1);
    SECTION("reading") {
        CHECK((read_at(volume, file, 0, 10) == filled(10, 1)));
    }
    SECTION("opening") {
        volume.release(file, open_handle(volume, file, for_reading()));
    }
    SECTION("listing") {
        must(volume.list(root_dir, 0, false, [](const auto &, const auto *) { return true; }));
    }
    CHECK(volume.failed()); // the update was tried
    CHECK((read_at(volume, file, 0, 10) == filled(10, 1)));
    CHECK(stat_of(volume, file).atime_ns == written.atime_ns);
}

TEST_CASE("read: O_NOATIME spares atime, at open too", "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    write_at(volume, file, 0, filled(10, 1));
    const auto written = stat_of(volume, file);
    const auto handle = open_handle(volume, file, {.noatime = true});
    must(volume.read(file, handle, 0, 1, true));
    CHECK(stat_of(volume, file).atime_ns == written.atime_ns);
    must(volume.read(file, handle, 0, 1)); // F_SETFL took the flag away
    CHECK(stat_of(volume, file).atime_ns > written.atime_ns);
    volume.release(file, handle);
}

TEST_CASE("list: without directory_atime no listing is an access", "[volume][files]") {
    volume::Options options;
    options.directory_atime = false;
    options.atime = volume::Atime::strict;
    VolumeFixture fixture({}, options);
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "f");
    const auto made = stat_of(volume, root_dir);
    names_in(volume, root_dir);
    must(volume.list(root_dir, 0, false, [](const auto &, const auto *) { return true; }));
    must(volume.open_directory(root_dir));
    volume.release_directory(root_dir);
    CHECK(stat_of(volume, root_dir).atime_ns == made.atime_ns);
    const auto before = stat_of(volume, file);
    read_at(volume, file, 0, 1);
    CHECK(stat_of(volume, file).atime_ns > before.atime_ns);
}

TEST_CASE(
    "list: reads a directory; to open it does not, unless the kernel may have it in its cache",
    "[volume][files]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto open_it = [&] {
        must(volume.open_directory(root_dir));
        volume.release_directory(root_dir);
        return stat_of(volume, root_dir).atime_ns;
    };
    const auto list_from = [&](std::uint64_t after) {
        must(volume.list(
            root_dir, after, false,
            [](const volume::ListedEntry &, const volume::Attributes *) { return true; }));
        return stat_of(volume, root_dir).atime_ns;
    };
    make_file(volume, root_dir, "f");
    const auto made = stat_of(volume, root_dir);
    CHECK(open_it() == made.atime_ns);
    CHECK(list_from(2) == made.atime_ns); // goes on with what began before
    const auto listed = list_from(0);
    CHECK(listed > made.mtime_ns);
    CHECK(list_from(0) == listed);
    CHECK(open_it() == listed);
    fixture.env().set_now_ns(listed + std::int64_t{86'400} * 1'000'000'000);
    CHECK(open_it() > listed);
}

namespace {

class Recorder final : public volume::CacheObserver {
  public:
    void invalidate_data(InodeNumber) override { ++data; }
    void invalidate_attributes(InodeNumber) override {}
    int data = 0;
};

} // namespace

TEST_CASE("direct writes: pages that the kernel keeps are dropped, now or at the next open",
          "[volume]") {
    VolumeFixture f;
    auto &volume = f.volume();
    const auto file = make_file(volume, root_dir, "f");
    Recorder recorder;
    volume.set_observer(&recorder);
    const auto cached = open_handle(volume, file, for_reading());
    const auto writer = open_handle(volume, file, for_writing());
    must(volume.write(file, writer, 0, filled(1, 1), volume::WriteMode::offset));
    CHECK(recorder.data == 0);
    const auto direct = open_handle(volume, file, for_writing(true));
    const auto write = [&](volume::WriteMode mode) {
        must(volume.write(file, direct, 0, filled(1, 1), mode));
    };
    write(volume::WriteMode::offset);
    CHECK(recorder.data == 1);
    write(volume::WriteMode::append);
    CHECK(recorder.data == 2);
    write(volume::WriteMode::page_cache); // the kernel waits for its reply to invalidate
    CHECK(recorder.data == 2);
    volume.release(file, cached);
    volume.release(file, writer);
    const auto keeps_cache = [&] {
        const auto open = must(volume.open_file(root_caller(), file, for_reading()));
        volume.release(file, open.handle);
        return open.keep_cache;
    };
    write(volume::WriteMode::offset);
    CHECK(recorder.data == 2);
    CHECK(keeps_cache());
    volume.note_stale_pages();
    write(volume::WriteMode::offset);
    CHECK(recorder.data == 3); // for opens that are on their way
    write(volume::WriteMode::offset);
    CHECK(recorder.data == 3);
    CHECK_FALSE(keeps_cache());
    CHECK(keeps_cache());
    volume.release(file, direct);
    volume.set_observer(nullptr);
}

TEST_CASE(
    "fallocate: zeroing and punching may take from the reserve; once that is spent they leave "
    "all bytes",
    "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto mode = GENERATE(FallocateMode::zero_keep_size, FallocateMode::punch);
    const InodeNumber file = make_file(volume, root_dir, "f");
    const std::uint64_t pieces = 300;
    const bool spent = GENERATE(false, true); // the reserve
    const auto name = [](unsigned i) { return "name " + std::to_string(i); };
    constexpr unsigned names = 600;
    for (unsigned i = 0; i < names; ++i)
        make_file(volume, root_dir, name(i));
    write_at(volume, file, 0, filled(3 * pieces * block_size / 2, 0x31));
    const InodeNumber hog = make_file(volume, root_dir, "hog");
    for (std::uint64_t at = 0; volume.write(hog, 0, at, filled(block_size, 0x32)); at += block_size)
        ;
    const auto lengthen = [&](unsigned i) {
        return volume.rename(root_caller(), root_dir, name(i), root_dir,
                             std::string(250, 'a') + std::to_string(i), volume::RenameMode::plain);
    };
    unsigned renamed = 0;
    while (spent && renamed < names && lengthen(renamed))
        ++renamed;
    REQUIRE(renamed < names); // one found no space
    unsigned failed = 0;
    for (std::uint64_t i = 0; i < pieces / 2; ++i) {
        // A whole block, and a part of each of its neighbours.
        const std::uint64_t from = i * 3 * block_size + 100;
        const auto before = read_at(volume, file, from, 2 * block_size);
        const auto done = volume.fallocate(file, 0, mode, from, 2 * block_size);
        if (done) {
            CHECK(all_zero(read_at(volume, file, from, 2 * block_size)));
            continue;
        }
        CHECK(done.code() == Errc::no_space);
        CHECK(read_at(volume, file, from, 2 * block_size) == before);
        ++failed;
    }
    // Punching gives blocks back, of which a node may be made.
    if (!spent)
        CHECK(failed == 0);
    else
        CHECK((failed > 0 || mode == FallocateMode::punch));
    check_and_remount(fixture);
}
