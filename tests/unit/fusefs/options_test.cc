// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/options.h"

#include "support/catch.h"

#include <sched.h>
#include <thread>

using namespace daxpin;
using namespace daxpin::fusefs;

namespace {

Result<DaemonOptions> parse(std::vector<const char *> arguments) {
    return parse_options(arguments);
}

DaemonOptions parse_ok(const char *mount_options) {
    auto options = parse({"/dev/dax0.0", "/mnt", "-o", mount_options});
    if (!options)
        FAIL(describe(options.error()));
    return *options;
}

std::string refusal(const char *mount_options) {
    const auto options = parse({"/dev/dax0.0", "/mnt", "-o", mount_options});
    REQUIRE_FALSE(options);
    CHECK(options.code() == Errc::invalid);
    return options.error().text;
}

} // namespace

TEST_CASE("options: device and mount point are the two arguments, in any place", "[fusefs]") {
    const auto options = parse({"-f", "/dev/dax0.0", "-oro", "/mnt"});
    REQUIRE(options);
    CHECK(options->device == "/dev/dax0.0");
    CHECK(options->mountpoint == "/mnt");
    CHECK(options->foreground);
    CHECK(options->volume.read_only);
}

TEST_CASE("options: what stands behind -- is no option", "[fusefs]") {
    const auto options = parse({"-o", "", "--", "-device", "-dir"});
    REQUIRE(options);
    CHECK(options->device == "-device");
    CHECK(options->mountpoint == "-dir");
}

TEST_CASE("options: defaults are those of the manual", "[fusefs]") {
    const DaemonOptions options = parse_ok("defaults");
    CHECK_FALSE(options.volume.read_only);
    CHECK(options.volume.pin == volume::PinPolicy::owner);
    CHECK(options.volume.atime == volume::Atime::relative);
    CHECK(options.volume.directory_atime);
    CHECK(options.volume.dax);
    CHECK_FALSE(options.suid);
    CHECK_FALSE(options.dev);
    CHECK_FALSE(options.prezero);
    CHECK_FALSE(options.allow_other.has_value());
    CHECK_FALSE(options.domain.has_value());
}

TEST_CASE("options: keywords set what they name", "[fusefs]") {
    const DaemonOptions options = parse_ok(
        "domain=cache_line,pin=cap,dax=off,errors=exit,noatime,suid,dev,threads=3,max_idle=2,"
        "spin_us=20,"
        "fsname=pm,log=debug,allow_other,prezero,device=/a,device=/b");
    CHECK(options.prezero);
    CHECK(options.domain == device::Domain::cache_line);
    CHECK(options.volume.pin == volume::PinPolicy::capability);
    CHECK_FALSE(options.volume.dax);
    CHECK(options.volume.errors == volume::OnDamage::exit);
    CHECK(options.volume.atime == volume::Atime::none);
    CHECK(options.suid);
    CHECK(options.dev);
    CHECK(worker_threads(options) == 3);
    CHECK(options.max_idle == 2);
    CHECK(options.stay_awake == std::chrono::microseconds(20));
    CHECK(options.fsname == "pm");
    CHECK(options.log_level == LogLevel::debug);
    CHECK(options.allow_other == true);
    CHECK(options.more_devices == std::vector<std::string>{"/a", "/b"});
}

TEST_CASE("options: damage makes the volume read-only unless errors= says otherwise", "[fusefs]") {
    CHECK(parse_ok("rw").volume.errors == volume::OnDamage::read_only);
    CHECK(parse_ok("errors=continue").volume.errors == volume::OnDamage::go_on);
    CHECK(parse_ok("errors=continue,errors=ro").volume.errors == volume::OnDamage::read_only);
    CHECK_FALSE(parse_options(std::array{"-o", "errors=panic", "/d", "/m"}));
}

TEST_CASE("options: two threads serve in any case", "[fusefs]") {
    CHECK(worker_threads(parse_ok("threads=1")) == 2);
    CHECK(worker_threads(parse_ok("threads=2")) == 2);
    CHECK(worker_threads(parse_ok("rw")) >= 8);
}

TEST_CASE("options: of contradicting words the last wins", "[fusefs]") {
    CHECK_FALSE(parse_ok("ro,rw").volume.read_only);
    CHECK(parse_ok("rw,ro").volume.read_only);
    CHECK(parse_ok("noatime,atime=strictatime").volume.atime == volume::Atime::strict);
    CHECK_FALSE(parse_ok("diratime,nodiratime").volume.directory_atime);
    CHECK(parse_ok("nodiratime,diratime").volume.directory_atime);
    CHECK(parse_ok("allow_other,noallow_other").allow_other == false);
}

TEST_CASE("options: a backslash keeps a comma in a path", "[fusefs]") {
    CHECK(parse_ok("device=/a\\,b,ro").more_devices == std::vector<std::string>{"/a,b"});
    CHECK(split_mount_options("a\\\\,b,,c\\") == std::vector<std::string>{"a\\", "b", "c\\"});
}

TEST_CASE("options: words of mount(8) and fstab are ignored", "[fusefs]") {
    const DaemonOptions options =
        parse_ok("_netdev,nofail,noauto,user,x-systemd.automount,X-foo=1,user_id=0,group_id=0");
    CHECK(options.passed_on.empty());
}

TEST_CASE("options: what kernel and libfuse know is passed on", "[fusefs]") {
    CHECK(parse_ok("noexec,context=system_u").passed_on ==
          std::vector<std::string>{"noexec", "context=system_u"});
    CHECK(parse_ok("nodiratime")
              .passed_on.empty()); // libfuse does not, and the kernel keeps no atime
}

TEST_CASE("options: dax= says who opens devices", "[fusefs]") {
    CHECK(parse_ok("rw").volume.dax);
    CHECK_FALSE(parse_ok("rw").broker);
    CHECK(parse_ok("dax=broker").volume.dax);
    CHECK(parse_ok("dax=broker,broker_socket=/tmp/x").broker);
    CHECK(parse_ok("dax=broker,broker_socket=/tmp/x").broker_socket == "/tmp/x");
    CHECK_FALSE(parse_ok("dax=broker,dax=off").broker);
    CHECK_FALSE(parse_ok("dax=off").volume.dax);
}

TEST_CASE("options: lease_break= and wait= are numbers of seconds", "[fusefs]") {
    CHECK(parse_ok("rw").wait == std::chrono::seconds(0));
    CHECK(parse_ok("wait=30,wait=86400").wait == std::chrono::seconds(86400));
    CHECK(parse_ok("rw").volume.lease_break_s == 45);
    CHECK(parse_ok("lease_break=0").volume.lease_break_s == 0);
    CHECK(parse_ok("lease_break=86400").volume.lease_break_s == 86400);
    for (const char *wrong :
         {"lease_break=86401", "lease_break=-1", "lease_break=5s", "wait=86401", "wait="})
        CHECK_THAT(refusal(wrong), Catch::Contains("seconds"));
}

TEST_CASE("options: an unknown one is named", "[fusefs]") {
    CHECK_THAT(refusal("rw,frobnicate=1"), Catch::Contains("frobnicate=1"));
    CHECK(parse_ok("rw,frobnicate=1,sloppy").device == "/dev/dax0.0");
}

TEST_CASE("options: sloppy ignores unknown ones of every -o, and no wrong values", "[fusefs]") {
    CHECK(parse({"/d", "/m", "-o", "frobnicate", "-o", "sloppy"}));
    CHECK(parse({"/d", "/m", "-o", "sloppy", "-ofrobnicate"}));
    CHECK(parse_ok("sloppy,frobnicate,ro").volume.read_only);
    CHECK_THAT(refusal("sloppy,errors=maybe"), Catch::Contains("maybe"));
    CHECK_THAT(refusal("sloppy,threads=none"), Catch::Contains("none"));
    CHECK_THAT(refusal("ro=1,sloppy"), Catch::Contains("ro takes no value"));
}

TEST_CASE("options: what mount(8) calls the defaults of access times", "[fusefs]") {
    CHECK(parse_ok("atime").volume.atime == volume::Atime::relative);
    CHECK(parse_ok("noatime,atime").volume.atime == volume::Atime::relative);
    CHECK(parse_ok("strictatime,atime").volume.atime == volume::Atime::strict);
    CHECK(parse_ok("norelatime,nostrictatime,noiversion").volume.atime == volume::Atime::relative);
    CHECK_THAT(refusal("atime="), Catch::Contains("relatime"));
}

TEST_CASE("options: the broker's socket is found from everywhere", "[fusefs]") {
    CHECK_THAT(refusal("broker_socket=run/socket"), Catch::Contains("absolute"));
    CHECK_THAT(refusal("broker_socket="), Catch::Contains("absolute"));
}

TEST_CASE("options: a wrong value is named with what is allowed", "[fusefs]") {
    CHECK_THAT(refusal("domain=soft"), Catch::Contains("soft") && Catch::Contains("cache_line"));
    CHECK_THAT(refusal("pin=everybody"), Catch::Contains("everybody") && Catch::Contains("owner"));
    CHECK_THAT(refusal("dax=always"), Catch::Contains("always") && Catch::Contains("broker"));
    CHECK_THAT(refusal("pin"), Catch::Contains("pin needs a value"));
    CHECK_THAT(refusal("ro=1"), Catch::Contains("ro takes no value"));
    for (const char *threads : {"threads=0", "threads=1025", "threads=2x", "threads=-1"})
        CHECK_THAT(refusal(threads), Catch::Contains("1 to 1024"));
}

TEST_CASE("options: missing and surplus arguments are errors", "[fusefs]") {
    CHECK_FALSE(parse({}));
    CHECK_FALSE(parse({"/dev/dax0.0"}));
    CHECK_FALSE(parse({"/dev/dax0.0", "/mnt", "/more"}));
    CHECK_FALSE(parse({"/dev/dax0.0", "/mnt", "-o"}));
    CHECK_FALSE(parse({"/dev/dax0.0", "/mnt", "--frobnicate"}));
    CHECK(parse({"--help"})->help);
    CHECK(parse({"-V"})->version);
}

TEST_CASE("options: as many threads are active as there are processors to run on", "[fusefs]") {
    cpu_set_t all;
    REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
    const auto options = parse_ok("threads=100");
    CHECK(active_threads(options, device::Domain::cache_line) ==
          static_cast<unsigned>(CPU_COUNT(&all)));
    CHECK(active_threads(options, device::Domain::page) == 100);
    unsigned bound = 0;
    std::thread([&] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
        if (::sched_setaffinity(0, sizeof one, &one) == 0)
            bound = active_threads(options, device::Domain::byte);
    }).join();
    CHECK(bound == 1);
}
