// SPDX-License-Identifier: BSD-3-Clause
#include "crash/session.h"

#include "support/volume_fixture.h"

namespace daxpin::crash {

namespace {

test::VolumeShape shape_of(const Image &image, std::uint64_t seed) {
    test::VolumeShape shape;
    shape.device_bytes = Session::device_bytes;
    shape.data_devices = image.start == Start::two_devices ? 1 : 0;
    shape.data_bytes = Session::device_bytes;
    shape.domain = image.domain;
    shape.seed = seed;
    return shape;
}

} // namespace

volume::Options mount_options() {
    volume::Options options;
    options.atime = volume::Atime::none;
    return options;
}

Session::Session(const Workload &workload, const Image &image, std::uint64_t seed)
    : workload_(workload), image_(image), seed_(seed), env_(seed),
      media_(test::make_media(shape_of(image, seed), env_)) {}

void Session::mount() {
    auto opened = volume::Volume::open(test::open_table(media_), env_, mount_options());
    if (!opened)
        throw Problem{"mount: " + daxpin::describe(opened.error())};
    volume_ = std::move(*opened);
    executor_ = std::make_unique<Executor>(*volume_);
}

void Session::unmount() {
    executor_.reset();
    volume_.reset();
}

void Session::run(Operation operation) {
    operation.version = ++version_;
    if (operation.op == Op::remount) {
        unmount();
        mount();
        return;
    }
    const auto outcome = executor_->run(operation);
    if (!image_.is_short_of_space() && !outcome && outcome.code() == Errc::no_space)
        throw Problem{daxpin::crash::describe(operation) + ": no space on a volume with space"};
    const std::string text = oracle_.apply(operation, outcome);
    if (!text.empty())
        throw Problem{text};
}

void Session::run_all(const std::vector<Operation> &operations) {
    for (const Operation &operation : operations)
        run(operation);
}

} // namespace daxpin::crash
