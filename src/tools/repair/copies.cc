// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/copies.h"

#include "tools/reader/copies.h"
#include "tools/reader/view.h"

#include <cstring>

namespace daxpin::repair {
namespace {

template <typename T> std::span<const std::byte> bytes_of(const T &object) {
    return std::as_bytes(std::span<const T, 1>(&object, 1));
}

template <typename T>
Result<void> restore(device::Device &device, const reader::Copies<T> &copies, unsigned offset) {
    const T *best = copies.best();
    if (best == nullptr)
        return Error{Errc::corrupt, "no copy is left to restore the other one from"};
    for (const auto *copy : {&copies.first, &copies.second})
        if (!copy->valid() || std::memcmp(&copy->value, best, sizeof *best) != 0)
            DAXPIN_TRY(device.copy(copy->block * block_size + offset, bytes_of(*best),
                                   device::StoreKind::nontemporal));
    return device.drain();
}

} // namespace

Result<void> fix_copies(device::DeviceTable &devices, unsigned device) {
    const auto labels = reader::read_labels(devices.at(device));
    DAXPIN_TRY(restore(devices.at(device), labels, 0));
    if (device != 0)
        return {};
    const auto superblocks =
        reader::read_superblocks(devices.metadata(), labels.best()->block_count);
    return restore(devices.metadata(), superblocks, format::superblock_offset);
}

} // namespace daxpin::repair
