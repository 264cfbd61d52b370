// SPDX-License-Identifier: BSD-3-Clause
//
// DeviceTable: the 1 to 16 devices of a volume by index, their labels and the superblock.
//
// Owns the devices. Device 0 holds all metadata. Immutable after construction, so thread-safe.
// Layouts: docs/format.md, "Device label" and "Superblock".
#pragma once

#include "device/device.h"
#include "format/layout.h"

#include <memory>
#include <vector>

namespace daxpin::device {

class DeviceTable {
  public:
    // Takes devices in index order. REQUIRES: 1 <= devices.size() <= 16.
    explicit DeviceTable(std::vector<std::unique_ptr<Device>> devices);

    unsigned count() const { return static_cast<unsigned>(devices_.size()); }
    Device &at(unsigned index) const { return *devices_[index]; }
    Device &metadata() const { return *devices_[0]; }

    // True if the whole run lies on a device of the table.
    bool contains(MediaRun run) const;

    // Byte-addressed forms: `offset` counts from the start of `block` and may exceed a block.
    // REQUIRES: contains() the bytes named.
    Result<void> read(MediaBlock block, std::uint64_t offset, std::span<std::byte> out) const;
    Result<void> copy(MediaBlock block, std::uint64_t offset, std::span<const std::byte> in,
                      StoreKind kind) const;
    Result<void> set(MediaBlock block, std::uint64_t offset, std::byte value, std::uint64_t length,
                     StoreKind kind) const;
    void flush(MediaBlock block, std::uint64_t offset, std::uint64_t length) const;
    const std::byte *address(MediaBlock block) const {
        return devices_[block.device()]->view().data() + block.block() * block_size;
    }

    // Drains every device for the calling thread.
    Result<void> drain() const;

  private:
    std::vector<std::unique_ptr<Device>> devices_;
};

} // namespace daxpin::device
