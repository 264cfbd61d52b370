// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/orphans.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::repair {

using reader::Key;
using reader::UnitBytes;

Orphans::Orphans(const reader::View &view, const fsck::OwnerMap &reached) {
    const auto &device = view.superblock().devices[0];
    for (std::uint64_t group = 0; group < device.group_count; ++group) {
        UnitBytes chunk;
        if (!view.read(MediaBlock::at(0, device.bitmap_start + group), chunk))
            continue;
        const auto &owned = reached.group(0, group);
        for (unsigned i = 0; i < fsck::group_words; ++i) {
            le64 stored;
            std::memcpy(&stored, chunk.data() + format::bitmap_header_bytes + i * sizeof stored,
                        sizeof stored);
            for (std::uint64_t bits = stored & ~owned[i]; bits != 0; bits &= bits - 1) {
                const std::uint64_t block =
                    group * format::blocks_per_group + i * 64 + std::countr_zero(bits);
                if (block < device.block_count)
                    look_at(view, MediaBlock::at(0, block));
            }
        }
    }
    // From below, so that what children hold is known when it is asked for.
    for (unsigned level = 1; level <= reader::level_max; ++level)
        for (auto &[block, node] : nodes_)
            if (node.level == level)
                widen(node);
}

void Orphans::look_at(const reader::View &view, MediaBlock block) {
    UnitBytes bytes;
    if (!view.read(block, bytes))
        return;
    format::NodeHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (!reader::unit_checksum_holds(bytes)) {
        // Most blocks are no nodes at all: do not search those for a flipped bit.
        if (header.magic != format::node_magic && header.self != block.value)
            return;
        const auto bit = reader::flipped_bit(bytes);
        if (!bit)
            return;
        bytes[*bit / 8] ^= std::byte{1} << (*bit % 8);
    }
    const reader::Node node(bytes);
    if (node.problem(block.value) || node.count() == 0)
        return;
    Node orphan{node.level(), {}, {}, {}};
    if (node.level() == 0) {
        orphan.first = node.item(0).key;
        orphan.last = node.item(node.count() - 1).key;
    } else {
        // The first child's key says nothing about what it holds.
        orphan.first = node.child(0).key;
        orphan.last = node.child(node.count() - 1).key;
        for (unsigned i = 0; i < node.count(); ++i)
            orphan.children.push_back(node.child(i).block);
    }
    nodes_.emplace(block.value, std::move(orphan));
}

void Orphans::widen(Node &node) {
    for (const std::uint64_t child : node.children) {
        const auto found = nodes_.find(child);
        if (found == nodes_.end() || found->second.level + 1 != node.level)
            continue;
        node.first = std::min(node.first, found->second.first);
        node.last = std::max(node.last, found->second.last);
    }
}

void Orphans::mark_taken(std::uint64_t block) {
    const auto found = nodes_.find(block);
    if (found == nodes_.end() || found->second.taken)
        return;
    found->second.taken = true;
    for (const std::uint64_t child : found->second.children)
        mark_taken(child);
}

std::vector<Orphans::Subtree> Orphans::take(unsigned level, const Key &low,
                                            const std::optional<Key> &high) {
    std::vector<Subtree> taken;
    for (unsigned below = level; below-- > 0;) {
        std::vector<Subtree> fitting;
        for (const auto &[block, node] : nodes_)
            if (node.level == below && !node.taken && node.first >= low &&
                (!high || node.last < *high))
                fitting.push_back({MediaBlock{block}, node.level, node.first, node.last});
        std::ranges::sort(fitting, {}, &Subtree::first);
        const auto overlap = [](const Subtree &a, const Subtree &b) {
            return a.first <= b.last && b.first <= a.last;
        };
        const std::size_t higher = taken.size();
        for (std::size_t i = 0; i < fitting.size(); ++i) {
            const bool contradicted =
                std::any_of(taken.begin(), taken.begin() + static_cast<long>(higher),
                            [&](const Subtree &other) { return overlap(other, fitting[i]); }) ||
                (i > 0 && overlap(fitting[i - 1], fitting[i])) ||
                (i + 1 < fitting.size() && overlap(fitting[i], fitting[i + 1]));
            if (!contradicted)
                taken.push_back(fitting[i]);
        }
        for (std::size_t i = higher; i < taken.size(); ++i)
            mark_taken(taken[i].top.value);
    }
    std::ranges::sort(taken, {}, &Subtree::first);
    return taken;
}

} // namespace daxpin::repair
