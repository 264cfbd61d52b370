// SPDX-License-Identifier: BSD-3-Clause
#include "faults/specimen.h"

#include "base/assert.h"
#include "crash/executor.h"
#include "faults/content.h"
#include "faults/power_failure.h"
#include "faults/survey.h"
#include "support/volume_fixture.h"

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
        return without_homes(fixture_.all_media(), at_remount_);
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
                at_remount_ = clones(fixture_.all_media());
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
    Media at_remount_; // the last one
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
