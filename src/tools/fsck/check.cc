// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/check.h"

#include "tools/fsck/bitmaps.h"
#include "tools/fsck/contests.h"
#include "tools/fsck/graph.h"
#include "tools/fsck/identity.h"
#include "tools/fsck/inode_check.h"
#include "tools/fsck/quarantine_check.h"
#include "tools/reader/tree_walk.h"

#include <cstring>
#include <utility>

namespace daxpin::fsck {
namespace {

using reader::CopyState;

constexpr double tree_share = 0.9; // of the work, for progress

// Labels, ring, tail cells and bitmap chunks: where the superblock says, and nobody else's.
void claim_fixed_regions(Pass &pass) {
    const auto &superblock = pass.view.superblock();
    const auto claim = [&](std::uint64_t start, std::uint64_t count, const char *owner) {
        const MediaRun run{MediaBlock::at(0, start), {count}};
        if (pass.claim_metadata(run, owner))
            pass.forbid_records(run, owner);
    };
    claim(0, 1, "label");
    claim(superblock.devices[0].block_count - 1, 1, "second label");
    claim(superblock.ring_start, superblock.ring_blocks, "journal ring");
    claim(superblock.tail_cell_a, 1, "tail cell");
    claim(superblock.tail_cell_b, 1, "second tail cell");
    for (unsigned device = 0; device < superblock.device_count; ++device) {
        const auto &entry = superblock.devices[device];
        pass.claim_metadata({MediaBlock::at(0, entry.bitmap_start), {entry.group_count}},
                            "bitmap chunks");
        if (device == 0)
            continue;
        for (const std::uint64_t block : {std::uint64_t{0}, entry.block_count - 1}) {
            pass.owners.claim({MediaBlock::at(device, block), {1}});
            pass.metadata.claim({MediaBlock::at(device, block), {1}});
        }
        pass.report.counts.metadata_blocks += 2;
    }
}

// Legal after a crash: one copy torn, or the first one ahead by one.
void check_tail_cells(Pass &pass) {
    const auto &cells = pass.view.tail_cells();
    const auto &a = cells.first;
    const auto &b = cells.second;
    if (!a.valid() && !b.valid()) {
        pass.findings.error(Subject::tail_cell, "both tail cells are damaged");
        return pass.findings.fix(Stage::ring, Subject::tail_cell,
                                 "tail cells made anew; what the journal held is lost",
                                 FixRing{true});
    }
    for (const auto *copy : {&a, &b}) {
        const std::string name = "tail cell in block " + std::to_string(copy->block) + " ";
        if (copy->state == CopyState::unreadable)
            pass.findings.error(Subject::media, name + to_string(copy->state));
        else if (!copy->valid())
            pass.findings.note(Subject::tail_cell,
                               name + to_string(copy->state) +
                                   "; the next mount that may write restores it");
        if (!copy->valid())
            pass.findings.safe_fix(Stage::ring, Subject::tail_cell, name + "restored",
                                   FixRing{false});
    }
    if (!a.valid() || !b.valid() || std::memcmp(&a.value, &b.value, sizeof a.value) == 0)
        return;
    if (a.value.counter == b.value.counter + 1) {
        pass.findings.note(Subject::tail_cell,
                           "the first tail cell is ahead of the second; the next mount ends that");
        return pass.findings.safe_fix(Stage::ring, Subject::tail_cell,
                                      "second tail cell brought up to the first", FixRing{false});
    }
    pass.findings.error(Subject::tail_cell, "the tail cells contradict each other");
    pass.findings.fix(Stage::ring, Subject::tail_cell, "tail cells made anew", FixRing{true});
}

void check_ring(Pass &pass) {
    const auto &walk = pass.view.walk();
    for (const auto &text : walk.damage)
        pass.findings.error(Subject::ring, text);
    for (const auto &text : walk.unreadable)
        pass.findings.error(Subject::media, text);
    if (!walk.damage.empty() || !walk.unreadable.empty())
        pass.findings.fix(Stage::ring, Subject::ring, "what the journal holds was written home",
                          FixRing{true});
    for (const auto &patch : walk.patches) {
        const MediaRun run{MediaBlock{patch.block}, {1}};
        if (!pass.owners.contains(run) || run.start.device() != 0)
            pass.forbidden_record(run, "a record names block " + to_string(run.start) +
                                           ", which is not on the metadata device");
    }
    if (walk.replayable())
        pass.report.counts.records_replayed = pass.options.replay ? walk.records.size() : 0;
}

// A newer version writes records that this one does not know: what they would change cannot be
// judged.
bool records_known(Pass &pass) {
    const auto &unknown = pass.view.walk().unknown_type;
    if (unknown)
        pass.findings.error(Subject::feature, "the journal holds a record of unknown type " +
                                                  std::to_string(*unknown) +
                                                  ": use a newer fsck.daxpinfs");
    return !unknown;
}

// Sends the tree's items to where they are checked.
class TreeCheck : public reader::TreeVisitor {
  public:
    TreeCheck(Pass &pass, Graph &graph)
        : pass_(pass), graph_(graph), inode_(pass, graph), quarantine_(pass) {}

    bool enter(const reader::NodePlace &place, double done) override {
        if (++entered_ % 64 == 0 && !pass_.progress(tree_share * done))
            return false;
        if (pass_.report.cancelled)
            return false;
        if (pass_.claim_metadata({place.block, {1}}, "tree node") || is_node_after_all(place.block))
            return true;
        pass_.findings.fix(Stage::nodes, Subject::ownership, name(place) + " was replaced",
                           FixNode{place, false, false});
        lose_items();
        return false;
    }

    void node(MediaBlock, const reader::Node &) override { ++pass_.report.counts.nodes; }

    void item(const reader::Item &item, MediaBlock leaf) override {
        const std::uint64_t number = item.key.inode;
        if (number == format::unfinished_table)
            return unfinished(item);
        if (number == format::bad_block_table)
            return bad_block(item);
        if (number == format::quarantine_table)
            return quarantine_.item(item);
        if (number == format::shutdown_table)
            return shutdown(item);
        if (number != inode_.number()) {
            inode_.finish();
            inode_.begin(number, gap_);
            gap_ = false;
            if (inode_.is_reserved())
                pass_.findings.error(Subject::inode,
                                     "items under reserved inode number " + std::to_string(number));
        }
        inode_.item(item, leaf);
    }

    void broken(const reader::NodePlace &place, bool unreadable, const std::string &what) override {
        const auto subject = unreadable ? Subject::media : Subject::node;
        pass_.findings.error(subject, name(place) + ": " + what);
        reader::UnitBytes bytes;
        if (!unreadable && pass_.view.read(place.block, bytes))
            if (const auto bit = reader::flipped_bit(bytes)) {
                pass_.findings.safe_fix(Stage::flips, subject, name(place) + ": one bit corrected",
                                        FixFlip{place.block, *bit});
                return lose_items();
            }
        pass_.findings.fix(Stage::nodes, subject, name(place) + " was replaced",
                           FixNode{place, !unreadable, true});
        lose_items();
    }

    void finish() {
        inode_.finish();
        quarantine_.finish();
        for (const auto &[key, item] : bad_blocks_)
            claim_bad_block(key, item);
    }

  private:
    static std::string name(const reader::NodePlace &place) {
        return "tree node " + to_string(place.block);
    }

    // Where an old copy of a leaf has come back, it may speak of a blob in what is a node by now.
    bool is_node_after_all(MediaBlock block) {
        reader::UnitBytes bytes;
        return pass_.unproven.contains(block.value) && pass_.view.read(block, bytes) &&
               !reader::Node(bytes).problem(block.value) && pass_.unproven.erase(block.value) != 0;
    }

    void lose_items() {
        pass_.incomplete = true;
        gap_ = true;
        inode_.gap();
    }

    void unfinished(const reader::Item &item) {
        format::UnfinishedItem work{};
        if (item.key.type() != static_cast<unsigned>(format::ItemType::unfinished) ||
            item.value.size() != sizeof work)
            return drop_impossible(Subject::unfinished, item.key);
        std::memcpy(&work, item.value.data(), sizeof work);
        ++pass_.report.counts.unfinished;
        graph_.add_unfinished(item.key.offset(), work);
    }

    void bad_block(const reader::Item &item) {
        format::BadBlockItem bad{};
        const MediaBlock block{item.key.offset()};
        if (item.key.type() != static_cast<unsigned>(format::ItemType::bad_block) ||
            item.value.size() != sizeof bad || !pass_.owners.contains({block, {1}}))
            return drop_impossible(Subject::bad_block, item.key);
        std::memcpy(&bad, item.value.data(), sizeof bad);
        if (bad.source < 1 || bad.source > 3 || (bad.flags & ~format::bad_block_flag_unowned) != 0)
            return drop(Subject::bad_block, item.key,
                        "block " + to_string(block) + ": unknown source or flags");
        ++pass_.report.counts.bad_blocks;
        bad_blocks_.emplace_back(item.key, bad);
    }

    void drop(Subject subject, const reader::Key &key, const std::string &what) {
        pass_.findings.error(subject, what);
        pass_.findings.fix(Stage::items, subject, "item " + reader::to_string(key) + " removed",
                           FixItems{{key}, {}});
    }

    void drop_impossible(Subject subject, const reader::Key &key) {
        drop(subject, key, "impossible item " + reader::to_string(key));
    }

    void shutdown(const reader::Item &item) {
        format::ShutdownItem known{};
        const std::uint64_t index = item.key.offset();
        if (item.key.type() != static_cast<unsigned>(format::ItemType::shutdown) ||
            item.value.size() != sizeof known || index >= pass_.view.devices().count())
            return drop_impossible(Subject::device_table, item.key);
        std::memcpy(&known, item.value.data(), sizeof known);
        const auto &info = pass_.view.devices().at(static_cast<unsigned>(index)).info();
        if (info.unsafe_shutdowns && *info.unsafe_shutdowns > known.unsafe_count)
            pass_.findings.note(Subject::device_table,
                                info.path + ": unsafe shutdowns since the last mount: " +
                                    std::to_string(*info.unsafe_shutdowns - known.unsafe_count) +
                                    "; what was stored just before may be lost");
    }

    // The list keeps what nobody else owns from being used.
    void claim_bad_block(const reader::Key &key, format::BadBlockItem item) {
        const MediaBlock block{key.offset()};
        const bool owned = pass_.owners.claim({block, {1}}).count != 0;
        if (!owned)
            pass_.listed.insert(block.value);
        if (!owned || (item.flags & format::bad_block_flag_unowned) == 0)
            return;
        pass_.findings.error(Subject::bad_block,
                             "block " + to_string(block) + " is listed as nobody's but is in use");
        item.flags = 0;
        const auto *bytes = reinterpret_cast<const std::byte *>(&item);
        pass_.findings.fix(Stage::items, Subject::bad_block,
                           "block " + to_string(block) + " is listed as its owner's",
                           FixItems{{}, {{key, ItemBytes(bytes, bytes + sizeof item)}}});
    }

    Pass &pass_;
    Graph &graph_;
    InodeCheck inode_;
    QuarantineCheck quarantine_;
    std::vector<std::pair<reader::Key, format::BadBlockItem>> bad_blocks_;
    std::uint64_t entered_ = 0;
    bool gap_ = false;
};

void check_tree(Pass &pass, Graph &graph) {
    TreeCheck tree(pass, graph);
    reader::walk_tree(pass.view, tree);
    tree.finish();
}

// A record may also name a unit that was freed since: a recovery refuses one that cannot be read or
// would be left with a wrong checksum, freed or not.
void check_freed_units(Pass &pass) {
    std::uint64_t last = 0; // block 0 is a label
    for (const auto &patch : pass.view.patches()) {
        const MediaBlock block{patch.block};
        if (std::exchange(last, patch.block) == patch.block || !pass.owners.contains({block, {1}}))
            continue;
        if (pass.owners.holds(block) && !pass.listed.contains(patch.block))
            continue; // checked with its owner
        reader::UnitBytes unit;
        const auto read = pass.view.read(block, unit);
        if (!read && read.code() == Errc::io)
            pass.findings.error(Subject::media, "records change block " + to_string(block) +
                                                    ", which cannot be read");
        else if (read && !reader::unit_checksum_holds(unit))
            pass.findings.error(Subject::ring, "records leave a wrong checksum in block " +
                                                   to_string(block) + ", which is free");
        else
            continue;
        pass.findings.fix(Stage::ring, Subject::ring, "what the journal holds was written home",
                          FixRing{true});
    }
}

} // namespace

Report check(const device::DeviceTable &devices, const CheckOptions &options) {
    Report report;
    Findings findings(report, options.findings_max, options.fixes);
    const auto superblock = check_identity(devices, findings);
    if (!superblock)
        return report;
    const reader::View view(devices, *superblock, options.replay);
    Pass pass(view, options, report, findings);
    if (!records_known(pass))
        return report;
    claim_fixed_regions(pass);
    check_tail_cells(pass);
    check_ring(pass);
    Graph graph;
    check_tree(pass, graph);
    if (!report.cancelled)
        graph.check(pass);
    graph.name_findings(pass);
    pass.findings.about(0);
    if (!report.cancelled)
        check_freed_units(pass);
    if (!report.cancelled)
        check_bitmaps(pass);
    if (options.fixes != nullptr && !report.cancelled) {
        settle_contests(pass);
        options.fixes->contested = std::move(pass.contested);
        options.fixes->reached = std::move(pass.owners);
    }
    return report;
}

} // namespace daxpin::fsck
