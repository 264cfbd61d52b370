// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/repair.h"

#include "device/label.h"
#include "tools/reader/view.h"
#include "tools/repair/copies.h"
#include "tools/repair/items.h"
#include "tools/repair/nodes.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::repair {
namespace {

using fsck::Fix;
using fsck::Stage;

// Ten stages, some of which come again after a later one.
constexpr unsigned rounds_max = 100;

Result<void> fix(Engine &engine, const fsck::FixFlip &fix) {
    journal::Transaction tx(engine.journal());
    DAXPIN_TRY_ASSIGN(auto *bytes, engine.edit_damaged(tx, fix.unit));
    bytes[fix.bit / 8] ^= std::byte{1} << (fix.bit % 8);
    DAXPIN_TRY(tx.commit());
    return {};
}

Result<void> fix(Engine &engine, const fsck::FixChunk &fix) {
    const auto &device = engine.superblock().devices[fix.device];
    journal::Transaction tx(engine.journal());
    const auto chunk = MediaBlock::at(0, device.bitmap_start + fix.group);
    DAXPIN_TRY_ASSIGN(auto *bytes, engine.edit_damaged(tx, chunk));
    format::BitmapHeader header{};
    header.magic = format::bitmap_magic;
    header.device = fix.device;
    header.group = static_cast<std::uint32_t>(fix.group);
    std::uint32_t in_use = 0;
    for (unsigned i = 0; i < fsck::group_words; ++i) {
        const le64 word = fix.in_use[i];
        in_use += std::popcount(fix.in_use[i]);
        std::memcpy(bytes + sizeof header + i * sizeof word, &word, sizeof word);
    }
    header.free_count = format::blocks_per_group - in_use;
    std::memcpy(bytes, &header, sizeof header);
    DAXPIN_TRY(tx.commit());
    return {};
}

class Repairer {
  public:
    Repairer(device::DeviceTable &devices, Env &env, const Options &options)
        : devices_(devices), env_(env), options_(options) {}

    Outcome run() {
        for (unsigned round = 0; round < rounds_max; ++round) {
            fsck::Fixes fixes;
            outcome_.after = check(fixes);
            if (round == 0)
                outcome_.before = outcome_.after;
            if (outcome_.after.cancelled || !may_go_on(fixes) || !changed_since_last(fixes))
                break;
            outcome_.failed.clear(); // the next check finds what is left
            if (!apply(fixes))
                break;
        }
        return std::move(outcome_);
    }

  private:
    fsck::Report check(fsck::Fixes &fixes) {
        fsck::CheckOptions options;
        options.progress = options_.progress;
        options.fixes = &fixes;
        options.boot = env_.boot_id();
        return fsck::check(devices_, options);
    }

    bool may_go_on(const fsck::Fixes &fixes) const {
        if (fixes.kept.empty())
            return false;
        if (options_.level == Level::all)
            return true;
        return fixes.unsafe == 0 || (fixes.kept.front().stage == Stage::copies &&
                                     std::ranges::any_of(fixes.kept, &Fix::safe));
    }

    // A fix that did not take would be tried for ever.
    bool changed_since_last(const fsck::Fixes &fixes) {
        std::vector<std::string> texts;
        for (const auto &fix : fixes.kept)
            texts.push_back(fix.text);
        const bool changed = texts != last_;
        last_ = std::move(texts);
        return changed;
    }

    // True if anything was done.
    bool apply(const fsck::Fixes &fixes) {
        const std::size_t done_before = outcome_.done.size();
        const Stage stage = fixes.kept.front().stage;
        if (stage == Stage::copies)
            fix_all_copies(fixes);
        else if (const auto applied = apply_behind_journal(fixes); !applied)
            outcome_.failed.push_back(describe(applied.error()));
        return outcome_.done.size() > done_before;
    }

    void note(const Fix &fix, const Result<void> &result, const std::string &more = {}) {
        if (result)
            outcome_.done.push_back({fix.subject, fix.text + (more.empty() ? "" : ": " + more)});
        else
            outcome_.failed.push_back("not done: " + fix.text + ": " + describe(result.error()));
    }

    void fix_all_copies(const fsck::Fixes &fixes) {
        for (const auto &fix : fixes.kept)
            if (fix.safe || options_.level == Level::all)
                note(fix, fix_copies(devices_, std::get<fsck::FixCopies>(fix.how)));
    }

    Result<void> apply_behind_journal(const fsck::Fixes &fixes) {
        DAXPIN_TRY_ASSIGN(const auto superblock, device::read_superblock(devices_.metadata()));
        if (fixes.kept.front().stage == Stage::ring)
            return fix_ring(fixes, superblock);
        auto engine = Engine::open(devices_, superblock, env_);
        if (!engine && engine.code() == Errc::corrupt) {
            // A unit that the records change is damaged: the check had the same in memory.
            DAXPIN_TRY(write_records_home(devices_, superblock, {}, env_));
            outcome_.done.push_back({fsck::Subject::ring, "the journal's records written home"});
            last_.clear(); // none of them was tried
            return {};
        }
        if (!engine)
            return engine.error();
        if (fixes.kept.front().stage == Stage::nodes)
            DAXPIN_TRY(fix_nodes(*engine, fixes));
        else
            DAXPIN_TRY(fix_each(*engine, fixes));
        return engine->checkpoint();
    }

    Result<void> fix_ring(const fsck::Fixes &fixes, const format::Superblock &superblock) {
        const bool damaged = std::ranges::any_of(
            fixes.kept, [](const Fix &fix) { return std::get<fsck::FixRing>(fix.how).damaged; });
        Result<void> result;
        if (damaged) {
            result = write_records_home(devices_, superblock, fixes.not_units, env_);
        } else if (const auto engine = Engine::open(devices_, superblock, env_); !engine) {
            result = engine.error();
        }
        for (const auto &fix : fixes.kept)
            note(fix, result);
        return {};
    }

    Result<void> fix_nodes(Engine &engine, const fsck::Fixes &fixes) {
        DAXPIN_TRY(engine.open_tree());
        const reader::View view(devices_, engine.superblock(), true);
        NodeRepair nodes(engine, view, fixes);
        for (auto fix = fixes.kept.rbegin(); fix != fixes.kept.rend(); ++fix) {
            const auto result = nodes.fix(std::get<fsck::FixNode>(fix->how));
            note(*fix, result ? Result<void>{} : result.error(), result.value_or(""));
        }
        return {};
    }

    Result<void> fix_each(Engine &engine, const fsck::Fixes &fixes) {
        const Stage stage = fixes.kept.front().stage;
        if (stage != Stage::flips && stage != Stage::bitmaps && stage != Stage::leaks)
            DAXPIN_TRY(engine.open_tree());
        for (const auto &one : fixes.kept)
            note(one, std::visit(
                          [&](const auto &how) -> Result<void> {
                              if constexpr (requires { fix(engine, how); })
                                  return fix(engine, how);
                              else
                                  return Errc::unsupported; // of another stage
                          },
                          one.how));
        return {};
    }

    device::DeviceTable &devices_;
    Env &env_;
    const Options &options_;
    Outcome outcome_;
    std::vector<std::string> last_;
};

} // namespace

Outcome repair(device::DeviceTable &devices, Env &env, const Options &options) {
    return Repairer(devices, env, options).run();
}

} // namespace daxpin::repair
