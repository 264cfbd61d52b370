// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/pin_attributes.h"

#include "support/catch.h"
#include "unit/volume/helpers.h"

using namespace daxpin;
using namespace daxpin::fusefs;
using namespace daxpin::test;

TEST_CASE("pin attributes: the whole namespace is reserved", "[fusefs]") {
    CHECK(is_pin_attribute("user.daxpin.pin"));
    CHECK(is_pin_attribute("user.daxpin.anything"));
    CHECK_FALSE(is_pin_attribute("user.daxpin"));
    CHECK_FALSE(is_pin_attribute("user.daxpinned"));
}

TEST_CASE("pin attributes: extents are a line each", "[fusefs]") {
    const std::vector<volume::ExtentInfo> extents{{0, 1, 8192, 4096, false},
                                                  {4096, 0, 0, 8192, true}};
    CHECK(*extents_text(extents) == "0 4096 1 8192\n4096 8192 0 0 unwritten\n");
    CHECK(*extents_text({}) == "");
}

TEST_CASE("pin attributes: extents that do not fit 64 KiB are too big", "[fusefs]") {
    CHECK(extents_text(std::vector<volume::ExtentInfo>(10'000)).code() == Errc::too_big);
}

TEST_CASE("pin attributes: 1 pins, 0 and removal unpin", "[fusefs]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "file");
    volume::OpenRequest for_writing;
    for_writing.write = true;
    const auto open = must(volume.open_file(root_caller(), file, for_writing));
    must(volume.write(file, open.handle, 0, std::vector<std::byte>(5000)));
    volume.release(file, open.handle);
    const auto pin_value = [&] { return must(get_pin_attribute(volume, file, "user.daxpin.pin")); };
    CHECK(pin_value() == "0");
    must(set_pin_attribute(volume, root_caller(), file, "user.daxpin.pin", "1"));
    CHECK(pin_value() == "1");
    CHECK_THAT(must(get_pin_attribute(volume, file, "user.daxpin.status")),
               Catch::Contains("pinned whole\npinned_bytes 8192\nleases 0\nasked_back no\n"));
    must(set_pin_attribute(volume, root_caller(), file, "user.daxpin.pin", "0"));
    CHECK(pin_value() == "0");
    must(set_pin_attribute(volume, root_caller(), file, "user.daxpin.pin", "1"));
    must(remove_pin_attribute(volume, root_caller(), file, "user.daxpin.pin"));
    CHECK(pin_value() == "0");
}

TEST_CASE("pin attributes: other names and values are refused", "[fusefs]") {
    VolumeFixture fixture;
    auto &volume = fixture.volume();
    const InodeNumber file = make_file(volume, root_dir, "file");
    const auto set = [&](std::string_view name, std::string_view value) {
        return set_pin_attribute(volume, root_caller(), file, name, value).code();
    };
    CHECK(set("user.daxpin.pin", "2") == Errc::invalid);
    CHECK(set("user.daxpin.extents", "1") == Errc::not_permitted);
    CHECK(set("user.daxpin.status", "1") == Errc::not_permitted);
    CHECK(set("user.daxpin.other", "1") == Errc::invalid);
    CHECK(fails(get_pin_attribute(volume, file, "user.daxpin.other"), Errc::no_attribute));
    CHECK(fails(get_pin_attribute(volume, root_dir, "user.daxpin.pin"), Errc::no_attribute));
}
