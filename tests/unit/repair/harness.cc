// SPDX-License-Identifier: BSD-3-Clause
#include "unit/repair/harness.h"

#include "device/label.h"
#include "support/test_env.h"
#include "tools/reader/tree_walk.h"
#include "volume/volume.h"

namespace daxpin::test {
namespace {

class Reading : public reader::TreeVisitor {
  public:
    Reading(const device::DeviceTable &devices, Content &content)
        : devices_(devices), content_(content) {}

    bool enter(const reader::NodePlace &place, double) override {
        return nodes_.insert(place.block.value).second;
    }
    void node(MediaBlock, const reader::Node &) override {}
    void broken(const reader::NodePlace &, bool, const std::string &) override {}
    void item(const reader::Item &item, MediaBlock) override {
        auto &bytes = content_[{item.key.inode, item.key.place}];
        bytes.assign(item.value.begin(), item.value.end());
        if (item.key.type() != static_cast<unsigned>(format::ItemType::extent))
            return;
        format::ExtentItem extent;
        if (bytes.size() != sizeof extent)
            return;
        std::memcpy(&extent, bytes.data(), sizeof extent);
        const MediaRun run{MediaBlock{extent.media_block}, {extent.block_count}};
        if (!devices_.contains(run))
            return;
        bytes.resize(sizeof extent + run.count.bytes());
        REQUIRE(devices_.read(run.start, 0, std::span(bytes).subspan(sizeof extent)));
    }

  private:
    const device::DeviceTable &devices_;
    Content &content_;
    std::set<std::uint64_t> nodes_;
};

std::string lines_of(const fsck::Report &report) {
    std::string text = text_of(report);
    return text + std::to_string(report.errors) + " errors\n";
}

} // namespace

Content content_of(const MediaList &media) {
    const auto devices = open_table(media);
    Content content;
    const auto superblock = device::read_superblock(devices.metadata());
    if (!superblock)
        return content;
    const reader::View view(devices, *superblock, true);
    Reading reading(devices, content);
    reader::walk_tree(view, reading);
    return content;
}

std::set<std::uint64_t> differing(const Content &a, const Content &b) {
    std::set<std::uint64_t> inodes;
    const auto compare = [&](const Content &one, const Content &other) {
        for (const auto &[key, bytes] : one) {
            const auto found = other.find(key);
            if (found == other.end() || found->second != bytes)
                inodes.insert(key.first);
        }
    };
    compare(a, b);
    compare(b, a);
    return inodes;
}

fsck::Report check(const MediaList &media) {
    return fsck::check(open_table(media));
}

repair::Outcome repair_media(const MediaList &media, repair::Level level) {
    TestEnv env;
    auto devices = open_table(media);
    return repair::repair(devices, env, {level, {}});
}

MediaList clones(const MediaList &media) {
    MediaList copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

void expect_mountable(const MediaList &media) {
    TestEnv env;
    auto volume = volume::Volume::open(open_table(media), env, {});
    INFO((volume ? "" : describe(volume.error())));
    CHECK(volume.has_value());
}

std::string text_of(const repair::Outcome &outcome) {
    std::string text = "before:\n" + lines_of(outcome.before) + "done:\n";
    for (const auto &action : outcome.done)
        text += std::string(to_string(action.subject)) + ": " + action.text + "\n";
    text += "failed:\n";
    for (const auto &failure : outcome.failed)
        text += failure + "\n";
    return text + "after:\n" + lines_of(outcome.after);
}

} // namespace daxpin::test
