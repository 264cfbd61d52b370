// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/contests.h"

#include "tools/reader/tree_walk.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace daxpin::fsck {
namespace {

using format::ItemType;
using reader::Key;

struct Claim {
    Key key;
    format::ExtentItem extent;
    std::int64_t changed_ns = 0; // ctime of the inode
    bool pinned = false;
    std::optional<format::QuarantineItem> quarantine = {}; // then extent has no flags

    std::uint64_t begin() const { return extent.media_block; }
    std::uint64_t end() const { return begin() + extent.block_count; }
    // Pinned blocks before others, and written ones before unwritten ones; quarantined ones last.
    // Else the inode that changed last: where an old copy of a leaf has come back, its inodes gave
    // the blocks away before the others got them.
    std::pair<int, std::int64_t> rank() const {
        if (quarantine)
            return {3, 0};
        const bool written = (extent.flags & format::extent_flag_unwritten) == 0;
        return {pinned ? 0 : written ? 1 : 2, ~changed_ns};
    }
};

// Disjoint ranges of media blocks, by begin.
class Ranges {
  public:
    void add(std::uint64_t begin, std::uint64_t end) {
        auto next = ranges_.upper_bound(begin);
        if (next != ranges_.begin() && std::prev(next)->second >= begin) {
            --next;
            begin = next->first;
        }
        while (next != ranges_.end() && next->first <= end) {
            end = std::max(end, next->second);
            next = ranges_.erase(next);
        }
        ranges_[begin] = end;
    }
    // The first range that overlaps [begin, end), if any.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> overlap(std::uint64_t begin,
                                                                   std::uint64_t end) const {
        auto next = ranges_.upper_bound(begin);
        if (next != ranges_.begin() && std::prev(next)->second > begin)
            --next;
        if (next == ranges_.end() || next->first >= end)
            return std::nullopt;
        return *next;
    }

  private:
    std::map<std::uint64_t, std::uint64_t> ranges_;
};

class Collector : public reader::TreeVisitor {
  public:
    explicit Collector(const Ranges &contested) : contested_(contested) {}

    bool enter(const reader::NodePlace &, double) override { return true; }
    void node(MediaBlock, const reader::Node &) override {}
    void broken(const reader::NodePlace &, bool, const std::string &) override {}
    void item(const reader::Item &item, MediaBlock) override {
        const auto type = static_cast<ItemType>(item.key.type());
        if (item.key.inode != inode_)
            changed_ns_ = 0;
        inode_ = item.key.inode;
        if (type == ItemType::inode && item.value.size() == sizeof(format::InodeItem)) {
            format::InodeItem inode;
            std::memcpy(&inode, item.value.data(), sizeof inode);
            changed_ns_ = inode.ctime_ns;
        } else if (type == ItemType::extent && item.value.size() == sizeof(format::ExtentItem)) {
            Claim claim{item.key, {}, changed_ns_};
            std::memcpy(&claim.extent, item.value.data(), sizeof claim.extent);
            if (contested_.overlap(claim.begin(), claim.end()))
                claims.push_back(claim);
        } else if (type == ItemType::quarantine &&
                   item.value.size() == sizeof(format::QuarantineItem)) {
            format::QuarantineItem entry;
            std::memcpy(&entry, item.value.data(), sizeof entry);
            const Claim claim{item.key, {item.key.offset(), entry.block_count, 0}, 0, false, entry};
            if (contested_.overlap(claim.begin(), claim.end()))
                claims.push_back(claim);
        } else if (type == ItemType::pin && item.value.size() == sizeof(format::PinItem)) {
            format::PinItem pin;
            std::memcpy(&pin, item.value.data(), sizeof pin);
            mark_pinned(item.key, pin.block_count);
        }
    }

    std::vector<Claim> claims;

  private:
    // Pins follow the extents of their inode.
    void mark_pinned(const Key &key, std::uint64_t count) {
        for (auto claim = claims.rbegin(); claim != claims.rend(); ++claim) {
            if (claim->key.inode != key.inode)
                return;
            const std::uint64_t first = claim->key.offset();
            claim->pinned = claim->pinned || (first < key.offset() + count &&
                                              key.offset() < first + claim->extent.block_count);
        }
    }

    const Ranges &contested_;
    std::uint64_t inode_ = 0;
    std::int64_t changed_ns_ = 0;
};

class Settlement {
  public:
    explicit Settlement(Pass &pass) : pass_(pass) {}

    // Leaves the claim what nobody before it has; that is then its own.
    void settle(const Claim &claim) {
        // A part of one before: an interrupted repair had put it, and this one does so again.
        if (put_.contains(claim.key))
            return;
        FixItems fix{{claim.key}, {}};
        std::uint64_t kept = 0;
        std::uint64_t piece = 0; // blocks up to `at` that are free
        for (std::uint64_t at = claim.begin(); at <= claim.end(); ++at) {
            if (at < claim.end() && !is_taken(at)) {
                ++piece;
                continue;
            }
            if (piece != 0)
                keep(fix, claim, at - piece, piece);
            kept += std::exchange(piece, 0);
        }
        if (kept == claim.extent.block_count)
            return;
        for (const auto &[key, item] : fix.put)
            put_.insert(key);
        const std::uint64_t cut = claim.extent.block_count - kept;
        const std::string what = claim.quarantine
                                     ? " quarantined blocks belong to something else and left it"
                                     : " blocks of the extent at file block " +
                                           std::to_string(claim.key.offset()) +
                                           " belong to something else and became a hole";
        pass_.findings.fix(Stage::items, Subject::ownership,
                           "inode " + std::to_string(claim.key.inode) + ": " + std::to_string(cut) +
                               what,
                           std::move(fix));
    }

  private:
    bool is_taken(std::uint64_t block) const {
        return pass_.metadata.holds(MediaBlock{block}) ||
               taken_.overlap(block, block + 1).has_value();
    }

    void keep(FixItems &fix, const Claim &claim, std::uint64_t begin, std::uint64_t count) {
        taken_.add(begin, begin + count);
        const Key key{claim.key.inode, claim.key.place + (begin - claim.begin())};
        if (claim.quarantine) {
            auto item = *claim.quarantine;
            item.block_count = static_cast<std::uint32_t>(count);
            fix.put.emplace_back(key, item_bytes(item));
            return;
        }
        auto item = claim.extent;
        item.media_block = begin;
        item.block_count = static_cast<std::uint32_t>(count);
        fix.put.emplace_back(key, item_bytes(item));
    }

    Pass &pass_;
    Ranges taken_;
    std::set<Key> put_; // by fixes
};

} // namespace

void settle_contests(Pass &pass) {
    if (pass.contested.empty() || pass.incomplete)
        return;
    Ranges contested;
    for (const auto &run : pass.contested)
        contested.add(run.start.value, run.start.value + run.count.value);
    Collector collector(contested);
    reader::walk_tree(pass.view, collector);
    std::ranges::stable_sort(collector.claims, {}, &Claim::rank);
    Settlement settlement(pass);
    for (const auto &claim : collector.claims)
        if (pass.owners.contains({MediaBlock{claim.begin()}, {claim.extent.block_count}}))
            settlement.settle(claim);
}

} // namespace daxpin::fsck
