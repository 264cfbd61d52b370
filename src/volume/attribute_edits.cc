// SPDX-License-Identifier: BSD-3-Clause
#include "volume/attribute_edits.h"

#include "base/assert.h"

namespace daxpin::volume {

Attributes &AttributeEdits::of(CachedInode &inode) {
    for (std::size_t i = 0; i < count_; ++i)
        if (edits_[i].inode == &inode)
            return edits_[i].attributes;
    DAXPIN_ASSERT(count_ < count_max);
    edits_[count_] = {&inode, inode.attributes};
    return edits_[count_++].attributes;
}

Result<void> AttributeEdits::store(inode::InodeTable &table, alloc::Transaction &tx) const {
    for (std::size_t i = 0; i < count_; ++i)
        DAXPIN_TRY(table.store(tx, edits_[i].attributes));
    return {};
}

void AttributeEdits::publish() const {
    for (std::size_t i = 0; i < count_; ++i)
        edits_[i].inode->attributes = edits_[i].attributes;
}

} // namespace daxpin::volume
