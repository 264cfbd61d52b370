// SPDX-License-Identifier: BSD-3-Clause
//
// Devices that count the power losses at which they could not flush.
#include "helpers.h"

#include "tools/fsck/check.h"

using namespace daxpin;
using namespace daxpin::test;

namespace {

std::vector<std::string> reports_after_mount(VolumeFixture &fixture) {
    fixture.remount();
    return fixture->take_media_reports();
}

std::vector<std::string> notes_of_fsck(VolumeFixture &fixture) {
    std::vector<std::string> notes;
    const auto report = fsck::check(open_table(fixture.all_media()));
    CHECK(report.clean());
    for (const auto &finding : report.findings)
        if (finding.severity == fsck::Severity::note)
            notes.push_back(finding.text);
    return notes;
}

} // namespace

TEST_CASE("unsafe shutdowns: the first count is remembered, a rise is reported once", "[volume]") {
    VolumeFixture fixture({.data_devices = 1});
    fixture.media(0).tell_unsafe_shutdowns(7);
    fixture.media(1).tell_unsafe_shutdowns(0);
    CHECK(reports_after_mount(fixture).empty());
    fixture.media(1).tell_unsafe_shutdowns(2);
    fixture.unmount();
    const auto notes = notes_of_fsck(fixture);
    REQUIRE(notes.size() == 1);
    CHECK_THAT(notes[0], Catch::Contains("unsafe shutdowns since the last mount: 2"));
    must(fixture.mount());
    const auto reports = fixture->take_media_reports();
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], Catch::Contains("2 unsafe shutdown(s) since the last mount"));
    fixture.unmount();
    CHECK(notes_of_fsck(fixture).empty());
    must(fixture.mount());
    CHECK(fixture->take_media_reports().empty());
}

TEST_CASE("unsafe shutdowns: a killed daemon remembers them", "[volume]") {
    VolumeFixture fixture;
    fixture.media().tell_unsafe_shutdowns(3);
    fixture.remount();
    must(fixture.kill_and_mount());
    CHECK(fixture->take_media_reports().empty());
    fixture.media().tell_unsafe_shutdowns(4);
    must(fixture.kill_and_mount());
    CHECK(fixture->take_media_reports().size() == 1);
}

TEST_CASE("unsafe shutdowns: a lower count, or none, is a device's own business", "[volume]") {
    VolumeFixture fixture;
    fixture.media().tell_unsafe_shutdowns(5);
    CHECK(reports_after_mount(fixture).empty());
    fixture.media().tell_unsafe_shutdowns(std::nullopt);
    CHECK(reports_after_mount(fixture).empty());
    fixture.media().tell_unsafe_shutdowns(1);
    CHECK(reports_after_mount(fixture).empty());
    fixture.media().tell_unsafe_shutdowns(2);
    CHECK(reports_after_mount(fixture).size() == 1);
}

TEST_CASE("unsafe shutdowns: a mount that only reads reports them and forgets", "[volume]") {
    VolumeFixture fixture;
    fixture.media().tell_unsafe_shutdowns(1);
    fixture.remount();
    fixture.unmount();
    fixture.media().tell_unsafe_shutdowns(2);
    volume::Options reading;
    reading.read_only = true;
    for (int mount = 0; mount < 2; ++mount) {
        auto volume =
            must(volume::Volume::open(open_table(fixture.all_media()), fixture.env(), reading));
        CHECK(volume->take_media_reports().size() == 1);
    }
    auto volume =
        must(volume::Volume::open(open_table(fixture.all_media()), fixture.env(), reading));
    must(volume->set_read_only(false));
    CHECK(volume->take_media_reports().size() == 1); // not again
    volume.reset();
    must(fixture.mount());
    CHECK(fixture->take_media_reports().empty());
}
