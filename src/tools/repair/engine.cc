// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/engine.h"

#include <algorithm>

namespace daxpin::repair {

Result<Engine> Engine::open(device::DeviceTable &devices, const format::Superblock &superblock,
                            Env &env) {
    Engine engine(superblock, env);
    std::ranges::copy(superblock.hash_key, engine.hash_key_.begin());
    DAXPIN_TRY_ASSIGN(engine.journal_,
                      journal::Journal::open(devices, journal::geometry_of(superblock), env));
    return engine;
}

Result<void> Engine::open_tree() {
    if (tree_ != nullptr)
        return {};
    DAXPIN_TRY_ASSIGN(allocator_, alloc::Allocator::open(*journal_, superblock_));
    tree_ = std::make_unique<btree::Tree>(*journal_, MediaBlock::at(0, superblock_.root));
    return {};
}

// A crash behind the rewrite leaves a wrong checksum, which the next repair finds.
Result<std::byte *> Engine::edit_damaged(journal::Transaction &tx, MediaBlock unit) {
    constexpr journal::UnitBytes zeros{};
    journal::UnitBytes bytes;
    auto &devices = journal_->devices();
    if (const auto read = devices.read(unit, 0, bytes); !read && read.code() == Errc::io) {
        DAXPIN_TRY(devices.rewrite(unit, zeros));
        devices.bad_blocks().erase_unless_listed(unit);
    }
    journal_->units().set_verified(unit, true); // commit() makes it so
    return tx.edit(unit);
}

} // namespace daxpin::repair
