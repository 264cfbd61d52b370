// SPDX-License-Identifier: BSD-3-Clause
//
// Several threads on the same few names. What each of them may see is open; that the volume is
// whole afterwards is not. Meant to run under ThreadSanitizer too.
#include "helpers.h"
#include "verify.h"

#include <array>
#include <atomic>
#include <functional>
#include <set>
#include <thread>

using namespace daxpin;
using namespace daxpin::test;

namespace {

constexpr int thread_count = 4;

void run_threads(const std::function<void(unsigned, std::uint64_t &)> &work) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < thread_count; ++i)
        threads.emplace_back([&work, i] {
            std::uint64_t random = i + 1;
            work(i, random);
        });
    for (auto &thread : threads)
        thread.join();
}

// Walks the tree; checks sizes, link counts and parents against the entries.
void check_whole(volume::Volume &volume, InodeNumber directory, InodeNumber parent,
                 std::set<std::uint64_t> &directories) {
    CHECK(directories.insert(directory.value).second);
    std::vector<InodeNumber> below;
    std::uint64_t entries = 0;
    must(volume.list(directory, 2, true, [&](const volume::ListedEntry &entry, const auto *seen) {
        ++entries;
        CHECK(seen->link_count > 0);
        if (seen->is_directory())
            below.push_back(entry.number);
        return true;
    }));
    const auto attributes = stat_of(volume, directory);
    CHECK(attributes.size == entries);
    CHECK(attributes.link_count == 2 + below.size());
    CHECK(attributes.parent == parent);
    for (const auto child : below)
        check_whole(volume, child, directory, directories);
}

} // namespace

TEST_CASE("concurrency: renames of directories keep a tree", "[volume][threads]") {
    VolumeShape shape;
    shape.device_bytes = 16U << 20;
    shape.journal_bytes = 1U << 20;
    VolumeFixture fixture(shape);
    auto &volume = fixture.volume();
    std::vector<InodeNumber> dirs{root_dir};
    for (int i = 0; i < 6; ++i)
        dirs.push_back(make_dir(volume, dirs[std::size_t(i) / 2], "d" + std::to_string(i)));
    std::atomic<unsigned> renamed = 0, exchanged = 0;
    run_threads([&](unsigned, std::uint64_t &random) {
        for (int i = 0; i < 2000; ++i) {
            const auto from = dirs[split_mix(random) % dirs.size()];
            const auto to = dirs[split_mix(random) % dirs.size()];
            const auto name = "d" + std::to_string(split_mix(random) % 6);
            const auto other = "d" + std::to_string(split_mix(random) % 6);
            // What a plain rename replaces is gone, so that little would be left to exchange.
            const auto kind = split_mix(random) % 16;
            const auto mode = kind == 0  ? volume::RenameMode::plain
                              : kind < 9 ? volume::RenameMode::exchange
                                         : volume::RenameMode::no_replace;
            if (volume.rename(root_caller(), from, name, to, other, mode))
                ++(mode == volume::RenameMode::exchange ? exchanged : renamed);
        }
    });
    CHECK(renamed > 0);
    CHECK(exchanged > 0);
    std::set<std::uint64_t> found;
    check_whole(volume, root_dir, root_dir, found);
    CHECK(fsck_findings(fixture) == "");
}

namespace {

constexpr std::size_t step_kinds = 5;

// One change of a few names in two directories; whether it was made.
bool change_names(volume::Volume &volume, std::size_t kind, InodeNumber a, InodeNumber b,
                  std::uint64_t &random) {
    const auto name = "n" + std::to_string(split_mix(random) % 4);
    const auto dir = split_mix(random) % 2 ? a : b;
    const auto other = split_mix(random) % 2 ? a : b;
    switch (kind) {
    case 0:
        if (auto made = volume.make_node(root_caller(), dir, name, node(S_IFREG | 0600))) {
            volume.forget(made->number, 1);
            return true;
        }
        return false;
    case 1:
        return volume.unlink(root_caller(), dir, name).has_value();
    case 2:
        if (auto found = volume.lookup(dir, name)) {
            const bool did =
                volume.link(root_caller(), found->number, other, name + "l").has_value();
            volume.forget(found->number, did ? 2 : 1);
            return did;
        }
        return false;
    case 3:
        return volume.unlink(root_caller(), other, name + "l").has_value();
    default:
        return volume.rename(root_caller(), dir, name, other, name, volume::RenameMode::plain)
            .has_value();
    }
}

} // namespace

TEST_CASE("concurrency: creating, linking and removing the same names", "[volume][threads]") {
    VolumeShape shape;
    shape.device_bytes = 16U << 20;
    shape.journal_bytes = 1U << 20;
    VolumeFixture fixture(shape);
    auto &volume = fixture.volume();
    const auto before = must(volume.statistics()).free_blocks;
    const InodeNumber a = make_dir(volume, root_dir, "a");
    const InodeNumber b = make_dir(volume, root_dir, "b");
    std::array<std::atomic<unsigned>, step_kinds> done{};
    const auto step = [&](std::uint64_t &random) {
        const auto kind = split_mix(random) % step_kinds;
        done[kind] += change_names(volume, kind, a, b, random);
    };
    run_threads([&](unsigned thread, std::uint64_t &random) {
        for (int i = 0; i < 1500; ++i)
            step(random);
        if (thread == 0)
            finish_background(volume);
    });
    for (const auto &count : done)
        CHECK(count > 0);
    std::set<std::uint64_t> found;
    check_whole(volume, root_dir, root_dir, found);
    CHECK(fsck_findings(fixture) == "");
    for (const auto dir : {a, b})
        for (const auto &name : names_in(volume, dir)) {
            const auto number = must(peek(volume, dir, name)).number;
            unlink(volume, dir, name);
            volume.forget(number, 1000); // check_whole() looked it up
        }
    for (const char *name : {"a", "b"})
        must(volume.remove_directory(root_caller(), root_dir, name));
    volume.forget(a, 1000);
    volume.forget(b, 1000);
    finish_background(volume);
    CHECK(fsck_findings(fixture) == "");
    const auto left = contents_of(fixture);
    CHECK(left.inodes == 1);
    CHECK(left.unfinished == 0);
    // An almost empty tree may keep a node more than a new one; nothing else is left.
    CHECK(left.tree_nodes <= 2);
    CHECK(must(volume.statistics()).free_blocks + left.tree_nodes == before + 1);
}
