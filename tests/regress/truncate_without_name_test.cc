// SPDX-License-Identifier: BSD-3-Clause
//
// A large truncation of a file that had lost its last name replaced the entry of the removal, so
// the file was never freed; and a removal that replaced the entry of a truncation made growth show
// what the truncation had not reached yet.
#include "file_helpers.h"

using namespace daxpin;
using namespace daxpin::test;

namespace {

// Every other block, so that no extents join: more than one step of a truncation takes.
void write_scattered(volume::Volume &volume, InodeNumber file) {
    for (std::uint64_t block = 0; block < 240; block += 2)
        write_at(volume, file, block * block_size, filled(block_size, 0x5e));
}

} // namespace

TEST_CASE("truncate: a file without a name is freed all the same", "[regress]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto free_before = must(volume.statistics()).free_blocks;
    const InodeNumber file = make_file(volume, root_dir, "f");
    const auto handle = open_handle(volume, file, for_writing());
    write_scattered(volume, file);
    const bool truncate_first = GENERATE(true, false);
    if (truncate_first)
        must(set_size(volume, file, 10));
    unlink(volume, root_dir, "f");
    if (!truncate_first)
        must(set_size(volume, file, 10));
    SECTION("growth shows zeros") {
        must(set_size(volume, file, 240 * block_size));
        CHECK(all_zero(read_at(volume, file, 10, 240 * block_size - 10)));
    }
    SECTION("closing frees everything") {}
    volume.release(file, handle);
    volume.forget(file, 1);
    finish_background(volume);
    CHECK(must(volume.statistics()).free_blocks == free_before);
    check_and_remount(fixture);
    finish_background(fixture.volume());
    CHECK(must(fixture.volume().statistics()).free_blocks == free_before);
}

TEST_CASE("truncate: a file without a name is freed after a crash", "[regress]") {
    VolumeFixture fixture;
    const auto free_before = must(fixture->statistics()).free_blocks;
    const InodeNumber file = make_file(fixture.volume(), root_dir, "f");
    const auto handle = open_handle(fixture.volume(), file, for_writing());
    static_cast<void>(handle);
    write_scattered(fixture.volume(), file);
    unlink(fixture.volume(), root_dir, "f");
    must(set_size(fixture.volume(), file, 10));
    must(fixture.kill_and_mount());
    finish_background(fixture.volume());
    CHECK(must(fixture->statistics()).free_blocks == free_before);
    check_and_remount(fixture);
}
