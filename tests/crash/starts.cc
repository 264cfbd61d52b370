// SPDX-License-Identifier: BSD-3-Clause
//
// How a session brings its media into the starting image.
#include "crash/dump.h"
#include "crash/rules.h"
#include "crash/session.h"
#include "crash/states.h"
#include "device/label.h"
#include "support/persistence_model.h"

#include <cstring>
#include <xxhash.h>

namespace daxpin::crash {

namespace {

// How near to the ring's end "about to wrap" is: room for a record's header and no more.
constexpr journal::Sequence room_before_wrap = 64;
constexpr unsigned placements_max = 4;

template <typename T> void require(const Result<T> &result, const std::string &what) {
    if (!result)
        throw Problem{what + ": " + daxpin::describe(result.error())};
}

MediaList copy_of(const MediaList &media) {
    MediaList copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

format::Superblock superblock_on(const MediaList &media) {
    const auto superblock = device::read_superblock(*media[0]->open());
    require(superblock, "superblock");
    return *superblock;
}

// Tells whether anything was stored into a tail cell.
class TailWatch : public test::EventSink {
  public:
    explicit TailWatch(const MediaList &media)
        : media_(media[0]), tail_cell_(superblock_on(media).tail_cell_a) {
        media_->set_sink(this);
    }
    ~TailWatch() override { media_->set_sink(nullptr); }
    void about_to_store(const test::SimMedia &, std::uint64_t offset, std::span<const std::byte>,
                        device::StoreKind) override {
        moved = moved || offset / block_size == tail_cell_;
    }
    void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const test::SimMedia &) override {}
    bool moved = false;

  private:
    std::shared_ptr<test::SimMedia> media_;
    std::uint64_t tail_cell_;
};

} // namespace

void Session::prepare() {
    if (image_.wrap)
        ring_start_ = find_ring_start();
    prepare_start();
    for (const Operation &operation : workload_.steps)
        steps_.push_back({operation, workload_.threads.empty()});
    if (image_.start == Start::lap) {
        for (unsigned i = 0; i < 2; ++i)
            steps_.push_back({filler(i), true});
    }
}

void Session::prepare_start() {
    mount();
    if (image_.records_setup()) {
        for (const Operation &operation : workload_.setup)
            steps_.push_back({operation, false});
    } else {
        run_all(workload_.setup);
    }
    if (image_.start == Start::lap)
        plan_lap();
    if (image_.is_short_of_space())
        prepare_full(image_.start == Start::full ? 0 : 2);
    if (image_.start == Start::split_names || image_.start == Start::split_files)
        prepare_split(image_.start == Start::split_names);
    if (image_.start == Start::full_root)
        prepare_full_root();
    unmount();
    if (ring_start_)
        set_ring(*ring_start_);
    if (image_.start == Start::crashed)
        prepare_crashed();
}

// ---- space and splits ---------------------------------------------------------------------------

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
    Session twin(workload_, image_, seed_);
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

// Files of a third of a leaf each, until one more would add a level to the tree; found out on a
// second session. Workloads name some of them (combined_workloads.cc).
void Session::prepare_full_root() {
    const auto add_pad = [](Session &session, unsigned i) {
        const std::string path = "pads/" + std::to_string(1000 + i);
        session.run(create(path));
        session.run(set_xattr(path, "user.pad", format::blob_inline_max));
    };
    run(mkdir("pads"));
    Session twin(workload_, image_, seed_);
    twin.mount();
    twin.run_all(workload_.setup);
    twin.run(mkdir("pads"));
    const std::uint64_t root = superblock_on(twin.media_).root * block_size;
    const auto level = [&] {
        format::NodeHeader header;
        std::memcpy(&header, std::as_const(*twin.media_[0]).bytes().data() + root, sizeof header);
        return header.level.get();
    };
    unsigned count = 0;
    for (; level() < 2; ++count)
        add_pad(twin, count);
    for (unsigned i = 0; i + 1 < count; ++i)
        add_pad(*this, i);
}

// ---- the ring -----------------------------------------------------------------------------------

// Small changes that leave several blocks dirty.
Operation Session::filler(unsigned index) const {
    return chmod("filler-" + std::to_string(index % 4), 0600 + index % 8);
}

// Fills the ring in the recorded part up to the record before the one that must make room.
void Session::plan_lap() {
    for (unsigned i = 0; i < 4; ++i)
        run(create("filler-" + std::to_string(i)));
    unmount();
    if (ring_start_)
        set_ring(*ring_start_);
    const MediaList copies = copy_of(media_);
    unsigned count = 0;
    {
        TailWatch watch(copies);
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

void Session::set_ring(journal::Sequence start) {
    auto devices = test::open_table(media_);
    const auto geometry = journal::geometry_of(superblock_on(media_));
    require(journal::Journal::format(devices, geometry, env_, start), "moving the ring");
}

// Where the ring must begin for the first crashed step to begin just before its end: what is
// recorded before that is measured on other sessions. In a full ring the wrap comes with the
// checkpoint, within the last record's length.
journal::Sequence Session::find_ring_start() const {
    const std::uint64_t ring = superblock_on(media_).ring_blocks * block_size;
    journal::Sequence start = 2 * ring - room_before_wrap;
    if (image_.start == Start::lap)
        return start;
    for (unsigned i = 0; i < placements_max; ++i) {
        Session twin(workload_, image_, seed_);
        twin.ring_start_ = start;
        twin.prepare_start();
        const std::uint64_t room = ring - twin.head_at_first_crash() % ring;
        if (room == room_before_wrap)
            break;
        start += room;
        start -= room_before_wrap;
    }
    return start;
}

// The end of the newest record when the first crashed step begins.
journal::Sequence Session::head_at_first_crash() {
    mount();
    for (const Step &step : steps_)
        run(step.operation);
    const auto bytes = std::as_const(*media_[0]).bytes();
    const auto ring = read_ring(bytes, superblock_on(media_));
    if (!ring)
        throw Problem{"a mounted volume without a tail cell"};
    return ring->records.empty() ? ring->tail : ring->records.back().end;
}

// ---- after a crash ------------------------------------------------------------------------------

namespace {

// What is under way when the power fails; each leaves the old tree or the new one.
const std::vector<Operation> &interrupted() {
    static const std::vector<Operation> operations{
        create("was/new"),
        unlink("was/file"),
        rename("was/file", "was/moved"),
        rename("was/file", "was/other"),
        truncate("was/file", 100),
        set_xattr("was/file", "user.was", 900),
        link("was/file", "was/link"),
        mkdir("was/directory"),
    };
    return operations;
}

// Media as a power failure left them at one drain of the trace from event `begin` on.
void lose_power(const MediaList &media, std::vector<Bytes> images, const test::Trace &trace,
                std::size_t begin, std::uint64_t random) {
    std::vector<test::PersistenceModel> models;
    for (std::size_t i = 0; i < media.size(); ++i)
        models.emplace_back(media[i]->options().domain, images[i]);
    const std::size_t stop = begin + test::split_mix(random) % (trace.events.size() - begin + 1);
    for (std::size_t i = 0; i < stop; ++i)
        feed(models, trace, trace.events[i]);
    for (std::size_t i = 0; i < media.size(); ++i) {
        const auto target = media[i]->bytes();
        std::copy(models[i].durable().begin(), models[i].durable().end(), target.begin());
        for (const std::uint64_t unit : models[i].undecided()) {
            const Bytes bytes = models[i].random_content(unit, random);
            std::copy(bytes.begin(), bytes.end(), &target[unit]);
        }
    }
}

} // namespace

void Session::prepare_crashed() {
    std::uint64_t random = seed_;
    for (const Operation &operation : workload_.setup) {
        const std::string text = daxpin::crash::describe(operation);
        random = XXH3_64bits_withSeed(text.data(), text.size(), random);
    }
    const std::uint64_t choice = test::split_mix(random) % interrupted().size();
    crash_during(interrupted()[choice], random);
}

// The oracle learns from the recovered volume whether the operation took place.
void Session::crash_during(const Operation &operation, std::uint64_t random) {
    std::vector<Bytes> images;
    for (const auto &one : media_)
        images.emplace_back(one->bytes().begin(), one->bytes().end());
    test::TraceRecorder recorder(media_);
    mount();
    run_all({mkdir("was"), create("was/file"), write("was/file", 0, 5000), create("was/other")});
    const std::size_t begin = recorder.trace().events.size();
    Operation last = operation;
    last.version = ++version_;
    const auto outcome = executor_->run(last);
    const test::Trace trace = recorder.trace();
    const MediaList lost = copy_of(media_);
    unmount(); // on media that nobody looks at any more
    media_ = lost;
    lose_power(media_, std::move(images), trace, begin, random);
    test::TestEnv env;
    const auto recovered =
        volume::Volume::open(test::open_table(copy_of(media_)), env, mount_options());
    require(recovered, "recovery of the starting image");
    const auto dump = take_dump(**recovered);
    require(dump, "dump of the starting image");
    if (oracle_.difference(*dump).empty())
        return;
    std::string text = oracle_.apply(last, outcome);
    if (text.empty())
        text = oracle_.difference(*dump);
    if (!text.empty())
        throw Problem{"in the starting image: " + text};
}

} // namespace daxpin::crash
