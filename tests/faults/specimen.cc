// SPDX-License-Identifier: BSD-3-Clause
#include "faults/specimen.h"

#include "base/assert.h"
#include "crash/executor.h"
#include "device/label.h"
#include "faults/content.h"
#include "faults/survey.h"
#include "support/volume_fixture.h"
#include "tools/reader/view.h"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace daxpin::faults {

namespace {

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;

template <typename T> T require(Result<T> result, const std::string &what) {
    if (!result) {
        std::fprintf(stderr, "specimen: %s: %s\n", what.c_str(), describe(result.error()).c_str());
        DAXPIN_ASSERT(false);
    }
    return std::move(*result);
}

volume::Options build_options() {
    volume::Options options;
    options.atime = volume::Atime::none;
    return options;
}

using Media = std::vector<std::shared_ptr<test::SimMedia>>;

Media clones(const Media &media) {
    Media copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

std::vector<crash::Bytes> images_of(const Media &media) {
    std::vector<crash::Bytes> images;
    for (const auto &one : media)
        images.emplace_back(one->bytes().begin(), one->bytes().end());
    return images;
}

crash::Dump dump_of(const Media &media) {
    test::TestEnv env;
    const auto volume = require(
        volume::Volume::open(test::open_table(clones(media)), env, build_options()), "mount");
    return require(crash::take_dump(*volume), "dump");
}

// The blocks of device 0 that records change.
std::set<std::uint64_t> patched_blocks(const Media &media) {
    const auto table = test::open_table(media);
    const auto superblock = require(device::read_superblock(table.metadata()), "superblock");
    const reader::View view(table, superblock, true);
    std::set<std::uint64_t> blocks;
    for (const auto &patch : view.patches())
        blocks.insert(MediaBlock{patch.block}.block());
    return blocks;
}

bool is_unit(std::span<const std::byte> block) {
    reader::UnitBytes bytes;
    std::ranges::copy(block, bytes.begin());
    return reader::unit_checksum_holds(bytes);
}

// Power fails: no home of the last records has been written back, all else has.
Media without_homes(const Media &media, const crash::Bytes &before) {
    const Media crashed = clones(media);
    for (const std::uint64_t block : patched_blocks(media)) {
        const auto was = std::span(before).subspan(block * block_size, block_size);
        if (is_unit(was)) // else the unit is new since then
            std::ranges::copy(was, crashed[0]->bytes().begin() +
                                       static_cast<std::ptrdiff_t>(block * block_size));
    }
    return crashed;
}

class Builder {
  public:
    Builder(const Shape &shape, std::uint64_t seed)
        : shape_(shape), fixture_(volume_shape(shape, seed), build_options()) {
        executor_.emplace(fixture_.volume());
    }

    Media build() {
        run(content());
        if (shape_.state == State::unmounted) {
            executor_.reset();
            fixture_.unmount();
            return fixture_.all_media();
        }
        run(last_operations());
        return without_homes(fixture_.all_media(), before_.at(0));
    }

    std::vector<Earlier> earlier;

  private:
    static test::VolumeShape volume_shape(const Shape &shape, std::uint64_t seed) {
        test::VolumeShape all;
        all.device_bytes = all.data_bytes = device_bytes;
        all.data_devices = shape.data_devices;
        all.seed = seed;
        return all;
    }

    void run(const std::vector<Chapter> &chapters) {
        for (const Chapter &chapter : chapters) {
            if (chapter.remount) {
                executor_.reset();
                fixture_.remount();
                executor_.emplace(fixture_.volume());
                before_ = images_of(fixture_.all_media());
            }
            const Media &media = fixture_.all_media();
            earlier.push_back(
                {chapter.name, images_of(media), dump_of(media), survey(media).in_use});
            for (const auto &operation : chapter.operations)
                run(operation);
        }
    }

    void run(crash::Operation operation) {
        if (operation.op == crash::Op::write || operation.op == crash::Op::fallocate) {
            const auto made = executor_->run(crash::create(operation.path));
            DAXPIN_ASSERT(made || made.code() == Errc::exists);
        }
        operation.version = ++version_;
        require(executor_->run(operation), crash::describe(operation));
    }

    const Shape shape_;
    test::VolumeFixture fixture_;
    std::optional<crash::Executor> executor_;
    std::vector<crash::Bytes> before_; // at the last remount
    std::uint64_t version_ = 100;
};

} // namespace

std::string to_string(const Shape &shape) {
    const std::string text = shape.state == State::unmounted ? "unmounted" : "crashed";
    return shape.data_devices == 0 ? text : text + ", two devices";
}

const char *to_string(Place place) noexcept {
    switch (place) {
    case Place::label:
        return "label";
    case Place::superblock:
        return "superblock";
    case Place::tail_cell:
        return "tail cell";
    case Place::record:
        return "record";
    case Place::bitmap:
        return "bitmap";
    case Place::node:
        return "node";
    case Place::blob:
        return "blob";
    }
    return "?";
}

Specimen make_specimen(const Shape &shape, std::uint64_t seed) {
    Builder builder(shape, seed);
    const Media media = builder.build();
    Specimen specimen;
    specimen.name = to_string(shape);
    for (const auto &one : media)
        specimen.options.push_back(one->options());
    specimen.images = images_of(media);
    specimen.dump = dump_of(media);
    specimen.earlier = std::move(builder.earlier);
    auto found = survey(media);
    specimen.in_use = std::move(found.in_use);
    specimen.newest = std::move(found.newest);
    return specimen;
}

} // namespace daxpin::faults
