// SPDX-License-Identifier: BSD-3-Clause
#include "volume/attribute_edits.h"

#include "base/assert.h"

#include <span>

namespace daxpin::volume {

Attributes &AttributeEdits::of(CachedInode &inode) {
    for (std::size_t i = 0; i < count_; ++i)
        if (edits_[i].inode == &inode)
            return edits_[i].attributes;
    DAXPIN_ASSERT(count_ < count_max);
    edits_[count_] = {&inode, inode.attributes};
    return edits_[count_++].attributes;
}

Result<void> AttributeEdits::store(inode::InodeTable &table, inode::UnfinishedTable &unfinished,
                                   alloc::Transaction &tx) const {
    const std::span edits(edits_.data(), count_);
    for (const Edit &edit : edits)
        DAXPIN_TRY(table.store(tx, edit.attributes));
    for (const Edit &edit : edits) {
        const Attributes &is = edit.attributes;
        const bool had_name = edit.inode->attributes.link_count > 0;
        if (had_name && is.link_count == 0)
            DAXPIN_TRY(unfinished.put(
                tx, {is.number, is.generation, format::UnfinishedKind::remove, FileBlock{0}}));
        if (!had_name && is.link_count > 0)
            DAXPIN_TRY(unfinished.erase(tx, is.number));
    }
    return {};
}

void AttributeEdits::publish() const {
    for (std::size_t i = 0; i < count_; ++i)
        edits_[i].inode->attributes = edits_[i].attributes;
}

} // namespace daxpin::volume
