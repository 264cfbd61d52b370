// SPDX-License-Identifier: BSD-3-Clause
#include "crash/session.h"

#include "device/label.h"
#include "journal/journal.h"
#include "support/volume_fixture.h"

namespace daxpin::crash {

namespace {

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;

test::VolumeShape shape_of(Start start, std::uint64_t seed) {
    test::VolumeShape shape;
    shape.device_bytes = device_bytes;
    shape.data_devices = start == Start::two_devices ? 1 : 0;
    shape.data_bytes = device_bytes;
    shape.seed = seed;
    return shape;
}

template <typename T> void require(const Result<T> &result, const std::string &what) {
    if (!result)
        throw Problem{what + ": " + daxpin::describe(result.error())};
}

// Tells whether a trace part stored into a tail cell.
class TailWatch : public test::EventSink {
  public:
    TailWatch(const MediaList &media, const journal::Geometry &geometry)
        : media_(media[0]), geometry_(geometry) {
        media_->set_sink(this);
    }
    ~TailWatch() override { media_->set_sink(nullptr); }
    void about_to_store(const test::SimMedia &, std::uint64_t offset, std::span<const std::byte>,
                        device::StoreKind) override {
        moved = moved || offset / block_size == geometry_.tail_cell_a;
    }
    void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const test::SimMedia &) override {}
    bool moved = false;

  private:
    std::shared_ptr<test::SimMedia> media_;
    journal::Geometry geometry_;
};

journal::Geometry geometry_on(const MediaList &media) {
    const auto device = media[0]->open();
    const auto superblock = device::read_superblock(*device);
    require(superblock, "superblock");
    return journal::geometry_of(*superblock);
}

} // namespace

volume::Options mount_options() {
    volume::Options options;
    options.atime = volume::Atime::none;
    return options;
}

Session::Session(const Workload &workload, Start start, std::uint64_t seed)
    : workload_(workload), start_(start), seed_(seed), env_(seed),
      media_(test::make_media(shape_of(start, seed), env_)) {}

void Session::mount() {
    auto opened = volume::Volume::open(test::open_table(media_), env_, mount_options());
    require(opened, "mount");
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
    const bool full = start_ == Start::full || start_ == Start::nearly_full;
    if (!full && !outcome && outcome.code() == Errc::no_space)
        throw Problem{daxpin::crash::describe(operation) + ": no space on a volume with space"};
    const std::string text = oracle_.apply(operation, outcome);
    if (!text.empty())
        throw Problem{text};
}

void Session::run_all(const std::vector<Operation> &operations) {
    for (const Operation &operation : operations)
        run(operation);
}

// ---- starting images ----------------------------------------------------------------------------

void Session::prepare() {
    mount();
    const bool recorded = start_ == Start::dirty || start_ == Start::two_devices;
    if (recorded) {
        for (const Operation &operation : workload_.setup)
            steps_.push_back({operation, false});
    } else {
        run_all(workload_.setup);
    }
    if (start_ == Start::lap)
        plan_lap();
    if (start_ == Start::full || start_ == Start::nearly_full)
        prepare_full(start_ == Start::full ? 0 : 2);
    if (start_ == Start::split_names || start_ == Start::split_files)
        prepare_split(start_ == Start::split_names);
    unmount();
    if (start_ == Start::wrap)
        move_ring_to_wrap();
    for (const Operation &operation : workload_.steps)
        steps_.push_back({operation, true});
    if (start_ == Start::lap) {
        for (unsigned i = 0; i < 2; ++i)
            steps_.push_back({filler(i), true});
    }
}

// Allocates without a size: the dump stays small.
void Session::prepare_full(std::uint64_t blocks_left) {
    run(create("ballast"));
    std::uint64_t offset = 0;
    for (std::uint64_t blocks = device_bytes / block_size; blocks > 0; blocks /= 2) {
        Operation take = fallocate("ballast", volume::FallocateMode::allocate_keep_size, offset,
                                   blocks * block_size);
        while (executor_->run(take)) {
            offset += take.length;
            take.offset = offset;
        }
    }
    if (blocks_left == 0)
        return;
    run(fallocate("ballast", volume::FallocateMode::punch, offset - blocks_left * block_size,
                  blocks_left * block_size));
}

// Adds items until the next one would have taken a new block, found out on a second session.
void Session::prepare_split(bool names) {
    const auto pad = [&](unsigned i) {
        const std::string name = "pad-" + std::to_string(1000 + i);
        return names ? link("pad", name) : create("pads/" + name);
    };
    run(names ? create("pad") : mkdir("pads"));
    Session twin(workload_, start_, seed_);
    twin.mount();
    twin.run_all(workload_.setup);
    twin.run(names ? create("pad") : mkdir("pads"));
    unsigned count = 0;
    for (const std::uint64_t before = twin.volume().statistics()->free_blocks;
         twin.volume().statistics()->free_blocks == before; ++count)
        twin.run(pad(count));
    for (unsigned i = 0; i + 1 < count; ++i)
        run(pad(i));
}

void Session::move_ring_to_wrap() {
    auto devices = test::open_table(media_);
    const auto geometry = geometry_on(media_);
    require(journal::Journal::format(devices, geometry, env_, 2 * geometry.ring_bytes() - 64),
            "moving the ring");
}

// Small changes that leave several blocks dirty.
Operation Session::filler(unsigned index) const {
    return chmod("filler-" + std::to_string(index % 4), 0600 + index % 8);
}

// Fills the ring in the recorded part up to the record before the one that must make room.
void Session::plan_lap() {
    for (unsigned i = 0; i < 4; ++i)
        run(create("filler-" + std::to_string(i)));
    unmount();
    MediaList copies;
    for (const auto &one : media_)
        copies.push_back(one->clone());
    unsigned count = 0;
    {
        TailWatch watch(copies, geometry_on(copies));
        test::TestEnv env;
        auto opened = volume::Volume::open(test::open_table(copies), env, mount_options());
        require(opened, "mount");
        Executor executor(**opened);
        watch.moved = false;
        while (!watch.moved)
            require(executor.run(filler(count++)), "filler");
    }
    for (unsigned i = 0; i + 1 < count; ++i)
        steps_.push_back({filler(i), false});
    mount();
}

} // namespace daxpin::crash
