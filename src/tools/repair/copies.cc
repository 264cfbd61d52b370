// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/copies.h"

#include "device/label.h"
#include "tools/reader/copies.h"
#include "tools/reader/view.h"

#include <cstring>

namespace daxpin::repair {
namespace {

using device::Structure;

// Calls store() with the block of each copy that is not as the one that rules.
template <typename T, typename Store>
Result<void> restore(device::Device &device, const reader::Copies<T> &copies, Store store) {
    const T *best = copies.best();
    if (best == nullptr)
        return Error{Errc::corrupt, "no copy is left to restore the other one from"};
    for (const auto *copy : {&copies.first, &copies.second})
        if (!copy->valid() || std::memcmp(&copy->value, best, sizeof *best) != 0)
            DAXPIN_TRY(store(copy->block));
    return device.drain();
}

} // namespace

Result<void> fix_copies(device::DeviceTable &devices, const fsck::FixCopies &fix) {
    auto &device = devices.at(fix.device);
    const auto labels = reader::read_labels(device);
    const auto *label = labels.best();
    if (label == nullptr || label->block_count > device.info().size / block_size)
        return Error{Errc::corrupt, "no label says where the copies are"};
    reader::Copies<format::Superblock> superblocks{};
    if (fix.device == 0)
        superblocks = reader::read_superblocks(device, label);
    const auto store = [&](Structure which) {
        return [&, which](std::uint64_t block) {
            return device::store_copy(device, block, which, *label, superblocks.best());
        };
    };
    return fix.of_superblock ? restore(device, superblocks, store(Structure::superblock))
                             : restore(device, labels, store(Structure::label));
}

} // namespace daxpin::repair
