// SPDX-License-Identifier: BSD-3-Clause
//
// Quarantine: what leaves a file under a lease is nobody's until the lease ends, and as long as
// that is not known, until the next boot.
#include "file_helpers.h"
#include "support/scheduler.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <set>
#include <tuple>

using namespace daxpin;
using namespace daxpin::test;
using immutable::ByteRange;
using volume::FallocateMode;

namespace {

constexpr std::uint64_t file_blocks = 8;

// A volume with one file "f" of eight blocks, apart on media from each other, and an open
// descriptor of it.
class LeasedFile {
  public:
    explicit LeasedFile(const volume::Options &options = {}) : fixture_(shape(), options) {
        file_ = make_file(volume(), root_dir, "f");
        const InodeNumber spacer = make_file(volume(), root_dir, "spacer");
        for (std::uint64_t i = 0; i < file_blocks; ++i) {
            write_at(volume(), file_, i * block_size, filled(block_size, 0x41));
            write_at(volume(), spacer, i * block_size, filled(block_size, 0x53));
        }
        open();
        mapped_ = blocks_of(file_);
    }
    ~LeasedFile() { close(); }

    volume::Volume &volume() { return fixture_.volume(); }
    VolumeFixture &fixture() { return fixture_; }
    InodeNumber file() const { return file_; }
    volume::Handle handle() const { return handle_; }

    void open() { handle_ = open_handle(volume(), file_, for_reading(true)); }
    void close() { volume().release(file_, handle_); }
    immutable::LeaseId lease(ByteRange range = {}) {
        return must(volume().lease(root_caller(), file_, range, false, false, handle_)).id;
    }
    void release(immutable::LeaseId id) {
        must(volume().release_lease(file_, handle_, id));
        finish_background(volume());
    }
    // As SIGKILL leaves it; the descriptor is gone.
    void kill(std::uint64_t boot = 1) {
        fixture_.env().set_boot(boot);
        must(fixture_.kill_and_mount());
        finish_background(volume());
    }
    void unlink_all() {
        unlink(volume(), root_dir, "f");
        volume().forget(file_, 1);
        finish_background(volume());
    }

    std::set<std::uint64_t> blocks_of(InodeNumber file) {
        std::set<std::uint64_t> blocks;
        for (const auto &extent : must(volume().show_extents(file)))
            for (std::uint64_t at = 0; at < extent.length; at += block_size)
                blocks.insert(extent.device_offset + at);
        return blocks;
    }

    // Whether others get blocks of those the file had, once all space is taken; and as it was
    // before the call.
    bool are_given_away() {
        const InodeNumber hog = make_file(volume(), root_dir, "hog");
        std::uint64_t at = 0;
        while (volume().write(hog, 0, at, filled(block_size, 0x42)))
            at += block_size;
        const auto taken = blocks_of(hog);
        unlink(volume(), root_dir, "hog");
        volume().forget(hog, 1);
        finish_background(volume());
        return std::ranges::any_of(mapped_, [&](auto block) { return taken.contains(block); });
    }

    // Blocks in quarantine, as fsck counts them; it finds nothing wrong.
    std::uint64_t quarantined() {
        std::vector<std::shared_ptr<SimMedia>> copies;
        for (const auto &media : fixture_.all_media())
            copies.push_back(media->clone());
        const auto report = fsck::check(open_table(copies));
        for (const auto &finding : report.findings)
            UNSCOPED_INFO(finding.text);
        REQUIRE(report.errors == 0);
        return report.counts.quarantined_blocks;
    }
    std::uint64_t free_blocks() { return must(volume().statistics()).free_blocks; }

  private:
    static VolumeShape shape() {
        VolumeShape shape;
        shape.device_bytes = std::uint64_t{2} << 20;
        return shape;
    }
    VolumeFixture fixture_;
    InodeNumber file_;
    volume::Handle handle_ = 0;
    std::set<std::uint64_t> mapped_;
};

std::pair<InodeNumber, immutable::LeaseId> inode_and_id(const volume::LeaseInfo &info) {
    return {info.inode, info.lease.id};
}

// Page by page.
std::vector<volume::LeaseInfo> all_leases(volume::Volume &volume, std::size_t limit) {
    std::vector<volume::LeaseInfo> all;
    for (std::pair<InodeNumber, immutable::LeaseId> from;;) {
        const auto page = volume.leases(from.first, from.second, limit);
        all.insert(all.end(), page.begin(), page.end());
        if (page.size() < limit)
            return all;
        from = inode_and_id(page.back());
        ++from.second;
    }
}

std::vector<volume::QuarantineInfo> all_quarantine(volume::Volume &volume, std::size_t limit) {
    std::vector<volume::QuarantineInfo> all;
    for (std::optional<MediaBlock> from{MediaBlock{}}; from;) {
        const auto page = must(volume.quarantine(*from, limit));
        all.insert(all.end(), page.files.begin(), page.files.end());
        from = page.next;
    }
    return all;
}

} // namespace

TEST_CASE("quarantine: freed blocks stay in use until the lease ends", "[volume][quarantine]") {
    LeasedFile f;
    const auto id = f.lease();
    const auto free = f.free_blocks();
    SECTION("by truncation") {
        must(set_size(f.volume(), f.file(), 0));
    }
    SECTION("by punching") {
        must(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 0, file_blocks * block_size));
    }
    SECTION("by opening with O_TRUNC") {
        volume::OpenRequest request = for_writing(true);
        request.truncate = true;
        f.volume().release(f.file(), open_handle(f.volume(), f.file(), request));
    }
    CHECK(f.quarantined() == file_blocks);
    CHECK(f.free_blocks() == free);
    CHECK(stat_of(f.volume(), f.file()).block_count == 0);
    CHECK_FALSE(f.are_given_away());
    f.release(id);
    CHECK(f.quarantined() == 0);
    CHECK(f.free_blocks() == free + file_blocks);
    CHECK(f.are_given_away());
}

TEST_CASE("quarantine: the end of the descriptor ends it", "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    must(set_size(f.volume(), f.file(), 0));
    CHECK(f.quarantined() == file_blocks);
    f.close();
    CHECK(f.quarantined() == 0);
}

TEST_CASE("quarantine: only what is leased enters it", "[volume][quarantine]") {
    LeasedFile f;
    f.lease({2 * block_size, 3 * block_size});
    must(set_size(f.volume(), f.file(), 3 * block_size));
    CHECK(f.quarantined() == 2);
    must(set_size(f.volume(), f.file(), 0));
    CHECK(f.quarantined() == 3);
}

TEST_CASE("quarantine: blocks wait for every lease that was over them", "[volume][quarantine]") {
    LeasedFile f;
    const auto all = f.lease();
    const auto first = f.lease({0, block_size});
    must(set_size(f.volume(), f.file(), 0));
    write_at(f.volume(), f.file(), 0, filled(2 * block_size, 0x44));
    const auto later = f.lease(); // over other blocks
    f.release(all);
    CHECK(f.quarantined() == 1);
    f.release(first);
    CHECK(f.quarantined() == 0);
    f.release(later);
}

TEST_CASE("quarantine: it outlives the daemon, not the boot", "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    must(set_size(f.volume(), f.file(), 0));
    f.kill();
    CHECK(f.quarantined() == file_blocks);
    CHECK_FALSE(f.are_given_away());
    f.fixture().remount();
    finish_background(f.volume());
    CHECK_FALSE(f.are_given_away());
    f.kill(2);
    CHECK(f.quarantined() == 0);
    CHECK(f.are_given_away());
}

TEST_CASE("quarantine: a deletion that a kill interrupted goes on into it",
          "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    f.unlink_all(); // the descriptor keeps the file
    CHECK(f.quarantined() == 0);
    f.kill();
    CHECK(f.quarantined() == file_blocks);
    CHECK(f.fixture().volume().attributes(f.file()).code() == Errc::stale);
    CHECK_FALSE(f.are_given_away());
    f.kill(2);
    CHECK(f.are_given_away());
}

TEST_CASE("quarantine: a marked file stays marked for this boot", "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    f.kill();
    f.open();
    const auto id = f.lease(); // another one, which ends
    f.release(id);
    f.close();
    SECTION("truncation") {
        must(set_size(f.volume(), f.file(), 0));
    }
    SECTION("deletion") {
        must(f.volume().lookup(root_dir, "f"));
        f.unlink_all();
    }
    SECTION("replacement") {
        make_file(f.volume(), root_dir, "g");
        rename(f.volume(), root_dir, "g", root_dir, "f");
        finish_background(f.volume());
    }
    CHECK(f.quarantined() == file_blocks);
    CHECK_FALSE(f.are_given_away());
}

TEST_CASE("quarantine: a mark of another boot means nothing", "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    f.kill(2);
    must(set_size(f.volume(), f.file(), 0));
    CHECK(f.quarantined() == 0);
    CHECK(f.are_given_away());
}

TEST_CASE("quarantine: a marked file is not sealed", "[volume][quarantine]") {
    LeasedFile f;
    f.close();
    const auto writer = open_handle(f.volume(), f.file(), for_writing(true));
    must(f.volume().lease(root_caller(), f.file(), {}, true, false, writer));
    CHECK(fails(set_size(f.volume(), f.file(), 0), Errc::pinned));
    f.kill();
    must(set_size(f.volume(), f.file(), 0));
    CHECK(f.quarantined() == file_blocks);
}

TEST_CASE("quarantine: a truncation in steps goes on into it after a kill",
          "[volume][quarantine]") {
    LeasedFile f;
    const std::uint64_t blocks = 60; // more extents than a step takes
    const InodeNumber spacer = make_file(f.volume(), root_dir, "spacer2");
    for (std::uint64_t i = file_blocks; i < blocks; ++i) {
        write_at(f.volume(), f.file(), i * block_size, filled(block_size, 0x41));
        write_at(f.volume(), spacer, i * block_size, filled(block_size, 0x53));
    }
    const auto id = f.lease();
    must(set_size(f.volume(), f.file(), 0));
    CHECK(f.quarantined() < blocks);
    SECTION("under the lease") {
        finish_background(f.volume());
        CHECK(f.quarantined() == blocks);
        f.release(id);
        CHECK(f.quarantined() == 0);
    }
    SECTION("after a kill") {
        f.kill();
        CHECK(f.quarantined() == blocks);
    }
}

TEST_CASE("quarantine: a read-only mount changes nothing, the next one goes on",
          "[volume][quarantine]") {
    LeasedFile f;
    const auto id = f.lease();
    must(set_size(f.volume(), f.file(), 0));
    must(f.volume().set_read_only(true));
    f.release(id);
    CHECK(f.quarantined() == file_blocks);
    must(f.volume().set_read_only(false));
    finish_background(f.volume());
    CHECK(f.quarantined() == 0);
}

namespace {

// Media runs that hold all of the file's blocks that were mapped, and nothing else.
std::vector<MediaRun> runs_of(const std::set<std::uint64_t> &blocks) {
    std::vector<MediaRun> runs;
    for (const std::uint64_t block : blocks)
        runs.push_back({MediaBlock::at(0, block / block_size), BlockCount{1}});
    return runs;
}

} // namespace

TEST_CASE("absence: what nobody maps leaves the quarantine", "[volume][quarantine]") {
    LeasedFile f;
    const auto mapped = f.blocks_of(f.file());
    f.lease();
    must(set_size(f.volume(), f.file(), 4 * block_size));
    f.kill();
    must(set_size(f.volume(), f.file(), 2 * block_size));
    CHECK(f.quarantined() == 6);
    CHECK(f.volume().awaits_proof());
    SECTION("all of it") {
        f.volume().prove_absence({});
        finish_background(f.volume());
        CHECK(f.quarantined() == 0);
        CHECK_FALSE(f.volume().awaits_proof());
        must(set_size(f.volume(), f.file(), 0)); // nor does the mark count any more
        CHECK(f.quarantined() == 0);
        CHECK(f.are_given_away());
    }
    SECTION("but for what somebody maps") {
        f.volume().prove_absence(runs_of(mapped));
        finish_background(f.volume());
        CHECK(f.quarantined() == 6);
        CHECK(f.volume().awaits_proof());
        must(set_size(f.volume(), f.file(), 0));
        CHECK(f.quarantined() == 8);
        f.volume().prove_absence({{MediaBlock::at(0, *mapped.begin() / block_size), {1}}});
        finish_background(f.volume());
        CHECK(f.quarantined() == 1);
        f.volume().prove_absence({});
        finish_background(f.volume());
        CHECK(f.quarantined() == 0);
    }
}

TEST_CASE("absence: what could not be returned when its lease ended is, with the next proof",
          "[volume][quarantine]") {
    LeasedFile f({.errors = volume::OnDamage::go_on});
    f.volume().prove_absence({});
    finish_background(f.volume());
    const auto id = f.lease();
    must(set_size(f.volume(), f.file(), 4 * block_size));
    CHECK_FALSE(f.volume().awaits_proof());
    SimMedia &media = *f.fixture().all_media().front();
    media.poison(0, media.bytes().size()); // whichever block it is that its end needs
    must(f.volume().release_lease(f.file(), f.handle(), id));
    media.poison(0, 0);
    CHECK(f.quarantined() == 4);
    CHECK(f.volume().awaits_proof());
    f.volume().prove_absence({});
    finish_background(f.volume());
    CHECK(f.quarantined() == 0);
}

TEST_CASE("absence: it says nothing of leases granted since the mount", "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    f.kill();
    f.open();
    const auto id = f.lease();
    SECTION("nothing was known yet") {
        must(set_size(f.volume(), f.file(), 0));
        f.volume().prove_absence({});
        finish_background(f.volume());
        CHECK(f.quarantined() == file_blocks); // the holder may be about to map
        f.release(id);
        f.volume().prove_absence({});
        finish_background(f.volume());
    }
    SECTION("nothing of the earlier leases is left") {
        f.volume().prove_absence({});
        must(set_size(f.volume(), f.file(), 0));
        f.volume().prove_absence({});
        finish_background(f.volume());
        CHECK(f.quarantined() == file_blocks);
        f.release(id);
    }
    CHECK(f.quarantined() == 0);
}

TEST_CASE("leases: they are listed, with their holder, and so is what they keep",
          "[volume][quarantine]") {
    LeasedFile f;
    CHECK(all_leases(f.volume(), 10).empty());
    CHECK(all_quarantine(f.volume(), 100).empty());
    const auto id = f.lease({0, 2 * block_size});
    must(set_size(f.volume(), f.file(), 0));
    const auto leases = all_leases(f.volume(), 10);
    REQUIRE(leases.size() == 1);
    CHECK(leases[0].inode == f.file());
    CHECK(leases[0].lease.id == id);
    CHECK(leases[0].lease.range == immutable::BlockRange{{0}, {2}});
    CHECK(leases[0].lease.holder.granted_ns > 0);
    auto kept = all_quarantine(f.volume(), 100);
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].inode == f.file());
    CHECK(kept[0].bytes == 2 * block_size);
    CHECK_FALSE(kept[0].lost);
    f.kill();
    CHECK(all_leases(f.volume(), 10).empty());
    kept = all_quarantine(f.volume(), 100);
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].lost);
}

TEST_CASE("leases: page by page they are listed as at once, and so is what they keep",
          "[volume][quarantine]") {
    LeasedFile f;
    const InodeNumber other = make_file(f.volume(), root_dir, "other");
    write_at(f.volume(), other, 0, filled(block_size, 0x41));
    const auto handle = open_handle(f.volume(), other, for_reading(true));
    std::vector<immutable::LeaseId> ids;
    for (std::uint64_t i = 0; i < 7; ++i)
        ids.push_back(f.lease());
    must(f.volume().lease(root_caller(), other, {}, false, false, handle));
    f.release(ids[3]);
    must(set_size(f.volume(), f.file(), 0));
    must(set_size(f.volume(), other, 0));
    const auto leases = all_leases(f.volume(), 100);
    const auto kept = all_quarantine(f.volume(), 1000);
    CHECK(leases.size() == 7);
    REQUIRE(kept.size() == 2);
    CHECK(kept[0].bytes == file_blocks * block_size);
    for (const std::size_t limit : {1, 2, 3, 5, 7}) {
        CHECK(std::ranges::equal(all_leases(f.volume(), limit), leases, {}, inode_and_id,
                                 inode_and_id));
        const auto pages = all_quarantine(f.volume(), limit);
        std::uint64_t bytes = 0;
        for (const auto &part : pages)
            bytes += part.inode == f.file() ? part.bytes : 0;
        CHECK(bytes == kept[0].bytes);
        CHECK(pages.size() >= file_blocks / limit);
    }
    f.volume().release(other, handle);
}

TEST_CASE("leases: a page of very many costs no more than one of few", "[volume][quarantine]") {
    constexpr std::size_t limit = 10;
    LeasedFile f;
    std::size_t count = 0;
    // Processor time: the least of several times, for others may spoil it.
    const auto grow_and_list = [&](std::size_t to) {
        for (; count < to; ++count)
            f.lease();
        std::clock_t least = std::numeric_limits<std::clock_t>::max();
        for (int i = 0; i < 20; ++i) {
            const std::clock_t begin = std::clock();
            CHECK(all_leases(f.volume(), limit).size() == count);
            least = std::min(least, std::clock() - begin);
        }
        return least;
    };
    const auto few = grow_and_list(2'000);
    const auto many = grow_and_list(20'000);
    CAPTURE(few, many);
    CHECK(many < 25 * few); // ten times, or 40 if each page goes through those before it
}

TEST_CASE("forget: it ends what earlier leases keep of a file, or of all", "[volume][quarantine]") {
    LeasedFile f;
    f.lease();
    must(set_size(f.volume(), f.file(), 4 * block_size));
    f.kill();
    CHECK(f.quarantined() == 4);
    SECTION("not while it is leased") {
        f.open();
        const auto id = f.lease();
        CHECK(fails(f.volume().forget_leases(f.file()), Errc::busy));
        f.release(id);
    }
    SECTION("of the file") {
        must(f.volume().forget_leases(f.file()));
        finish_background(f.volume());
        CHECK(f.quarantined() == 0);
        must(set_size(f.volume(), f.file(), 0)); // nor is it marked any more
        CHECK(f.quarantined() == 0);
    }
    SECTION("of a removed file, too") {
        must(f.volume().lookup(root_dir, "f"));
        f.unlink_all();
        CHECK(f.quarantined() == 8);
        must(f.volume().forget_leases(root_dir));
        finish_background(f.volume());
        CHECK(f.quarantined() == 0);
    }
}

TEST_CASE("forget: not what a lease keeps that was granted meanwhile", "[volume][quarantine]") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        LeasedFile f;
        Scheduler(seed).run({[&] {
                                 const auto done = f.volume().forget_leases(f.file());
                                 REQUIRE((done || done.code() == Errc::busy));
                             },
                             [&] {
                                 f.lease();
                                 must(set_size(f.volume(), f.file(), 4 * block_size));
                             }});
        finish_background(f.volume());
        INFO("seed " << seed);
        REQUIRE(f.quarantined() == 4);
    }
}

TEST_CASE("leases: a user at a limit gets EDQUOT, and unlink goes on", "[volume][quarantine]") {
    volume::Options options;
    options.lease_limits = {.leases = 2, .quarantined_blocks = 4};
    VolumeFixture fixture({}, options);
    auto &volume = fixture.volume();
    const auto lease = [&](std::string_view name, std::uint32_t uid) {
        const InodeNumber file = make_file(volume, root_dir, name);
        write_at(volume, file, 0, filled(8 * block_size, 0x41));
        const auto handle = open_handle(volume, file, for_reading(true));
        auto reply = volume.lease(user_caller(uid), file, {}, false, false, handle);
        return std::tuple{file, handle, std::move(reply)};
    };
    const auto [first, first_handle, first_lease] = lease("first", 5);
    REQUIRE(first_lease);
    SECTION("of leases") {
        const auto [second, second_handle, second_lease] = lease("second", 5);
        REQUIRE(second_lease);
        CHECK(fails(std::get<2>(lease("third", 5)), Errc::quota));
        CHECK(std::get<2>(lease("other", 6)));
        must(volume.release_lease(second, second_handle, second_lease->id));
        CHECK(std::get<2>(lease("fourth", 5)));
    }
    SECTION("of quarantine") {
        must(set_size(volume, first, 0));
        CHECK(fails(std::get<2>(lease("second", 5)), Errc::quota));
        unlink(volume, root_dir, "first");
        CHECK(std::get<2>(lease("root", 0)));
        volume.release(first, first_handle);
        CHECK(std::get<2>(lease("third", 5)));
    }
}
