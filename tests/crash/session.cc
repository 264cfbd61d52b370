// SPDX-License-Identifier: BSD-3-Clause
#include "crash/session.h"

#include "crash/forgery.h"
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
      media_(test::make_media(shape_of(image, seed), env_)) {
    test::fill_free_blocks(media_);
    for (const auto &one : media_)
        one->heal_on_rewrite(true);
}

void Session::mount() {
    auto opened = volume::Volume::open(test::open_table(media_), env_, mount_options());
    if (!opened)
        throw Problem{"mount: " + daxpin::describe(opened.error())};
    volume_ = std::move(*opened);
    executor_ = std::make_unique<Executor>(*volume_, image_.start == Start::known
                                                         ? Executor::Lookups::kept
                                                         : Executor::Lookups::forgotten);
}

void Session::unmount() {
    executor_.reset();
    volume_.reset();
}

Result<std::uint64_t> Session::execute(Operation &operation) {
    operation.version = ++version_;
    operation.bytes = forge(media_, operation);
    return executor_->run(operation);
}

void Session::run(Operation operation) {
    if (operation.op == Op::remount || operation.op == Op::kill || operation.op == Op::reboot)
        return restart(operation.op);
    if (operation.op == Op::prove_absence)
        lost_.clear(); // who had them is gone before the daemon looks
    const auto outcome = execute(operation);
    if (!image_.is_short_of_space() && !outcome && outcome.code() == Errc::no_space)
        throw Problem{daxpin::crash::describe(operation) + ": no space on a volume with space"};
    const std::string text = oracle_.apply(operation, outcome);
    if (!text.empty())
        throw Problem{text};
    if (outcome)
        note_lease(operation);
}

void Session::restart(Op how) {
    if (how != Op::remount) {
        executor_->abandon();
        static_cast<void>(oracle_.perform({.op = how, .path = {}}, 0).has_value());
        was_killed_ = true;
        lost_.merge(mapped());
    }
    leased_.clear();
    if (how == Op::reboot) {
        lost_.clear();
        env_.set_boot(++boot_);
    }
    unmount();
    mount();
}

void Session::note_lease(const Operation &operation) {
    if (operation.op == Op::release)
        leased_.erase(operation.path.substr(1));
    if (operation.op == Op::close)
        leased_.erase(operation.other);
    if (operation.op != Op::lease)
        return;
    const std::string slot = operation.path.substr(1);
    const auto blocks = executor_->media_blocks(slot);
    if (!blocks)
        throw Problem{"extents under a lease: " + daxpin::describe(blocks.error())};
    leased_[slot] = *blocks;
}

std::set<std::uint64_t> Session::mapped() const {
    auto all = lost_;
    for (const auto &[slot, blocks] : leased_)
        all.insert(blocks.begin(), blocks.end());
    return all;
}

void Session::run_all(const std::vector<Operation> &operations) {
    for (const Operation &operation : operations)
        run(operation);
}

} // namespace daxpin::crash
