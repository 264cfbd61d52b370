// SPDX-License-Identifier: BSD-3-Clause
//
// A repair that power failure interrupts: done again, it ends as if it had not been; and a mount
// in between loses nothing.
#include "support/persistence_model.h"
#include "support/test_env.h"
#include "support/trace.h"
#include "unit/repair/harness.h"
#include "volume/volume.h"

#include <algorithm>
#include <functional>

using namespace daxpin;
using namespace daxpin::test;

namespace {

struct Crashed {
    std::string name;
    std::function<void(Image &)> damage; // after write()
    std::function<void(Image &)> before_write = {};
};

void garbage(Image &image, std::uint64_t block) {
    std::ranges::fill(image.block(block).subspan(40, 200), std::byte{0x77});
}

// What a repair must bring about: the items, but for what it invents, times and generations of
// lost+found.
std::set<Image::ItemKey> keys_of(const Content &content) {
    std::set<Image::ItemKey> keys;
    for (const auto &[key, bytes] : content)
        keys.insert(key);
    return keys;
}

class CrashRun {
  public:
    explicit CrashRun(const Crashed &crashed) : crashed_(crashed) {
        if (crashed.before_write)
            crashed.before_write(image_);
        image_.write();
        crashed.damage(image_);
        initial_.assign(image_.media().bytes().begin(), image_.media().bytes().end());
        TraceRecorder recorder(image_.all_media());
        const auto outcome = repair_media(image_.all_media());
        INFO(text_of(outcome));
        REQUIRE(outcome.after.clean());
        trace_ = recorder.trace();
        wanted_ = content_of(image_.all_media());
    }

    // At each drain, and at stores in between: what was drained is there, of the rest any part.
    std::size_t crash_everywhere() {
        PersistenceModel model(device::Domain::cache_line, initial_);
        std::uint64_t seed = 1;
        std::size_t crashes = 0;
        for (std::size_t i = 0; i < trace_.events.size(); ++i) {
            const Event &event = trace_.events[i];
            const bool drain = event.kind == Event::Kind::drain;
            if (drain || i % 7 == 0)
                for (unsigned sample = 0; sample < (drain ? 4U : 1U); ++sample, ++crashes)
                    crash(model, sample, seed, i);
            if (event.kind == Event::Kind::store)
                model.store(event.offset, trace_.stored(event), event.store_kind, event.thread);
            else if (event.kind == Event::Kind::flush)
                model.flush(event.offset, event.data, event.thread);
            else if (drain)
                model.drain(event.thread);
        }
        return crashes;
    }

  private:
    // Sample 0: nothing of the undecided; 1: all of it; others: some.
    MediaList state(const PersistenceModel &model, unsigned sample, std::uint64_t &seed) const {
        MediaList media{SimMedia::create(image_.all_media()[0]->options())};
        std::ranges::copy(model.durable(), media[0]->bytes().begin());
        for (const std::uint64_t unit : model.undecided()) {
            const auto contents = model.contents(unit);
            const auto content = sample == 0 ? contents.front()
                                 : sample == 1
                                     ? contents[std::min<std::size_t>(1, contents.size() - 1)]
                                     : model.random_content(unit, seed);
            std::ranges::copy(content, media[0]->bytes().begin() + static_cast<long>(unit));
        }
        return media;
    }

    void crash(const PersistenceModel &model, unsigned sample, std::uint64_t &seed,
               std::size_t event) {
        const auto media = state(model, sample, seed);
        const auto mounted = clones(media);
        expect_same_end(media, event, false);
        TestEnv env;
        const auto opened = volume::Volume::open(open_table(mounted), env, {});
        if (opened)
            expect_same_end(mounted, event, true);
    }

    void expect_same_end(const MediaList &media, std::size_t event, bool mounted) {
        const auto outcome = repair_media(media);
        if (!check(media).clean())
            FAIL(crashed_.name << ", event " << event << (mounted ? ", mounted" : "") << "\n"
                               << text_of(outcome));
        const auto found = keys_of(content_of(media));
        for (const auto &key : keys_of(wanted_))
            if (!found.contains(key))
                FAIL(crashed_.name << ", event " << event << (mounted ? ", mounted" : "")
                                   << ": lost item " << key.first << " " << key.second << "\n"
                                   << text_of(outcome));
    }

    const Crashed &crashed_;
    Image image_;
    ImageBytes initial_;
    Trace trace_;
    Content wanted_;
};

} // namespace

TEST_CASE("crash: a repair that was interrupted is done again and ends the same", "[repair]") {
    const std::vector<Crashed> cases = {
        {"label", [](Image &i) { std::ranges::fill(i.block(0), std::byte{0}); }},
        {"tail cell", [](Image &i) { i.at<format::TailCell>(Image::cell_a).magic = 0; }},
        {"flips",
         [](Image &i) {
             for (const auto node : i.nodes[0])
                 i.block(node)[3000] ^= std::byte{4};
         }},
        {"inner nodes",
         [](Image &i) {
             garbage(i, i.nodes[1][0]);
             garbage(i, i.nodes[2][0]);
         }},
        {"root", [](Image &i) { garbage(i, i.superblock.root); }},
        {"root and bitmap",
         [](Image &i) {
             garbage(i, i.superblock.root);
             garbage(i, i.superblock.devices[0].bitmap_start);
         }},
        {"a leaf", [](Image &i) { garbage(i, i.nodes[0][1]); }},
        {"names, counts and lost+found", [](Image &) {},
         [](Image &i) {
             i.items.erase(i.name_key(1, format::ItemType::dirent, "cut"));
             i.items.erase(i.name_key(Image::sub, format::ItemType::dirent, "deep"));
             i.change_inode(Image::file, [](auto &inode) { inode.link_count = 7; });
             i.change<format::ExtentItem>(Image::key(Image::pinned, format::ItemType::extent),
                                          [](auto &extent) { extent.media_block = 5; });
         }},
        {"a lost record",
         [](Image &i) {
             const std::uint64_t root = i.superblock.root;
             const auto bytes = i.block(root).subspan(512, 8);
             const Image::Entry same{root, 512, {bytes.begin(), bytes.end()}};
             const auto first = i.append_record({same});
             i.append_record({same});
             i.media().bytes()[i.seat(first) + 70] ^= std::byte{1};
         }},
    };
    for (const auto &crashed : cases) {
        CrashRun run(crashed);
        const std::size_t crashes = run.crash_everywhere();
        INFO(crashed.name);
        CHECK(crashes > 4);
    }
}
