// SPDX-License-Identifier: BSD-3-Clause
//
// Free space that was zeroed ahead of need: PREPARE and EXTEND find it, and zero nothing; what
// somebody may still map is none of it.
#include "file_helpers.h"

#include <atomic>
#include <thread>

using namespace daxpin;
using namespace daxpin::test;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr unsigned garbage = 0xa5;

// Stores of zeros into data blocks, in bytes.
class ZeroCounter : public EventSink {
  public:
    void about_to_store(const SimMedia &, std::uint64_t, std::span<const std::byte> in,
                        device::StoreKind) override {
        if (in.size() >= block_size && all_zero(in))
            bytes_ += in.size();
    }
    void flushed(const SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const SimMedia &) override {}
    std::uint64_t take() { return std::exchange(bytes_, 0); }

  private:
    std::uint64_t bytes_ = 0;
};

// A volume whose free blocks are full of what others had there.
class AgedVolume {
  public:
    explicit AgedVolume(std::uint64_t mapping_unit = block_size, unsigned data_devices = 0)
        : fixture_(shape(mapping_unit, data_devices)) {
        const InodeNumber hog = make_file(volume(), root_dir, "hog");
        std::uint64_t at = 0;
        while (volume().write(hog, 0, at, filled(256 * 1024, garbage)))
            at += 256 * 1024;
        remove(hog, "hog");
    }

    volume::Volume &volume() { return fixture_.volume(); }
    VolumeFixture &fixture() { return fixture_; }

    void remove(InodeNumber file, const char *name) {
        unlink(volume(), root_dir, name);
        volume().forget(file, 1);
        finish_background(volume());
    }
    void zero_all() {
        must(volume().checkpoint());
        while (must(volume().prezero_step()))
            continue;
    }
    InodeNumber sparse_file(const char *name, std::uint64_t size) {
        const InodeNumber file = make_file(volume(), root_dir, name);
        must(set_size(volume(), file, size));
        return file;
    }
    Result<void> prepare(InodeNumber file, std::uint64_t align = 0) {
        return volume().pin(root_caller(), file, {{}, align, true, 0});
    }
    std::span<std::byte> media_at(const volume::ExtentInfo &extent) {
        return fixture_.media(extent.device).bytes().subspan(extent.device_offset, extent.length);
    }

  private:
    static VolumeShape shape(std::uint64_t mapping_unit, unsigned data_devices) {
        VolumeShape shape;
        shape.device_bytes = shape.data_bytes = 16 * mib;
        shape.journal_bytes = 256 * 1024;
        shape.mapping_unit = mapping_unit;
        shape.data_devices = data_devices;
        return shape;
    }
    VolumeFixture fixture_;
};

} // namespace

TEST_CASE("prezero: PREPARE finds zeros, and stores none", "[volume][prezero]") {
    const auto [unit, align] = GENERATE(table<std::uint64_t, std::uint64_t>(
        {{block_size, 0}, {block_size, 64 * 1024}, {64 * 1024, 0}, {block_size, 2 * mib}}));
    AgedVolume v(unit, GENERATE(0U, 2U));
    const InodeNumber file = v.sparse_file("f", 4 * mib);
    const bool ahead = GENERATE(false, true);
    if (ahead)
        v.zero_all();
    const auto before = v.volume().prezeroed_bytes();
    CHECK((before > 4 * mib) == ahead);
    ZeroCounter counter;
    for (const auto &media : v.fixture().all_media())
        media->set_sink(&counter);
    must(v.prepare(file, align));
    for (const auto &media : v.fixture().all_media())
        media->set_sink(nullptr);
    CHECK(counter.take() == (ahead ? 0 : 4 * mib));
    CHECK(v.volume().prezeroed_bytes() == before - (ahead ? 4 * mib : 0));
    CHECK(all_zero(read_all(v.volume(), file)));
    check_and_remount(v.fixture());
    CHECK(all_zero(read_all(v.volume(), file)));
}

TEST_CASE("prezero: EXTEND finds zeros behind the old end", "[volume][prezero]") {
    AgedVolume v;
    const InodeNumber file = v.sparse_file("f", mib + 100);
    v.zero_all();
    must(v.prepare(file));
    ZeroCounter counter;
    v.fixture().media().set_sink(&counter);
    must(v.volume().extend(root_caller(), file, 4 * mib, 0));
    v.fixture().media().set_sink(nullptr);
    CHECK(counter.take() == 0);
    CHECK(all_zero(read_all(v.volume(), file)));
    CHECK(must(v.volume().show_extents(file)).size() == 1);
}

TEST_CASE("prezero: a file that grows where no zeros are known is zeroed there",
          "[volume][prezero]") {
    AgedVolume v;
    while (v.volume().prezeroed_bytes() < 2 * mib)
        must(v.volume().prezero_step());
    const InodeNumber file = v.sparse_file("f", 6 * mib);
    must(v.prepare(file));
    CHECK(all_zero(read_all(v.volume(), file)));
    CHECK(v.volume().prezeroed_bytes() < 2 * mib);
}

TEST_CASE("prezero: PREPARE that moves data keeps it, between zeros", "[volume][prezero]") {
    AgedVolume v;
    const InodeNumber file = v.sparse_file("f", 2 * mib);
    const InodeNumber other = make_file(v.volume(), root_dir, "other");
    for (const std::uint64_t at : {0, 3, 5}) {
        write_at(v.volume(), file, at * 100'000, filled(5000, 0x31));
        write_at(v.volume(), other, at * 100'000, filled(5000, 0x32));
    }
    const Data expected = read_all(v.volume(), file);
    v.zero_all();
    must(v.prepare(file, 2 * mib));
    CHECK(read_all(v.volume(), file) == expected);
}

TEST_CASE("prezero: blocks under a lease are left until it ends", "[volume][prezero]") {
    AgedVolume v;
    const InodeNumber file = make_file(v.volume(), root_dir, "f");
    write_at(v.volume(), file, 0, filled(4 * mib, 0x41));
    const auto handle = open_handle(v.volume(), file, for_reading(true));
    const auto lease = must(v.volume().lease(root_caller(), file, {}, false, false, handle)).id;
    const auto mapped = must(v.volume().show_extents(file));
    must(set_size(v.volume(), file, 0));
    finish_background(v.volume());
    v.zero_all();
    REQUIRE(v.volume().prezeroed_bytes() > 0);
    const auto still_there = [&] {
        for (const auto &extent : mapped)
            for (const std::byte byte : v.media_at(extent))
                if (byte != std::byte{0x41})
                    return false;
        return true;
    };
    CHECK(still_there());
    const auto known = v.volume().prezeroed_bytes();
    // A store through the mapping, later than all zeroing, must be in nobody's file.
    for (const auto &extent : mapped)
        std::ranges::fill(v.media_at(extent), std::byte{0x42});
    const InodeNumber victim = v.sparse_file("victim", known - mib);
    must(v.prepare(victim));
    CHECK(all_zero(read_all(v.volume(), victim)));
    must(v.volume().release_lease(file, handle, lease));
    finish_background(v.volume());
    v.zero_all();
    CHECK(v.volume().prezeroed_bytes() >= 4 * mib);
    for (const auto &extent : mapped)
        CHECK(all_zero(v.media_at(extent)));
    v.volume().release(file, handle);
}

TEST_CASE("prezero: what a client left in its blocks is zeroed after the lease",
          "[volume][prezero]") {
    AgedVolume v;
    const InodeNumber file = v.sparse_file("f", mib);
    v.zero_all();
    must(v.prepare(file));
    for (const auto &extent : must(v.volume().show_extents(file)))
        std::ranges::fill(v.media_at(extent), std::byte{0x43}); // by a mapping
    must(v.volume().unpin(root_caller(), file, {}, 0));
    v.remove(file, "f");
    const InodeNumber next = v.sparse_file("next", 13 * mib);
    if (GENERATE(false, true))
        v.zero_all();
    must(v.prepare(next));
    CHECK(all_zero(read_all(v.volume(), next)));
}

TEST_CASE("prezero: a read-only volume is left alone", "[volume][prezero]") {
    AgedVolume v;
    must(v.volume().set_read_only(true));
    ZeroCounter counter;
    v.fixture().media().set_sink(&counter);
    CHECK_FALSE(must(v.volume().prezero_step()));
    v.fixture().media().set_sink(nullptr);
    CHECK(counter.take() == 0);
    CHECK(v.volume().prezeroed_bytes() == 0);
}

TEST_CASE("prezero: others' files stay whole beside it", "[volume][prezero]") {
    AgedVolume v;
    std::atomic<bool> stop = false;
    std::atomic<bool> failed = false;
    std::thread zeroing([&] {
        while (!stop) {
            if (!v.volume().prezero_step())
                failed = true;
            std::this_thread::yield();
        }
    });
    std::thread writing([&] {
        const auto data = filled(512 * 1024, garbage);
        for (unsigned round = 0; round < 10; ++round) {
            const auto file = v.volume().make_node(root_caller(), root_dir, "w", node(S_IFREG));
            const auto wrote = v.volume().write(file->number, 0, 0, data);
            const auto reply = v.volume().read(file->number, 0, 0, data.size());
            std::uint64_t at = 0;
            for (const auto segment : reply->segments) {
                if (!std::ranges::equal(segment, std::span(data).subspan(at, segment.size())))
                    failed = true;
                at += segment.size();
            }
            if (!wrote || at != data.size() || !v.volume().unlink(root_caller(), root_dir, "w"))
                failed = true;
            v.volume().forget(file->number, 1);
        }
    });
    for (unsigned round = 0; round < 10; ++round) {
        const InodeNumber file = v.sparse_file("p", 3 * mib);
        must(v.prepare(file));
        CHECK(all_zero(read_all(v.volume(), file)));
        must(v.volume().unpin(root_caller(), file, {}, 0));
        write_at(v.volume(), file, 0, filled(mib, garbage));
        v.remove(file, "p");
    }
    writing.join();
    stop = true;
    zeroing.join();
    CHECK_FALSE(failed);
    check_and_remount(v.fixture());
}
