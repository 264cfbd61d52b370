// SPDX-License-Identifier: BSD-3-Clause
//
// LEASE, RELEASE, EXTENTS: the rows of the table of errors in docs/pinning.md, what a lease
// forbids, and that leased blocks are nobody else's.
#include "file_helpers.h"
#include "support/persistence_model.h"

#include <map>
#include <set>

using namespace daxpin;
using namespace daxpin::test;
using immutable::ByteRange;
using volume::FallocateMode;

namespace {

class LeaseFixture {
  public:
    explicit LeaseFixture(const volume::Options &options = {}) : fixture_(shape(), options) {
        file_ = make_file(volume(), root_dir, "f");
        write(0, 8 * block_size);
        handle_ = open_handle(volume(), file_, for_writing(true));
        reader_ = open_handle(volume(), file_, for_reading(true));
    }
    ~LeaseFixture() {
        volume().release(file_, handle_);
        volume().release(file_, reader_);
    }

    volume::Volume &volume() { return fixture_.volume(); }
    VolumeFixture &fixture() { return fixture_; }
    InodeNumber file() const { return file_; }
    volume::Handle handle() const { return handle_; }
    volume::Handle reader() const { return reader_; }

    // The inode leaves memory and comes back.
    void reopen() {
        volume().release(file_, handle_);
        volume().release(file_, reader_);
        volume().forget(file_, 1);
        static_cast<void>(must(volume().lookup(root_dir, "f")));
        handle_ = open_handle(volume(), file_, for_writing(true));
        reader_ = open_handle(volume(), file_, for_reading(true));
    }

    void write(std::uint64_t offset, std::size_t length, unsigned value = 0x41) {
        write_at(volume(), file_, offset, filled(length, value));
    }
    Result<volume::Volume::LeaseReply> lease(bool for_write, ByteRange range = {}) {
        return volume().lease(root_caller(), file_, range, for_write, false,
                              for_write ? handle_ : reader_);
    }
    // Media blocks of the file.
    std::set<std::uint64_t> blocks() {
        std::set<std::uint64_t> blocks;
        for (const auto &extent : must(volume().show_extents(file_)))
            for (std::uint64_t at = 0; at < extent.length; at += block_size)
                blocks.insert(extent.device_offset + at);
        return blocks;
    }

  private:
    static VolumeShape shape() {
        VolumeShape shape;
        shape.device_bytes = std::uint64_t{2} << 20;
        return shape;
    }
    VolumeFixture fixture_;
    InodeNumber file_;
    volume::Handle handle_ = 0;
    volume::Handle reader_ = 0;
};

// Takes all the space there is, and returns the media blocks it got.
std::set<std::uint64_t> fill_up(volume::Volume &volume) {
    const InodeNumber hog = make_file(volume, root_dir, "hog");
    std::uint64_t at = 0;
    while (volume.write(hog, 0, at, filled(block_size, 0x42)))
        at += block_size;
    std::set<std::uint64_t> blocks;
    for (const auto &extent : must(volume.show_extents(hog)))
        for (std::uint64_t offset = 0; offset < extent.length; offset += block_size)
            blocks.insert(extent.device_offset + offset);
    return blocks;
}

bool share_any(const std::set<std::uint64_t> &a, const std::set<std::uint64_t> &b) {
    return std::ranges::any_of(a, [&](std::uint64_t block) { return b.contains(block); });
}

} // namespace

TEST_CASE("lease: a handle not open for writing gets no write lease", "[volume][leases]") {
    LeaseFixture f;
    CHECK(fails(f.volume().lease(root_caller(), f.file(), {}, true, false, f.reader()),
                Errc::bad_handle));
    CHECK(fails(f.volume().lease(root_caller(), f.file(), {}, false, false, 0), Errc::bad_handle));
    must(f.lease(false));
    must(f.lease(true));
    CHECK(must(f.volume().pin_status(f.file())).lease_count == 2);
}

TEST_CASE("lease: no +a, no +i without a pin, for writing", "[volume][leases]") {
    LeaseFixture f;
    for (const auto flag : {format::inode_flag_append, format::inode_flag_immutable}) {
        must(f.volume().set_flags(root_caller(), f.file(), flag, std::nullopt));
        CHECK(fails(f.lease(true), Errc::not_permitted));
        must(f.lease(false));
    }
}

TEST_CASE("lease: PREPARE fills nothing of a +i file, but takes what needs no filling",
          "[volume][leases]") {
    LeaseFixture f;
    must(set_size(f.volume(), f.file(), 16 * block_size)); // the second half is a hole
    must(f.volume().pin(root_caller(), f.file(), {{0, block_size}, 0, false, 0}));
    must(f.volume().set_flags(root_caller(), f.file(), format::inode_flag_immutable, {}));
    const auto before = stat_of(f.volume(), f.file()).block_count;
    const auto prepared = [&](ByteRange range) {
        return f.volume().lease(root_caller(), f.file(), range, true, true, f.handle());
    };
    CHECK(fails(prepared({0, 16 * block_size}), Errc::not_permitted));
    CHECK(stat_of(f.volume(), f.file()).block_count == before);
    must(prepared({0, 8 * block_size}));
}

TEST_CASE("lease: a generation does not come again, with a lease or without one",
          "[volume][leases]") {
    LeaseFixture f;
    std::set<std::uint64_t> seen;
    const auto take = [&] {
        const auto lease = must(f.lease(false));
        for (const auto old : seen)
            CHECK(fails(f.volume().extents(f.file(), f.reader(), 0, old, 10), Errc::stale));
        must(f.volume().extents(f.file(), f.reader(), 0, lease.generation, 10));
        CHECK(seen.insert(lease.generation).second);
        must(f.volume().release_lease(f.file(), f.reader(), lease.id));
    };
    take();
    must(set_size(f.volume(), f.file(), 0)); // nobody looks
    f.write(0, block_size);
    take();
    f.reopen();
    take();
}

TEST_CASE("lease: EROFS on a read-only mount, EOPNOTSUPP with dax=off", "[volume][leases]") {
    SECTION("read-only") {
        LeaseFixture f;
        must(f.volume().set_read_only(true));
        CHECK(fails(f.lease(false), Errc::read_only));
        CHECK(fails(f.lease(true), Errc::read_only));
    }
    SECTION("dax=off") {
        volume::Options options;
        options.dax = false;
        LeaseFixture f(options);
        CHECK(fails(f.lease(false), Errc::unsupported));
        CHECK(fails(f.volume().extents(f.file(), f.reader(), 0, 0, 10), Errc::unsupported));
        CHECK(fails(f.volume().show_extents(f.file()), Errc::unsupported));
        must(f.volume().pin(root_caller(), f.file(), {})); // pins still hold
    }
}

TEST_CASE("lease: holes are EINVAL without PREPARE", "[volume][leases]") {
    LeaseFixture f;
    must(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 0, block_size));
    CHECK(fails(f.lease(true), Errc::invalid));
    must(f.lease(true, {block_size, block_size}));
    must(f.volume().lease(root_caller(), f.file(), {}, true, true, f.handle()));
    CHECK(must(f.volume().extents(f.file(), f.handle(), 0, 0, 10)).extents[0].file_offset == 0);
}

TEST_CASE("lease: EXTENTS wants a lease and its generation", "[volume][leases]") {
    LeaseFixture f;
    CHECK(fails(f.volume().extents(f.file(), f.reader(), 0, 0, 10), Errc::no_lease));
    const auto lease = must(f.lease(false, {2 * block_size, 4 * block_size}));
    CHECK(fails(f.volume().extents(f.file(), f.handle(), 0, 0, 10), Errc::no_lease)); // another's
    CHECK(fails(f.volume().extents(f.file(), f.reader(), 6 * block_size, 0, 10), Errc::no_lease));
    const auto reply = must(f.volume().extents(f.file(), f.reader(), 0, lease.generation, 10));
    std::uint64_t bytes = 0;
    for (const auto &extent : reply.extents)
        bytes += extent.length;
    CHECK(bytes == 4 * block_size);
    CHECK(reply.extents[0].file_offset == 2 * block_size);
    CHECK(reply.next == ~std::uint64_t{0});
    CHECK(
        fails(f.volume().extents(f.file(), f.reader(), 0, lease.generation + 1, 10), Errc::stale));
    must(set_size(f.volume(), f.file(), 100));
    CHECK(fails(f.volume().extents(f.file(), f.reader(), 0, lease.generation, 10), Errc::stale));
}

TEST_CASE("lease: PREPARE that fills a hole under a lease moves the generation",
          "[volume][leases]") {
    LeaseFixture f;
    const auto lease = must(f.lease(false));
    must(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 0, 4 * block_size));
    const auto seen = must(f.volume().extents(f.file(), f.reader(), 0, 0, 10));
    CHECK(seen.generation != lease.generation);
    CHECK(seen.extents.front().file_offset == 4 * block_size);
    must(f.volume().pin(root_caller(), f.file(), {{}, 0, true, 0}));
    CHECK(fails(f.volume().extents(f.file(), f.reader(), 0, seen.generation, 10), Errc::stale));
    const auto filled = must(f.volume().extents(f.file(), f.reader(), 0, 0, 10));
    CHECK(filled.extents.front().file_offset == 0);
    must(f.volume().pin(root_caller(), f.file(), {{}, 0, true, 0})); // there is nothing to fill
    must(f.volume().extents(f.file(), f.reader(), 0, filled.generation, 10));
}

TEST_CASE("lease: EXTENTS goes on where it stopped", "[volume][leases]") {
    LeaseFixture f;
    const InodeNumber other = make_file(f.volume(), root_dir, "other");
    for (std::uint64_t i = 8; i < 16; ++i) { // interleaved: an extent each
        f.write(i * block_size, block_size);
        write_at(f.volume(), other, i * block_size, filled(1, 1));
    }
    must(f.lease(false));
    std::vector<volume::ExtentInfo> all;
    std::uint64_t cursor = 0;
    while (cursor != ~std::uint64_t{0}) {
        const auto reply = must(f.volume().extents(f.file(), f.reader(), cursor, 0, 2));
        REQUIRE(reply.extents.size() <= 2);
        all.insert(all.end(), reply.extents.begin(), reply.extents.end());
        cursor = reply.next;
    }
    std::uint64_t at = 0;
    for (const auto &extent : all) {
        CHECK(extent.file_offset == at);
        at += extent.length;
    }
    CHECK(at == 16 * block_size);
}

TEST_CASE("lease: a foreign, released or wrong id is EINVAL", "[volume][leases]") {
    LeaseFixture f;
    const auto lease = must(f.lease(true));
    CHECK(fails(f.volume().release_lease(f.file(), f.reader(), lease.id), Errc::invalid));
    CHECK(fails(f.volume().release_lease(f.file(), f.handle(), lease.id + 7), Errc::invalid));
    must(f.volume().release_lease(f.file(), f.handle(), lease.id));
    CHECK(fails(f.volume().release_lease(f.file(), f.handle(), lease.id), Errc::invalid));
}

TEST_CASE("lease: a write lease seals its range, a read lease blocks nobody", "[volume][leases]") {
    LeaseFixture f;
    auto &volume = f.volume();
    SECTION("write") {
        const auto lease = must(f.lease(true, {0, 4 * block_size}));
        CHECK(fails(set_size(volume, f.file(), 100), Errc::pinned));
        CHECK(fails(volume.fallocate(f.file(), 0, FallocateMode::punch, block_size, 1),
                    Errc::pinned));
        must(volume.fallocate(f.file(), 0, FallocateMode::punch, 5 * block_size, block_size));
        must(set_size(volume, f.file(), 4 * block_size));
        must(volume.release_lease(f.file(), f.handle(), lease.id));
        must(set_size(volume, f.file(), 100));
    }
    SECTION("read") {
        const auto lease = must(f.lease(false));
        must(volume.fallocate(f.file(), 0, FallocateMode::punch, 0, block_size));
        must(set_size(volume, f.file(), 100));
        const auto status = must(volume.pin_status(f.file()));
        CHECK(status.generation > lease.generation);
    }
}

TEST_CASE("lease: UNPIN waits for another's write lease", "[volume][leases]") {
    LeaseFixture f;
    must(f.volume().pin(root_caller(), f.file(), {}));
    must(f.lease(true));
    CHECK(fails(f.volume().unpin(root_caller(), f.file(), {}, 0), Errc::busy));
    must(f.volume().unpin(root_caller(), f.file(), {}, f.handle())); // the holder itself
    CHECK_FALSE(must(f.volume().pin_status(f.file())).pinned);
}

TEST_CASE("lease: PREPARE does not move what somebody leases", "[volume][leases]") {
    LeaseFixture f;
    const InodeNumber other = make_file(f.volume(), root_dir, "other");
    for (std::uint64_t i = 8; i < 16; ++i) {
        f.write(i * block_size, block_size);
        write_at(f.volume(), other, i * block_size, filled(1, 1));
    }
    const auto lease = must(f.lease(false));
    const volume::PinRequest request{{}, 64 * 1024, true, 0};
    CHECK(fails(f.volume().pin(root_caller(), f.file(), request), Errc::busy));
    must(f.volume().release_lease(f.file(), f.reader(), lease.id));
    must(f.volume().pin(root_caller(), f.file(), request));
}

TEST_CASE("lease: freed blocks stay out of use until the lease ends", "[volume][leases]") {
    LeaseFixture f;
    auto &volume = f.volume();
    const auto mapped = f.blocks();
    const auto lease = must(f.lease(false));
    SECTION("by truncation") {
        must(set_size(volume, f.file(), 0));
    }
    SECTION("by punching") {
        must(volume.fallocate(f.file(), 0, FallocateMode::punch, 0, 8 * block_size));
    }
    CHECK_FALSE(share_any(mapped, fill_up(volume)));
    must(volume.release_lease(f.file(), f.reader(), lease.id));
    const InodeNumber hog = must(peek(volume, root_dir, "hog")).number;
    const auto size = stat_of(volume, hog).size;
    // Now there is room again.
    CHECK(must(volume.write(hog, 0, size, filled(4 * block_size, 0x43))) == 4 * block_size);
}

TEST_CASE("lease: an unlinked file's blocks stay until the handle goes", "[volume][leases]") {
    LeaseFixture f;
    auto &volume = f.volume();
    const auto mapped = f.blocks();
    must(f.lease(false));
    unlink(volume, root_dir, "f");
    volume.forget(f.file(), 1);
    finish_background(volume);
    CHECK_FALSE(share_any(mapped, fill_up(volume)));
}

TEST_CASE("lease: after a kill in the same boot its blocks are not reused", "[volume][leases]") {
    LeaseFixture f;
    const auto mapped = f.blocks();
    must(f.lease(false));
    must(f.fixture().kill_and_mount());
    const bool same_boot = GENERATE(true, false);
    if (!same_boot) {
        f.fixture().env().set_boot(2);
        f.fixture().remount();
    }
    must(set_size(f.volume(), f.file(), 0));
    CHECK(share_any(mapped, fill_up(f.volume())) == !same_boot);
}

TEST_CASE("lease: a write lease takes privileges and sets times, at grant and at release",
          "[volume][leases]") {
    LeaseFixture f;
    auto &volume = f.volume();
    volume::AttributeChange change;
    const auto set_privileges = [&] {
        change.mode = 06755;
        must(volume.set_attributes(root_caller(), f.file(), change));
        must(volume.set_xattr(root_caller(), f.file(), "security.capability", filled(20, 1),
                              inode::XattrMode::any));
        return stat_of(volume, f.file());
    };
    const auto check_cleared = [&](const inode::Attributes &before) {
        const auto after = stat_of(volume, f.file());
        CHECK((after.mode & 07777) == 0755);
        CHECK(after.mtime_ns > before.mtime_ns);
        CHECK(after.ctime_ns > before.ctime_ns);
        CHECK(fails(volume.get_xattr(root_caller(), f.file(), "security.capability"),
                    Errc::no_attribute));
    };
    const auto first = set_privileges();
    must(f.lease(true));
    check_cleared(first);
    const auto second = set_privileges();
    volume.release(f.file(), f.handle());
    check_cleared(second);
}

TEST_CASE("lease: release of the handle ends it", "[volume][leases]") {
    LeaseFixture f;
    must(f.lease(true));
    CHECK(fails(set_size(f.volume(), f.file(), 0), Errc::pinned));
    f.volume().release(f.file(), f.handle());
    must(set_size(f.volume(), f.file(), 0));
}

TEST_CASE("lease: opens are direct while it lives, a cached handle is in the way",
          "[volume][leases]") {
    LeaseFixture f;
    auto &volume = f.volume();
    const auto cached = must(volume.open_file(root_caller(), f.file(), for_reading()));
    CHECK(fails(f.lease(false), Errc::busy));
    volume.release(f.file(), cached.handle);
    const auto lease = must(f.lease(false));
    const auto direct = must(volume.open_file(root_caller(), f.file(), for_reading()));
    CHECK(direct.direct);
    volume.release(f.file(), direct.handle);
    must(volume.release_lease(f.file(), f.reader(), lease.id));
    const auto after = must(volume.open_file(root_caller(), f.file(), for_reading()));
    CHECK_FALSE(after.direct);
    CHECK_FALSE(after.keep_cache);
    volume.release(f.file(), after.handle);
}

TEST_CASE("lease: the end of the last block is zeros when it is granted", "[volume][leases]") {
    LeaseFixture f;
    must(set_size(f.volume(), f.file(), 100)); // leaves data behind the end
    must(f.lease(false));
    const auto extents = must(f.volume().extents(f.file(), f.reader(), 0, 0, 10)).extents;
    const auto media = f.fixture().media().bytes().subspan(extents[0].device_offset, block_size);
    CHECK(all_zero(media.subspan(100)));
}

namespace {

using Counts = std::vector<std::size_t>;

// Stores into every line of the file as a program that maps it would, and knows what is durable.
class MappedStores : public EventSink {
  public:
    explicit MappedStores(LeaseFixture &f)
        : media_(f.fixture().media()), model_(media_.options().domain, media_.bytes()) {
        for (const auto &extent : must(f.volume().show_extents(f.file())))
            for (std::uint64_t at = 0; at < extent.length; at += line)
                places_[extent.file_offset + at] = extent.device_offset + at;
        media_.set_sink(this);
        for (const auto &[offset, place] : places_)
            model_.store(place, filled(line, stored), device::StoreKind::cached, thread_number());
    }
    ~MappedStores() override { media_.set_sink(nullptr); }

    // Lines of the file that are durable and overlap the range; of all that do.
    Counts durable_of(std::uint64_t first, std::uint64_t end) const {
        Counts counts(2);
        for (const auto &[offset, place] : places_)
            if (offset + line > first && offset < end) {
                counts[0] += model_.durable()[place] == std::byte{stored};
                ++counts[1];
            }
        return counts;
    }

    void about_to_store(const SimMedia &, std::uint64_t offset, std::span<const std::byte> in,
                        device::StoreKind kind) override {
        model_.store(offset, in, kind, thread_number());
    }
    void flushed(const SimMedia &, std::uint64_t offset, std::uint64_t length) override {
        model_.flush(offset, length, thread_number());
    }
    void drained(const SimMedia &) override { model_.drain(thread_number()); }

  private:
    static constexpr std::uint64_t line = 64;
    static constexpr unsigned char stored = 0x5a;
    SimMedia &media_;
    PersistenceModel model_;
    std::map<std::uint64_t, std::uint64_t> places_; // on the media, by offset in the file
};

} // namespace

TEST_CASE("sync: ranges of any shape are written back", "[volume][leases]") {
    constexpr std::uint64_t whole = 8 * block_size;
    LeaseFixture f;
    MappedStores stores(f);
    CHECK(stores.durable_of(0, whole) == Counts{0, whole / 64});
    must(f.volume().sync_range(f.file(), {std::uint64_t{1} << 40, 5000}));
    CHECK(stores.durable_of(0, whole)[0] == 0);
    must(f.volume().sync_range(f.file(), {17, 5000}));
    CHECK(stores.durable_of(17, 5017) == Counts{79, 79});
    must(f.volume().sync_range(f.file(), {}));
    CHECK(stores.durable_of(0, whole) == Counts{whole / 64, whole / 64});
    CHECK(fails(f.volume().sync_range(f.file(), {5, ~std::uint64_t{0}}), Errc::invalid));
}

TEST_CASE("sync: many extents are written back", "[volume][leases]") {
    constexpr std::uint64_t count = 150;
    LeaseFixture f;
    for (std::uint64_t i = 4; i < count; ++i)
        f.write(2 * i * block_size, block_size); // with holes between them
    MappedStores stores(f);
    must(f.volume().sync_range(f.file(), {}));
    const auto durable = stores.durable_of(0, 2 * count * block_size);
    CHECK(durable == Counts{(count + 4) * 64, (count + 4) * 64});
}

TEST_CASE("lease: asked back by the owner or root, it seals for a while", "[volume][leases]") {
    constexpr std::int64_t second_ns = 1'000'000'000;
    volume::Options options;
    options.lease_break_s = 45;
    LeaseFixture f(options);
    volume::Caller owner;
    owner.uid = 1000;
    volume::AttributeChange ownership;
    ownership.uid = owner.uid;
    must(f.volume().set_attributes(root_caller(), f.file(), ownership));
    const auto lease = must(f.lease(true));
    const std::int64_t start = f.fixture().env().since_boot_ns();
    volume::Caller stranger;
    stranger.uid = 1001;
    CHECK(fails(f.volume().ask_leases_back(stranger, f.file()), Errc::not_permitted));
    CHECK_FALSE(f.volume().asked_back(f.file()));
    must(f.volume().ask_leases_back(owner, f.file()));
    CHECK(f.volume().asked_back(f.file()));
    CHECK(must(f.volume().pin_status(f.file())).asked_back);

    const auto punch = [&] {
        return f.volume().fallocate(f.file(), 0, FallocateMode::punch, 0, block_size);
    };
    f.fixture().env().set_since_boot_ns(start + 44 * second_ns);
    must(f.volume().ask_leases_back(root_caller(), f.file()));                   // buys no time
    f.fixture().env().set_now_ns(f.fixture().env().now_ns() + 3600 * second_ns); // somebody sets it
    CHECK(fails(punch(), Errc::pinned));
    f.fixture().env().set_since_boot_ns(start + 46 * second_ns);
    const auto before = f.blocks();
    must(punch());
    CHECK(must(f.volume().pin_status(f.file())).generation != lease.generation);
    CHECK_FALSE(share_any(before, fill_up(f.volume()))); // it may still be mapped
    must(f.volume().release_lease(f.file(), f.handle(), lease.id));
    CHECK_FALSE(f.volume().asked_back(f.file()));
}

TEST_CASE("lease: root asks back, also if his capabilities cannot be read", "[volume][leases]") {
    LeaseFixture f;
    volume::AttributeChange ownership;
    ownership.uid = 1000;
    must(f.volume().set_attributes(root_caller(), f.file(), ownership));
    must(f.lease(true));
    must(f.volume().ask_leases_back(volume::Caller{.uid = 0}, f.file()));
    CHECK(f.volume().asked_back(f.file()));
}

TEST_CASE("lease: one granted after others were asked back is none of them", "[volume][leases]") {
    volume::Options options;
    options.lease_break_s = 0;
    LeaseFixture f(options);
    const auto old = must(f.lease(true));
    must(f.volume().ask_leases_back(root_caller(), f.file()));
    must(f.volume().release_lease(f.file(), f.handle(), old.id));
    must(f.lease(true));
    CHECK_FALSE(f.volume().asked_back(f.file()));
    CHECK(fails(f.volume().fallocate(f.file(), 0, FallocateMode::punch, 0, block_size),
                Errc::pinned));
}

TEST_CASE("lease: UNPIN waits for no lease that was asked back in vain", "[volume][leases]") {
    volume::Options options;
    options.lease_break_s = 0;
    LeaseFixture f(options);
    must(f.volume().pin(root_caller(), f.file(), {}));
    must(f.lease(true));
    CHECK(fails(f.volume().unpin(root_caller(), f.file(), {}, 0), Errc::busy));
    must(f.volume().ask_leases_back(root_caller(), f.file()));
    must(f.volume().unpin(root_caller(), f.file(), {}, 0));
}
