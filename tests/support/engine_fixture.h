// SPDX-License-Identifier: BSD-3-Clause
//
// EngineFixture: devices, journal, allocator and an empty tree on simulated media, open; for
// tests of the layers between the tree and the volume.
//
// One device by default; with data_devices > 0 device 0 holds only metadata. A failure to format
// or open ends the program: it is a broken test, not a result.
#pragma once

#include "alloc/transaction.h"
#include "btree/tree.h"
#include "support/sim_device.h"
#include "support/test_env.h"

#include <memory>
#include <vector>

namespace daxpin::test {

struct EngineShape {
    std::uint64_t device_bytes = std::uint64_t{16} << 20; // of device 0
    std::uint64_t journal_bytes = std::uint64_t{1} << 20;
    unsigned data_devices = 0;
    std::uint64_t data_bytes = std::uint64_t{8} << 20; // of each data device
};

class EngineFixture {
  public:
    explicit EngineFixture(const EngineShape &shape = {});
    ~EngineFixture();

    TestEnv &env() { return env_; }
    SimMedia &media(unsigned device = 0) { return *media_[device]; }
    device::DeviceTable &devices() { return layers_->devices; }
    alloc::Allocator &allocator() { return *layers_->allocator; }
    btree::Tree &tree() { return *layers_->tree; }
    const format::Superblock &superblock() const { return superblock_; }

    // Closes every layer and opens them again on what the media hold.
    void reopen();

    // Runs `body(tx)` as one committed transaction and returns its Result.
    template <typename Body> auto transact(Body &&body) {
        return alloc::transact(allocator(), alloc::Purpose::ordinary, std::forward<Body>(body));
    }

  private:
    struct Layers {
        device::DeviceTable devices;
        std::unique_ptr<journal::Journal> journal;
        std::unique_ptr<alloc::Allocator> allocator;
        std::unique_ptr<btree::Tree> tree;
    };
    void format();
    void open();

    TestEnv env_;
    std::vector<std::shared_ptr<SimMedia>> media_;
    format::Superblock superblock_{};
    std::vector<MediaRun> in_use_;
    std::unique_ptr<Layers> layers_;
};

} // namespace daxpin::test
