// SPDX-License-Identifier: BSD-3-Clause
//
// DeviceTable: the 1 to 16 devices of a volume by index, their labels and the superblock.
//
// Owns the devices. Device 0 holds all metadata. Immutable after construction, so thread-safe.
// Layouts: docs/format.md, "Device label" and "Superblock".
#pragma once

#include "device/bad_blocks.h"
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

    // The volume has the first `blocks` of a device, which may be longer: what lies beyond is not
    // looked at any more, and not noted as bad. Before others use the table.
    void use_first(unsigned device, std::uint64_t blocks);

    // True if the whole run lies on a device of the table, in the part that is used.
    bool contains(MediaRun run) const;

    // Byte-addressed forms: `offset` counts from the start of `block` and may exceed a block.
    // What cannot be accessed is noted in bad_blocks(). REQUIRES: contains() the bytes named.
    Result<void> read(MediaBlock block, std::uint64_t offset, std::span<std::byte> out) const;
    template <typename Access> // Device::look()
    Result<void> look(MediaBlock block, std::uint64_t offset, std::size_t length,
                      const Access &access) const {
        const std::uint64_t from = block.block() * block_size + offset;
        auto done = at(block.device()).look(from, length, access);
        if (!done) [[unlikely]]
            note_unreadable(block, offset, length);
        return done;
    }
    Result<void> patch(MediaBlock block, std::span<const std::byte, block_size> image,
                       std::span<const Device::Part> parts) const;
    Result<void> copy(MediaBlock block, std::uint64_t offset, std::span<const std::byte> in,
                      StoreKind kind) const;
    Result<void> set(MediaBlock block, std::uint64_t offset, std::byte value, std::uint64_t length,
                     StoreKind kind) const;
    void flush(MediaBlock block, std::uint64_t offset, std::uint64_t length) const;
    const std::byte *address(MediaBlock block) const {
        return devices_[block.device()]->view().data() + block.block() * block_size;
    }
    // Asks for bytes that will soon be read, and waits for nothing. Harmless if they cannot be
    // read.
    void prefetch(MediaBlock block, std::uint64_t offset, std::uint64_t length) const;

    // Drains every device for the calling thread.
    Result<void> drain() const;

    BadBlocks &bad_blocks() const { return *bad_blocks_; }
    // An access to these bytes failed: reads each block of theirs by itself and notes those that
    // cannot be read. Bytes that a device no longer has are reported, not noted.
    void note_unreadable(MediaBlock block, std::uint64_t offset, std::uint64_t length,
                         format::BadBlockSource source = format::BadBlockSource::access) const;
    // The same for an address that view() gave; others are none of ours.
    void note_unreadable(std::span<const std::byte> viewed, format::BadBlockSource source) const;
    // A block that the kernel has said is lost (lost_pages.h) counts as unreadable, whatever a read
    // gives; if it named a larger page, each block of that is read.
    void note_lost_pages() const;
    // Device::rewrite() of one block.
    Result<void> rewrite(MediaBlock block, std::span<const std::byte> content) const;

  private:
    void note_lost(unsigned device, std::uint64_t offset, std::uint64_t bytes) const;
    void note_each(MediaBlock block, std::uint64_t offset, std::uint64_t length,
                   format::BadBlockSource source) const;

    std::vector<std::unique_ptr<Device>> devices_;
    std::vector<std::uint64_t> block_counts_; // of the parts in use
    std::unique_ptr<BadBlocks> bad_blocks_;   // apart, so that the table can move
};

} // namespace daxpin::device
