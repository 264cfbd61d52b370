// SPDX-License-Identifier: BSD-3-Clause
//
// Formatting, opening, remounting, failing.
#include "file_helpers.h"
#include "power_cut.h"

#include "base/checksum.h"
#include "device/label.h"

#include <set>

using namespace daxpin;
using namespace daxpin::test;

namespace {

Result<format::Superblock> format_on(std::uint64_t bytes, const volume::FormatOptions &options) {
    TestEnv env;
    SimOptions shape;
    shape.size = bytes;
    auto devices = open_table({SimMedia::create(shape)});
    return volume::format_volume(devices, options, env);
}

} // namespace

TEST_CASE("format: the journal's size follows the device's", "[volume]") {
    constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
    CHECK(volume::default_journal_bytes(mib) == 256 * kib);
    CHECK(volume::default_journal_bytes(64 * mib) == 512 * kib);
    CHECK(volume::default_journal_bytes(4 * gib) == 32 * mib);
    CHECK(volume::default_journal_bytes(8 * gib) == 64 * mib);
    CHECK(volume::default_journal_bytes(400 * gib) == 64 * mib);
}

TEST_CASE("format: what cannot be is refused with a reason", "[volume]") {
    volume::FormatOptions options;
    const auto refused = [&](std::uint64_t bytes) {
        const auto result = format_on(bytes, options);
        return fails(result, Errc::invalid) && !result.error().text.empty();
    };
    CHECK(refused(volume::device_bytes_min() - block_size));
    CHECK(format_on(volume::device_bytes_min(), options).has_value());
    options.journal_bytes = 60 * 1024;
    CHECK(refused(4U << 20));
    options.journal_bytes = (1U << 20) + block_size;
    CHECK(refused(4U << 20));
    options.journal_bytes = 65537;
    CHECK(refused(4U << 20));
    options.journal_bytes = 0;
    options.label = std::string(65, 'l');
    CHECK(refused(4U << 20));
    options.label = std::string(64, 'l');
    CHECK(format_on(4U << 20, options).has_value());
}

TEST_CASE("format: a bad block at a fixed place is made good", "[volume]") {
    TestEnv env;
    const auto media = SimMedia::create({.size = volume::device_bytes_min()});
    media->heal_on_rewrite(true);
    const std::uint64_t last = volume::device_bytes_min() / block_size - 1;
    const auto format = [&] {
        auto devices = open_table({media});
        return must(volume::format_volume(devices, {}, env)).root;
    };
    const std::uint64_t root = format();
    for (std::uint64_t block = 0; block <= last; block = block == root ? last : block + 1) {
        CAPTURE(block);
        media->poison(block * block_size, block_size);
        CHECK(format() == root);
        CHECK(media->poison().length == 0);
        CHECK(volume::Volume::open(open_table({media}), env, {}).has_value());
    }
}

TEST_CASE("format: a block that stays bad is named", "[volume]") {
    TestEnv env;
    const auto media = SimMedia::create({.size = volume::device_bytes_min()});
    media->poison(20 * block_size, block_size);
    auto devices = open_table({media});
    const auto made = volume::format_volume(devices, {}, env);
    CHECK(fails(made, Errc::io));
    CHECK(made.error().text.find("block 20,") != std::string::npos);
}

TEST_CASE("format: the root directory belongs to whom the options say", "[volume]") {
    TestEnv env;
    const auto media = SimMedia::create();
    volume::FormatOptions options;
    options.uid = 1000;
    options.gid = 100;
    options.journal_start = 640;
    {
        auto devices = open_table({media});
        must(volume::format_volume(devices, options, env));
    }
    const auto volume = must(volume::Volume::open(open_table({media}), env, {}));
    const auto root = stat_of(*volume, root_dir);
    CHECK(root.uid == 1000);
    CHECK(root.gid == 100);
    CHECK(root.mode == (S_IFDIR | 0755));
    CHECK(root.link_count == 2);
    CHECK(volume->records_replayed() == 0);
}

TEST_CASE("format: with a separate metadata device data lies on the others", "[volume]") {
    VolumeShape shape;
    shape.data_devices = 2;
    VolumeFixture fixture(shape);
    const auto statistics = must(fixture->statistics());
    CHECK(statistics.total_blocks <= 2 * shape.data_bytes / block_size);
    CHECK(statistics.available_blocks <= statistics.free_blocks);
    for (unsigned i = 0; i < 3; ++i) {
        const auto label = must(device::read_label(fixture->devices().at(i)));
        CHECK(label.index == i);
        CHECK(label.role ==
              static_cast<std::uint32_t>(i == 0 ? format::Role::metadata : format::Role::data));
    }
    make_file(fixture.volume(), root_dir, "file");
    fixture.remount();
    CHECK(is_there(fixture.volume(), root_dir, "file"));
}

TEST_CASE("open: a lost superblock copy is restored from the other", "[volume]") {
    VolumeFixture fixture;
    make_file(fixture.volume(), root_dir, "file");
    fixture.unmount();
    auto bytes = fixture.media().bytes();
    std::fill_n(bytes.begin(), block_size, std::byte{0});
    must(fixture.mount());
    CHECK(is_there(fixture.volume(), root_dir, "file"));
    fixture.unmount();
    std::fill_n(bytes.end() - block_size, block_size, std::byte{0});
    must(fixture.mount());
    CHECK(is_there(fixture.volume(), root_dir, "file"));
}

TEST_CASE("open: without a checkpoint the journal is replayed", "[volume]") {
    VolumeFixture fixture;
    make_file(fixture.volume(), root_dir, "file");
    must(fixture.kill_and_mount());
    CHECK(fixture->records_replayed() > 0);
    CHECK(is_there(fixture.volume(), root_dir, "file"));
    fixture.remount();
    CHECK(fixture->records_replayed() == 0);
    make_file(fixture.volume(), root_dir, "other");
    must(fixture->checkpoint());
    must(fixture.kill_and_mount());
    CHECK(fixture->records_replayed() == 0);
}

TEST_CASE("read-only: every change is refused, reading goes on", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const auto caller = root_caller();
    const auto file = make_file(volume, root_dir, "file");
    must(volume.set_read_only(true));
    CHECK(volume.read_only());
    const auto refuses = [](const auto &result) { return fails(result, Errc::read_only); };
    volume::AttributeChange change;
    change.mode = 0;
    CHECK(refuses(volume.make_node(caller, root_dir, "x", node(S_IFREG))));
    CHECK(refuses(volume.create(caller, root_dir, "x", node(S_IFREG), {})));
    CHECK(refuses(volume.create_unnamed(caller, root_dir, node(S_IFREG), {})));
    CHECK(refuses(volume.unlink(caller, root_dir, "file")));
    CHECK(
        refuses(volume.rename(caller, root_dir, "file", root_dir, "x", volume::RenameMode::plain)));
    CHECK(refuses(volume.link(caller, file, root_dir, "x")));
    CHECK(refuses(volume.set_attributes(caller, file, change)));
    CHECK(refuses(volume.set_xattr(caller, file, "user.a", {}, inode::XattrMode::any)));
    CHECK(refuses(volume.remove_xattr(caller, file, "user.a")));
    CHECK(refuses(volume.set_flags(caller, file, 0, {})));
    CHECK(must(peek(volume, root_dir, "file")).number == file);
    CHECK_FALSE(must(volume.background_step()));
    must(volume.set_read_only(false));
    unlink(volume, root_dir, "file");
}

TEST_CASE("failure: the first answer is EIO, then the volume is read-only", "[volume]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    make_file(volume, root_dir, "file");
    fixture.media().fail_drains_from(1);
    const auto make = [&](std::string_view name) {
        return volume.make_node(root_caller(), root_dir, name, node(S_IFREG | 0644));
    };
    CHECK(fails(make("first"), Errc::io));
    CHECK(fails(make("second"), Errc::read_only));
    CHECK(volume.failed());
    CHECK(volume.read_only());
    CHECK(fails(volume.set_read_only(false), Errc::read_only));
    CHECK(is_there(volume, root_dir, "file"));
}

namespace {

// The n-th drain from the rename on fails, and all after it; then the power goes. False if there
// were not as many.
bool cut_after_failure(device::Domain domain, std::uint64_t n) {
    VolumeShape shape;
    shape.device_bytes = 1U << 20;
    shape.domain = domain;
    VolumeFixture fixture(shape);
    make_file(fixture.volume(), root_dir, "old");
    fixture.unmount();
    const Data initial(fixture.media().bytes().begin(), fixture.media().bytes().end());
    TraceRecorder recorder(fixture.all_media());
    must(fixture.mount());
    auto &volume = fixture.volume();
    fixture.media().fail_drains_from(n);
    const bool renamed =
        volume.rename(root_caller(), root_dir, "old", root_dir, "new", volume::RenameMode::plain)
            .has_value();
    for (int i = 0; i < 2; ++i) {
        const bool failed = volume.failed();
        const auto events = recorder.trace().events.size();
        static_cast<void>(volume.checkpoint().has_value());
        CHECK((!failed || recorder.trace().events.size() == events)); // nothing is written any more
    }
    PowerCut cut(fixture.media().options(), initial, recorder.trace());
    cut.to_end();
    for (std::uint64_t seed = 0; seed < 64; ++seed) {
        CAPTURE(n, renamed, seed);
        const auto media = cut.state(seed);
        const auto report = fsck::check(open_table({media}));
        for (const auto &finding : report.findings)
            UNSCOPED_INFO(finding.text);
        REQUIRE(report.errors == 0);
        TestEnv env;
        const auto left = must(volume::Volume::open(open_table({media}), env, {}));
        const auto names = names_in(*left, root_dir);
        REQUIRE(names.size() == 1);
        REQUIRE((names[0] == "new" || (names[0] == "old" && !renamed)));
    }
    return volume.failed();
}

} // namespace

TEST_CASE("failure: a power failure after it leaves a whole volume", "[volume]") {
    const auto domain = GENERATE(device::Domain::cache_line, device::Domain::page);
    std::uint64_t n = 1;
    while (cut_after_failure(domain, n))
        ++n;
    CHECK(n > 2);
}

TEST_CASE("open: sixteen devices, as many as there may be, are used and come back", "[volume]") {
    VolumeShape shape;
    shape.data_devices = format::devices_max - 1;
    shape.data_bytes = 1U << 20;
    VolumeFixture fixture(shape);
    std::vector<Data> written;
    std::set<std::uint32_t> used;
    for (std::size_t length = 256U << 10; length > 0;) {
        auto &volume = fixture.volume();
        const auto name = "f" + std::to_string(written.size());
        const InodeNumber file = make_file(volume, root_dir, name);
        Data data = filled(length, 1 + unsigned(written.size()));
        const auto count = volume.write(file, 0, 0, data);
        if (!count || *count != length) {
            length = 0;
            data.resize(count.value_or(0));
        }
        for (const auto &extent : must(volume.show_extents(file)))
            used.insert(extent.device);
        written.push_back(std::move(data));
    }
    CHECK(used.size() == format::devices_max - 1);
    check_and_remount(fixture);
    for (std::size_t i = 0; i < written.size(); ++i) {
        CAPTURE(i);
        const auto found = must(peek(fixture.volume(), root_dir, "f" + std::to_string(i)));
        CHECK((read_all(fixture.volume(), found.number) == written[i]));
    }
}

TEST_CASE("open: a device table that cannot be is refused, though its checksum is right",
          "[volume]") {
    VolumeFixture fixture;
    fixture.unmount();
    const auto bytes = fixture.media().bytes();
    const auto reseal = [&](std::size_t offset, auto object, const auto &change) {
        for (const std::size_t label : {std::size_t{0}, bytes.size() - block_size}) {
            auto *const at = bytes.data() + label + offset;
            std::memcpy(&object, at, sizeof object);
            change(object);
            object.crc = 0;
            object.crc = crc32c(std::as_bytes(std::span(&object, 1)));
            std::memcpy(at, &object, sizeof object);
        }
    };
    const auto forge = [&](const auto &change) {
        reseal(format::superblock_offset, format::Superblock{},
               [&](auto &superblock) { change(superblock.devices[0]); });
    };
    bool is_sound = false;
    SECTION("unchanged it is opened") {
        forge([](auto &) {});
        is_sound = true;
    }
    SECTION("a mapping unit that is no power of two") {
        forge([](auto &device) { device.mapping_unit = 12288; });
    }
    SECTION("a mapping unit larger than any page") {
        forge([](auto &device) { device.mapping_unit = std::uint64_t{1} << 40; });
    }
    SECTION("a mapping unit that the label has otherwise") {
        forge([](auto &device) { device.mapping_unit = 8192; });
    }
    SECTION("a role that there is not") {
        forge([](auto &device) { device.role = 7; });
    }
    SECTION("a role that the label has otherwise") {
        forge([](auto &device) { device.role = 1; });
    }
    SECTION("a role that the label has, too, but not an only device") {
        forge([](auto &device) { device.role = 1; });
        reseal(0, format::DeviceLabel{}, [](auto &label) {
            label.device_count = 2;
            label.role = 1;
        });
    }
    const auto mounted = fixture.mount();
    CHECK(mounted.has_value() == is_sound);
    CHECK((is_sound || mounted.code() == Errc::corrupt));
}
