// SPDX-License-Identifier: BSD-3-Clause
//
// Several threads on one file's data, map, pins and leases. Every word ever written tells where
// it belongs, so a reader that follows a stale block, or one that was given to somebody else,
// sees it. Run under ThreadSanitizer too.
#include "file_helpers.h"
#include "support/scheduler.h"

#include <atomic>
#include <functional>
#include <sstream>
#include <thread>

using namespace daxpin;
using namespace daxpin::test;
using volume::FallocateMode;

namespace {

constexpr std::uint64_t file_bytes = std::uint64_t{256} << 10;

std::uint64_t word_of(InodeNumber file, std::uint64_t offset) {
    return file.value << 40 | (offset + 1);
}

Data words(InodeNumber file, std::uint64_t offset, std::uint64_t length) {
    Data data(length);
    for (std::uint64_t at = 0; at < length; at += 8) {
        const std::uint64_t word = word_of(file, offset + at);
        std::memcpy(data.data() + at, &word, 8);
    }
    return data;
}

class Storm {
  public:
    explicit Storm(unsigned rounds) : rounds_(rounds), fixture_(shape()) {
        for (std::size_t i = 0; i < files_.size(); ++i) {
            files_[i] = make_file(volume(), root_dir, "f" + std::to_string(i));
            // Whichever thread is the first, it finds something to read, pin and lease.
            write_at(volume(), files_[i], 0, words(files_[i], 0, file_bytes / 4));
        }
    }

    std::vector<std::function<void()>> bodies(std::uint64_t seed) {
        return {[=, this] { change(seed + 1); },  [=, this] { change(seed + 2); },
                [=, this] { look(seed + 11); },   [=, this] { look(seed + 12); },
                [=, this] { freeze(seed + 21); }, [=, this] { lease(seed + 22); }};
    }

    void check() {
        CAPTURE(first_wrong_);
        CHECK(wrong_words_ == 0);
        CHECK(wrong_errors_ == 0);
        CHECK(pins_ > 0);
        check_and_remount(fixture_);
    }

    static VolumeShape shape() {
        VolumeShape shape;
        shape.device_bytes = std::uint64_t{6} << 20;
        return shape;
    }

  private:
    volume::Volume &volume() { return fixture_.volume(); }
    InodeNumber any_file(std::uint64_t &state) { return files_[split_mix(state) % files_.size()]; }
    // Refusals that others' pins, leases and a full volume explain.
    void note(Errc code) {
        if (code != Errc::pinned && code != Errc::no_space && code != Errc::busy &&
            code != Errc::invalid)
            ++wrong_errors_;
    }
    template <typename T> bool fine(const Result<T> &result) {
        if (!result)
            note(result.code());
        return result.has_value();
    }

    void change(std::uint64_t state);
    void look(std::uint64_t state);
    void freeze(std::uint64_t state);
    void lease(std::uint64_t state);
    void note_wrong(std::uint64_t word, InodeNumber file, std::uint64_t offset);
    void inspect(InodeNumber file, std::uint64_t offset, const volume::ReadReply &reply);

    const unsigned rounds_;
    VolumeFixture fixture_;
    std::array<InodeNumber, 2> files_{};
    std::atomic<unsigned> wrong_words_{0};
    std::string first_wrong_; // of whoever finds it; read when all have ended
    std::atomic<unsigned> wrong_errors_{0};
    std::atomic<unsigned> pins_{0};
};

void Storm::change(std::uint64_t state) {
    for (unsigned round = 0; round < rounds_; ++round) {
        const InodeNumber file = any_file(state);
        const std::uint64_t offset = split_mix(state) % (file_bytes / 8) * 8;
        const std::uint64_t length = 8 + split_mix(state) % 2000 * 8;
        volume::AttributeChange size;
        switch (split_mix(state) % 8) {
        case 0:
            size.size = offset;
            static_cast<void>(fine(volume().set_attributes(root_caller(), file, size)));
            break;
        case 1:
            static_cast<void>(
                fine(volume().fallocate(file, 0, FallocateMode::punch, offset, length)));
            break;
        case 2:
            static_cast<void>(
                fine(volume().fallocate(file, 0, FallocateMode::zero, offset, length)));
            break;
        default:
            static_cast<void>(fine(volume().write(file, 0, offset, words(file, offset, length))));
        }
        if (round % 8 == 0)
            static_cast<void>(volume().background_step().has_value());
    }
}

void Storm::note_wrong(std::uint64_t word, InodeNumber file, std::uint64_t offset) {
    std::ostringstream text;
    text << std::hex << "word " << word << " at byte " << offset << " of inode " << file.value;
    first_wrong_ = text.str();
}

void Storm::inspect(InodeNumber file, std::uint64_t offset, const volume::ReadReply &reply) {
    for (const auto segment : reply.segments)
        for (std::size_t at = 0; at + 8 <= segment.size(); at += 8) {
            std::uint64_t word;
            std::memcpy(&word, segment.data() + at, 8);
            if (word != 0 && word != word_of(file, offset) && ++wrong_words_ == 1)
                note_wrong(word, file, offset);
            offset += 8;
        }
}

void Storm::look(std::uint64_t state) {
    for (unsigned round = 0; round < 2 * rounds_; ++round) {
        const InodeNumber file = any_file(state);
        const std::uint64_t offset = split_mix(state) % (file_bytes / 8) * 8;
        const auto reply = volume().read(file, 0, offset, 16 * 1024);
        may_interleave();
        if (fine(reply))
            inspect(file, offset, *reply);
    }
}

void Storm::freeze(std::uint64_t state) {
    for (unsigned round = 0; round < rounds_ / 4; ++round) {
        const InodeNumber file = any_file(state);
        const std::uint64_t align = split_mix(state) % 2 == 0 ? 0 : 32 * 1024;
        if (fine(volume().pin(root_caller(), file, {{}, align, true, 0})))
            ++pins_;
        static_cast<void>(must(volume().pin_status(file)));
        static_cast<void>(
            fine(volume().extend(root_caller(), file, split_mix(state) % file_bytes, 0)));
        static_cast<void>(fine(volume().unpin(root_caller(), file, {}, 0)));
    }
}

void Storm::lease(std::uint64_t state) {
    for (unsigned round = 0; round < rounds_ / 4; ++round) {
        const InodeNumber file = any_file(state);
        const auto open = volume().open_file(root_caller(), file, for_writing(true));
        if (!fine(open))
            continue;
        const bool write = split_mix(state) % 2 == 0;
        const auto granted = volume().lease(root_caller(), file, {}, write, true, open->handle);
        if (fine(granted))
            static_cast<void>(volume().extents(file, open->handle, 0, 0, 100).has_value());
        volume().release(file, open->handle);
    }
}

} // namespace

TEST_CASE("file data: threads see each word in its place only", "[volume][files][threads]") {
    Storm storm(2000);
    std::vector<std::thread> threads;
    for (const auto &body : storm.bodies(0))
        threads.emplace_back(body);
    for (auto &thread : threads)
        thread.join();
    storm.check();
}

TEST_CASE("file data: each word is in its place in any schedule", "[volume][files][schedules]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        Storm storm(100);
        Scheduler(seed).run(storm.bodies(seed * 100));
        storm.check();
    }
}

// Who writes has the file locked while he waits for the blocks that were punched.
TEST_CASE("file data: readers that wait for a file do not keep its writer from blocks",
          "[volume][files][schedules]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        VolumeFixture fixture(Storm::shape());
        auto &volume = fixture.volume();
        const InodeNumber file = make_file(volume, root_dir, "file");
        const std::uint64_t bytes = must(volume.statistics()).available_blocks * 2 / 3 * block_size;
        write_at(volume, file, 0, words(file, 0, bytes));
        unsigned written = 0;
        const auto rewrite = [&] {
            for (unsigned round = 0; round < 4; ++round) {
                const auto punched = volume.fallocate(file, 0, FallocateMode::punch, 0, bytes);
                const auto stored = volume.write(file, 0, 0, words(file, 0, bytes));
                written += punched && stored && *stored == bytes ? 1 : 0;
            }
        };
        const auto read = [&] {
            for (unsigned round = 0; round < 40; ++round) {
                static_cast<void>(volume.read(file, 0, 0, block_size).has_value());
                may_interleave();
            }
        };
        Scheduler(seed).run({rewrite, read, read});
        CHECK(written == 4);
        check_and_remount(fixture);
    }
}
