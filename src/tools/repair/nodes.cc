// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/nodes.h"

#include <algorithm>

namespace daxpin::repair {
namespace {

using btree::Child;
using btree::InnerEditor;
using btree::Key;
using btree::LeafEditor;
using format::ItemType;

Key key_of(const reader::Key &key) {
    return {key.inode, key.place};
}

void write_inner(std::byte *bytes, MediaBlock unit, unsigned level,
                 std::span<const Child> children) {
    InnerEditor::format(bytes, unit, level);
    InnerEditor node(bytes);
    for (unsigned i = 0; i < children.size(); ++i)
        node.insert(i, children[i]);
}

} // namespace

// New nodes from the lowest level up, until all subtrees hang below nodes of `level`.
Result<NodeRepair::Content>
NodeRepair::pack(Transaction &tx, const std::vector<Orphans::Subtree> &subtrees, unsigned level) {
    struct Piece {
        unsigned level;
        Child child;
    };
    std::vector<Piece> pieces;
    for (const auto &subtree : subtrees)
        pieces.push_back({subtree.level, {key_of(subtree.first), subtree.top}});
    for (unsigned below = 0; below + 1 < level; ++below) {
        std::vector<Piece> packed;
        std::vector<Child> run; // neighbours of this level
        const auto flush = [&]() -> Result<void> {
            if (run.empty())
                return {};
            DAXPIN_TRY_ASSIGN(const auto unit, tx.allocate_unit());
            DAXPIN_TRY_ASSIGN(auto *const bytes, tx.units().create(unit));
            write_inner(bytes, unit, below + 1, run);
            packed.push_back({below + 1, {run.front().key, unit}});
            run.clear();
            return {};
        };
        for (const auto &piece : pieces) {
            if (piece.level != below || run.size() == InnerEditor::capacity)
                DAXPIN_TRY(flush());
            if (piece.level == below)
                run.push_back(piece.child);
            else
                packed.push_back(piece);
        }
        DAXPIN_TRY(flush());
        pieces = std::move(packed);
    }
    Content content{level, {}, {}};
    for (const auto &piece : pieces)
        if (content.children.size() < InnerEditor::capacity)
            content.children.push_back(piece.child);
    return content;
}

// Without a checksum an item is believed if it carries a proof of its own: a name that has the
// volume's secret hash, and then the generation of what it leads to, or the checksum of its
// content, which the next check asks for.
bool NodeRepair::proves_itself(const reader::Item &item) const {
    std::size_t begin = 0;
    std::size_t length = 0;
    if (item.key.type() == static_cast<unsigned>(ItemType::dirent)) {
        format::DirentItem entry;
        if (item.value.size() < sizeof entry)
            return false;
        std::memcpy(&entry, item.value.data(), sizeof entry);
        begin = sizeof entry;
        length = entry.name_length;
    } else if (item.key.type() == static_cast<unsigned>(ItemType::xattr)) {
        format::BlobItem blob;
        if (item.value.size() < sizeof blob)
            return false;
        std::memcpy(&blob, item.value.data(), sizeof blob);
        begin = sizeof blob;
        length = blob.name_length;
    }
    if (length == 0 || length > item.value.size() - begin)
        return false;
    const std::string_view name{reinterpret_cast<const char *>(item.value.data() + begin), length};
    return reader::name_hash(engine_.hash_key(), name) == item.key.offset() >> 8;
}

// The items of a leaf that are still worth something.
NodeRepair::Content NodeRepair::survivors(const fsck::FixNode &fix) const {
    Content content;
    reader::UnitBytes bytes;
    if (!fix.readable || !fix.own || !view_.read(fix.place.block, bytes))
        return content;
    const bool intact = reader::unit_checksum_holds(bytes);
    const auto header = btree::header_of(bytes.data());
    const std::size_t slots_max =
        (block_size - sizeof header) / (sizeof(format::LeafSlot) + sizeof(format::Key));
    if (header.magic != format::node_magic || header.level != 0 ||
        header.self != fix.place.block.value || header.count > slots_max)
        return content;
    const btree::LeafView leaf(bytes.data());
    std::vector<std::byte> room(block_size);
    LeafEditor::format(room.data(), fix.place.block);
    LeafEditor fitting(room.data());
    for (unsigned i = 0; i < leaf.count(); ++i) {
        const auto item = leaf.item(i);
        if (!item)
            continue;
        const reader::Key key{item->key.inode, item->key.place};
        const bool in_order = content.items.empty() || content.items.back().key < item->key;
        if (!in_order || key < fix.place.low || (fix.place.high && key >= *fix.place.high) ||
            !fitting.fits(item->value.size()) || (!intact && !proves_itself({key, item->value})))
            continue;
        fitting.insert(fitting.count(), item->key, item->value);
        content.items.push_back({item->key, {item->value.begin(), item->value.end()}});
    }
    return content;
}

bool NodeRepair::is_contested(MediaBlock block) const {
    return std::ranges::any_of(fixes_.contested, [&](const MediaRun &run) {
        return block >= run.start && block < run.start + run.count;
    });
}

Result<unsigned> NodeRepair::index_in_parent(Transaction &tx, const reader::NodePlace::Step &parent,
                                             MediaBlock child) {
    DAXPIN_TRY_ASSIGN(const auto *bytes, tx.units().edit(parent.node));
    const btree::InnerView node(bytes);
    if (parent.index >= node.count() || node.child(parent.index).unit != child)
        return Error{Errc::corrupt, "the node above has changed"};
    return parent.index;
}

// Out of the parent; a parent that held nothing else goes too.
Result<void> NodeRepair::detach(Transaction &tx, const reader::NodePlace &place) {
    MediaBlock child = place.block;
    for (auto parent = place.parents.rbegin(); parent != place.parents.rend(); ++parent) {
        DAXPIN_TRY_ASSIGN(const unsigned index, index_in_parent(tx, *parent, child));
        auto *bytes = tx.units().find(parent->node);
        InnerEditor node(bytes);
        if (node.count() > 1) {
            node.erase(index);
            return {};
        }
        child = parent->node;
        if (parent + 1 == place.parents.rend())
            LeafEditor::format(bytes, parent->node); // nothing is left
    }
    return {};
}

// In a block of its own, so that what stands in the old one, whatever it is, stays; in place only
// for the root, which cannot move, and if no block is free.
Result<void> NodeRepair::install(Transaction &tx, const fsck::FixNode &fix,
                                 const Content &content) {
    const auto &place = fix.place;
    if (content.empty() && !place.parents.empty())
        return detach(tx, place);
    MediaBlock unit = place.block;
    std::byte *bytes = nullptr;
    if (!place.parents.empty()) {
        const auto fresh = tx.allocate_unit();
        if (!fresh && (fresh.code() != Errc::no_space || !fix.own || !fix.readable ||
                       is_contested(place.block)))
            return fresh.error();
        if (fresh) {
            unit = *fresh;
            DAXPIN_TRY_ASSIGN(bytes, tx.units().create(unit));
            const auto &parent = place.parents.back();
            DAXPIN_TRY_ASSIGN(const unsigned index, index_in_parent(tx, parent, place.block));
            InnerEditor node(tx.units().find(parent.node));
            node.put(index, {node.child(index).key, unit});
        }
    }
    if (bytes == nullptr) {
        DAXPIN_TRY_ASSIGN(bytes, engine_.edit_damaged(tx.units(), unit));
    }
    if (content.level != 0) {
        write_inner(bytes, unit, content.level, content.children);
        return {};
    }
    LeafEditor::format(bytes, unit);
    LeafEditor leaf(bytes);
    for (const auto &item : content.items)
        leaf.insert(leaf.count(), item.key, item.value);
    return {};
}

Result<std::string> NodeRepair::fix(const fsck::FixNode &fix) {
    const auto &place = fix.place;
    const auto subtrees =
        orphans_.take(place.level.value_or(btree::level_max), place.low, place.high);
    unsigned level = place.level.value_or(0);
    if (!place.level) // of the root only what hangs below it tells the level
        for (const auto &subtree : subtrees)
            level = std::max(level, subtree.level + 1);
    const auto left = subtrees.empty() ? survivors(fix) : Content{};
    DAXPIN_TRY(engine_.transact([&](Transaction &tx) -> Result<void> {
        if (subtrees.empty())
            return install(tx, fix, left);
        DAXPIN_TRY_ASSIGN(const auto content, pack(tx, subtrees, level));
        return install(tx, fix, content);
    }));
    if (!subtrees.empty())
        return std::to_string(subtrees.size()) + " subtrees below it put back";
    return std::to_string(left.items.size()) + " of its items could be kept";
}

} // namespace daxpin::repair
