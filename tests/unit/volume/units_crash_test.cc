// SPDX-License-Identifier: BSD-3-Clause
//
// A device that is mapped by pages larger than a block: what is pinned ends at a unit's end, and
// what lies behind a file's is zero. Power failures in all of it.
#include "file_helpers.h"
#include "power_cut.h"

#include <functional>
#include <optional>

using namespace daxpin;
using namespace daxpin::test;

namespace {

constexpr std::uint64_t unit = 64 << 10;
constexpr unsigned states_per_drain = 36;

// What a program sees of the file.
struct Shown {
    std::uint64_t size = 0;
    std::uint64_t pinned_bytes = 0;
    Data content;
    bool operator==(const Shown &) const = default;
};

Shown shown_of(volume::Volume &volume) {
    const InodeNumber file = must(peek(volume, root_dir, "file")).number;
    const std::uint64_t size = stat_of(volume, file).size;
    return {size, must(volume.pin_status(file)).pinned_bytes, read_all(volume, file)};
}

VolumeShape shape_of_units() {
    VolumeShape shape;
    shape.device_bytes = 1U << 20;
    shape.mapping_unit = unit;
    return shape;
}

class UnitsRun {
  public:
    UnitsRun() : fixture_(shape_of_units()) {
        fixture_.unmount();
        fill_free_blocks(fixture_.all_media());
        must(fixture_.mount());
        file_ = make_file(volume(), root_dir, "file");
        Data data(5000);
        for (std::size_t i = 0; i < data.size(); ++i)
            data[i] = static_cast<std::byte>(1 + i % 251);
        write_at(volume(), file_, 0, data);
        must(volume().checkpoint());
        initial_.assign(fixture_.media().bytes().begin(), fixture_.media().bytes().end());
        recorder_.emplace(fixture_.all_media());
        shown_.push_back(shown_of(volume()));
    }

    volume::Volume &volume() { return fixture_.volume(); }

    using Step = std::function<Result<void>(volume::Volume &, InodeNumber, volume::Handle)>;

    // is_whole: a power failure leaves what was shown before or what is shown after.
    void step(const Step &do_it, bool is_whole = true) {
        const auto handle = open_handle(volume(), file_, for_writing(true));
        must(do_it(volume(), file_, handle));
        volume().release(file_, handle);
        finish_background(volume());
        shown_.push_back(shown_of(volume()));
        steps_.push_back({recorder_->trace().events.size(), is_whole});
    }

    const Shown &last() const { return shown_.back(); }

    // At every drain of every step.
    void cut_everywhere() {
        PowerCut cut(fixture_.media().options(), initial_, recorder_->trace());
        std::size_t step = 0;
        while (cut.to_next_drain()) {
            while (steps_[step].end <= cut.position())
                ++step;
            if (!steps_[step].is_whole)
                continue;
            for (std::uint64_t seed = 0; seed < states_per_drain; ++seed) {
                CAPTURE(step, cut.position(), seed);
                expect_before_or_after(cut.state(seed), step);
            }
        }
    }

  private:
    void expect_before_or_after(const std::shared_ptr<SimMedia> &media, std::size_t step) const {
        const auto report = fsck::check(open_table({media}));
        for (const auto &finding : report.findings)
            UNSCOPED_INFO(finding.text);
        REQUIRE(report.errors == 0);
        TestEnv env;
        auto opened = volume::Volume::open(open_table({media}), env, {});
        REQUIRE(opened.has_value());
        const Shown found = shown_of(**opened);
        CAPTURE(found.size, found.pinned_bytes);
        REQUIRE((found == shown_[step] || found == shown_[step + 1]));
    }

    VolumeFixture fixture_;
    InodeNumber file_;
    Data initial_;
    std::optional<TraceRecorder> recorder_;
    std::vector<Shown> shown_; // before the first step, and after each
    struct Taken {
        std::size_t end; // in the trace
        bool is_whole;
    };
    std::vector<Taken> steps_;
};

} // namespace

TEST_CASE("units: pins, growth and truncation of a unit's parts are whole after a power failure",
          "[volume][files]") {
    UnitsRun run;
    const auto resize = [](std::uint64_t size) {
        return [size](volume::Volume &volume, InodeNumber file, volume::Handle) -> Result<void> {
            DAXPIN_TRY(set_size(volume, file, size));
            return {};
        };
    };
    run.step([](auto &volume, InodeNumber file, volume::Handle handle) {
        return volume.pin(root_caller(), file, {.range = {}, .prepare = true, .handle = handle});
    });
    CHECK(run.last().pinned_bytes == unit);
    run.step([](auto &volume, InodeNumber file, volume::Handle handle) {
        return volume.extend(root_caller(), file, 100 << 10, handle);
    });
    CHECK(run.last().pinned_bytes == 2 * unit);
    run.step([](auto &volume, InodeNumber file, volume::Handle handle) {
        return volume.unpin(root_caller(), file, {}, handle);
    });
    CHECK(all_zero(std::span(run.last().content).subspan(5000)));
    run.step(
        [](auto &volume, InodeNumber file, volume::Handle handle) -> Result<void> {
            DAXPIN_TRY(volume.write(file, handle, 0, filled(100 << 10, 0x77)));
            return {};
        },
        false);
    run.step(resize(70'000));
    run.step(resize(90'000));
    CHECK(all_zero(std::span(run.last().content).subspan(70'000)));
    run.cut_everywhere();
}
