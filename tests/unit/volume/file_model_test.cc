// SPDX-License-Identifier: BSD-3-Clause
//
// Random operations on file data, compared with plain byte vectors after each. No byte written
// is zero, so stale data where zeros belong is seen. DAXPIN_TEST_SEED replays one seed.
#include "file_helpers.h"

#include <cstdlib>

using namespace daxpin;
using namespace daxpin::test;
using volume::FallocateMode;

namespace {

class ModelRun {
  public:
    ModelRun(const VolumeShape &shape, std::uint64_t seed) : fixture_(shape), state_(seed) {
        for (std::size_t i = 0; i < names_.size(); ++i) {
            files_[i] = make_file(fixture_.volume(), root_dir, names_[i]);
            must(fixture_->set_flags(root_caller(), files_[i], flags_[i], align_[i]));
        }
    }

    void step();
    void compare_all();
    void remount();
    void empty_all();
    std::uint64_t free_blocks() { return must(fixture_->statistics()).free_blocks; }
    unsigned refused() const { return refused_; }

  private:
    static constexpr std::uint64_t size_max = std::uint64_t{600} << 10;

    std::uint64_t random(std::uint64_t bound) { return split_mix(state_) % bound; }
    std::uint64_t random_offset();
    Data random_data(std::size_t length);
    void write(std::size_t which);
    void truncate(std::size_t which);
    void allocate(std::size_t which, FallocateMode mode);
    void punch_or_zero(std::size_t which, FallocateMode mode);
    void copy(std::size_t from, std::size_t to);
    void seek(std::size_t which);
    void compare(std::size_t which);
    void put(std::size_t which, std::uint64_t offset, std::span<const std::byte> data);
    // True if the operation was done; the only excuse is a full volume.
    template <typename T> bool done(const Result<T> &result);

    VolumeFixture fixture_;
    std::uint64_t state_;
    const std::array<std::string, 3> names_{"plain", "hinted", "other"};
    const std::array<std::uint32_t, 3> flags_{0, format::inode_flag_dax, 0};
    const std::array<std::uint64_t, 3> align_{0, 64 << 10, 0};
    std::array<InodeNumber, 3> files_{};
    std::array<Data, 3> models_;
    unsigned refused_ = 0;
};

template <typename T> bool ModelRun::done(const Result<T> &result) {
    if (result)
        return true;
    INFO(describe(result.error()));
    REQUIRE(result.code() == Errc::no_space);
    ++refused_;
    return false;
}

std::uint64_t ModelRun::random_offset() {
    const std::uint64_t offset = random(size_max);
    switch (random(4)) {
    case 0:
        return offset / block_size * block_size;
    case 1:
        return offset / 8 * 8;
    default:
        return offset;
    }
}

Data ModelRun::random_data(std::size_t length) {
    Data data(length);
    for (auto &byte : data)
        byte = static_cast<std::byte>(1 + random(255));
    return data;
}

void ModelRun::put(std::size_t which, std::uint64_t offset, std::span<const std::byte> data) {
    Data &model = models_[which];
    if (model.size() < offset + data.size())
        model.resize(offset + data.size());
    std::ranges::copy(data, model.begin() + static_cast<std::ptrdiff_t>(offset));
}

void ModelRun::write(std::size_t which) {
    const std::uint64_t length = random(8) == 0 ? random(200'000) : random(9000);
    const Data data = random_data(length);
    const std::uint64_t offset = random(3) == 0 ? models_[which].size() : random_offset();
    const auto written = fixture_->write(files_[which], 0, offset, data);
    if (done(written) && *written > 0)
        put(which, offset, std::span(data).first(*written));
}

void ModelRun::truncate(std::size_t which) {
    const std::uint64_t size = random(3) == 0 ? random(models_[which].size() + 1) : random_offset();
    if (done(set_size(fixture_.volume(), files_[which], size)))
        models_[which].resize(size);
}

void ModelRun::allocate(std::size_t which, FallocateMode mode) {
    const std::uint64_t offset = random_offset(), length = 1 + random(100'000);
    if (!done(fixture_->fallocate(files_[which], 0, mode, offset, length)))
        return;
    if (mode == FallocateMode::allocate && models_[which].size() < offset + length)
        models_[which].resize(offset + length);
}

void ModelRun::punch_or_zero(std::size_t which, FallocateMode mode) {
    const std::uint64_t offset = random_offset(), length = 1 + random(100'000);
    if (!done(fixture_->fallocate(files_[which], 0, mode, offset, length)))
        return;
    Data &model = models_[which];
    if (mode == FallocateMode::zero && model.size() < offset + length)
        model.resize(offset + length);
    for (std::uint64_t at = offset; at < std::min(offset + length, model.size()); ++at)
        model[at] = std::byte{0};
}

void ModelRun::copy(std::size_t from, std::size_t to) {
    const std::uint64_t from_offset = random_offset(), to_offset = random_offset();
    const std::uint64_t length = 1 + random(100'000);
    const auto copied =
        fixture_->copy_range(files_[from], 0, from_offset, files_[to], 0, to_offset, length);
    if (from == to && !copied && copied.code() == Errc::invalid)
        return; // the ranges overlap
    if (!done(copied) || *copied == 0)
        return;
    const Data source = models_[from];
    put(to, to_offset, std::span(source).subspan(from_offset, *copied));
}

// SEEK_DATA skips zeros only, SEEK_HOLE ends at zeros or at the end of file.
void ModelRun::seek(std::size_t which) {
    const Data &model = models_[which];
    const std::uint64_t offset = random_offset();
    const auto data = fixture_->seek(files_[which], offset, false);
    const auto hole = fixture_->seek(files_[which], offset, true);
    if (offset >= model.size()) {
        CHECK(fails(data, Errc::no_data));
        CHECK(fails(hole, Errc::no_data));
        return;
    }
    const std::uint64_t first_data = data ? *data : model.size();
    CHECK(first_data >= offset);
    CHECK(all_zero(std::span(model).subspan(offset, first_data - offset)));
    const std::uint64_t first_hole = must(hole);
    CHECK((first_hole == model.size() || model[first_hole] == std::byte{0}));
    CHECK((first_data == offset) != (first_hole == offset));
}

void ModelRun::compare(std::size_t which) {
    const auto attributes = stat_of(fixture_.volume(), files_[which]);
    REQUIRE(attributes.size == models_[which].size());
    REQUIRE(read_all(fixture_.volume(), files_[which]) == models_[which]);
}

void ModelRun::compare_all() {
    for (std::size_t i = 0; i < files_.size(); ++i)
        compare(i);
}

void ModelRun::remount() {
    if (random(2) == 0)
        must(fixture_.kill_and_mount());
    else
        check_and_remount(fixture_);
    compare_all();
}

void ModelRun::empty_all() {
    for (const auto &name : names_)
        unlink(fixture_.volume(), root_dir, name);
    for (const InodeNumber file : files_)
        fixture_->forget(file, 1);
    check_and_remount(fixture_);
    finish_background(fixture_.volume());
}

void ModelRun::step() {
    const std::size_t which = random(files_.size());
    switch (random(12)) {
    case 0:
    case 1:
        truncate(which);
        break;
    case 2:
        allocate(which, FallocateMode::allocate);
        break;
    case 3:
        allocate(which, FallocateMode::allocate_keep_size);
        break;
    case 4:
    case 5:
        punch_or_zero(which, FallocateMode::punch);
        break;
    case 6:
        punch_or_zero(which, random(2) == 0 ? FallocateMode::zero : FallocateMode::zero_keep_size);
        break;
    case 7:
        copy(which, random(files_.size()));
        break;
    case 8:
        seek(which);
        break;
    default:
        write(which);
    }
    compare(which);
    if (random(4) == 0)
        static_cast<void>(must(fixture_->background_step()));
    if (random(150) == 0)
        remount();
}

void run_model(const VolumeShape &shape, std::uint64_t seed, unsigned steps) {
    if (const char *chosen = std::getenv("DAXPIN_TEST_SEED"))
        seed = std::strtoull(chosen, nullptr, 0);
    INFO("DAXPIN_TEST_SEED=" << seed);
    ModelRun run(shape, seed);
    for (unsigned i = 0; i < steps; ++i) {
        INFO("step " << i);
        run.step();
    }
    run.compare_all();
    run.empty_all();
}

} // namespace

TEST_CASE("file data: random operations give what a byte vector holds", "[volume][files]") {
    VolumeShape shape;
    shape.device_bytes = std::uint64_t{8} << 20;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        run_model(shape, seed, 1500);
}

TEST_CASE("file data: a full volume refuses and changes nothing", "[volume][files]") {
    VolumeShape shape;
    shape.device_bytes = std::uint64_t{1} << 20;
    for (std::uint64_t seed = 11; seed <= 13; ++seed)
        run_model(shape, seed, 1500);
}

TEST_CASE("file data: the rules hold on separate data devices and in large units",
          "[volume][files]") {
    VolumeShape shape;
    shape.data_devices = 2;
    shape.data_bytes = std::uint64_t{4} << 20;
    shape.mapping_unit = 64 << 10;
    shape.journal_bytes = 256 << 10;
    run_model(shape, 21, 1500);
}
