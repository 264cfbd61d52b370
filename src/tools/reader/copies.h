// SPDX-License-Identifier: BSD-3-Clause
//
// Structures that media holds in two copies: labels, superblocks and tail cells, each copy with
// what is wrong with it. Where the engine takes the first that is good, a checker looks at both.
//
// Layouts: docs/format.md, "Device label", "Superblock" and "Tail cell".
#pragma once

#include "device/device.h"
#include "format/layout.h"

namespace daxpin::reader {

enum class CopyState {
    valid,
    unreadable,
    wrong_magic,
    wrong_checksum,
    other_version,
    impossible,
    other_volume
};
const char *to_string(CopyState state) noexcept;

template <typename T> struct Copy {
    CopyState state = CopyState::unreadable;
    std::uint64_t block = 0; // where it stands
    T value;
    bool valid() const { return state == CopyState::valid; }
};

template <typename T> struct Copies {
    Copy<T> first;
    Copy<T> second;
    const T *best() const {
        return first.valid() ? &first.value : second.valid() ? &second.value : nullptr;
    }
};

// Both labels of a device; without a first one, the second is looked for in the last block.
Copies<format::DeviceLabel> read_labels(const device::Device &device);

// Both superblocks of device 0 with this label: it says where they are and of which volume. Null:
// none is valid, so in the device's first and last block, of any volume.
Copies<format::Superblock> read_superblocks(const device::Device &device,
                                            const format::DeviceLabel *label);

// Both tail cells; which one rules is ruling_cell()'s to say.
Copies<format::TailCell> read_tail_cells(const device::Device &device,
                                         const format::Superblock &superblock);
const format::TailCell *ruling_cell(const Copies<format::TailCell> &cells);

} // namespace daxpin::reader
