// SPDX-License-Identifier: BSD-3-Clause
//
// View: a volume's metadata as the next mount will see it, without writing to the devices.
//
// The journal's records are laid over the home blocks as they are read. The devices must outlive
// the View and not change meanwhile. Not thread-safe.
#pragma once

#include "device/device_table.h"
#include "tools/reader/copies.h"
#include "tools/reader/node.h"
#include "tools/reader/ring.h"

namespace daxpin::reader {

// What must hold before anything on device 0 can be looked for; empty if it does.
std::vector<std::string> geometry_problems(const format::Superblock &superblock,
                                           const device::DeviceTable &devices);

class View {
  public:
    // REQUIRES: geometry_problems() found none. With `replay` false the records are looked at
    // but not laid over; so too if the ring is damaged or holds a record of unknown
    // type, or if no tail cell is valid.
    View(const device::DeviceTable &devices, const format::Superblock &superblock, bool replay);

    const device::DeviceTable &devices() const { return devices_; }
    const format::Superblock &superblock() const { return superblock_; }
    const Copies<format::TailCell> &tail_cells() const { return cells_; }
    const Walk &walk() const { return walk_; }
    const Ring &ring() const { return ring_; }

    // The patches that are laid over, in order of block; those of a block in order of replay.
    std::span<const Patch> patches() const { return patches_; }
    std::span<const Patch> patches_of(MediaBlock first, BlockCount count) const;

    // Copies a block of device 0 out. ERRORS: io; corrupt if it is not on device 0.
    Result<void> read(MediaBlock block, UnitBytes &out) const;

    HashKey hash_key() const;

  private:
    const device::DeviceTable &devices_;
    format::Superblock superblock_;
    Copies<format::TailCell> cells_;
    Ring ring_;
    Walk walk_;
    std::vector<Patch> patches_;
};

// The 52 bits of name hash in the keys of directory entries and extended attributes.
std::uint64_t name_hash(const HashKey &key, std::string_view name);

// `text` with what is not printable ASCII as \xNN.
std::string printable(std::string_view text);

} // namespace daxpin::reader
