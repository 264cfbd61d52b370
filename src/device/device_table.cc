// SPDX-License-Identifier: BSD-3-Clause
#include "device/device_table.h"

#include "base/assert.h"

namespace daxpin::device {
namespace {

std::uint64_t byte_offset(MediaBlock block, std::uint64_t offset) {
    return block.block() * block_size + offset;
}

} // namespace

DeviceTable::DeviceTable(std::vector<std::unique_ptr<Device>> devices)
    : devices_(std::move(devices)) {
    DAXPIN_ASSERT(!devices_.empty() && devices_.size() <= format::devices_max);
}

bool DeviceTable::contains(MediaRun run) const {
    if (run.start.device() >= count())
        return false;
    const std::uint64_t blocks = at(run.start.device()).info().size / block_size;
    return run.start.block() <= blocks && run.count.value <= blocks - run.start.block();
}

Result<void> DeviceTable::read(MediaBlock block, std::uint64_t offset,
                               std::span<std::byte> out) const {
    DAXPIN_ASSERT(block.device() < count());
    return at(block.device()).read(byte_offset(block, offset), out);
}

Result<void> DeviceTable::copy(MediaBlock block, std::uint64_t offset,
                               std::span<const std::byte> in, StoreKind kind) const {
    DAXPIN_ASSERT(block.device() < count());
    return at(block.device()).copy(byte_offset(block, offset), in, kind);
}

Result<void> DeviceTable::set(MediaBlock block, std::uint64_t offset, std::byte value,
                              std::uint64_t length, StoreKind kind) const {
    DAXPIN_ASSERT(block.device() < count());
    return at(block.device()).set(byte_offset(block, offset), value, length, kind);
}

void DeviceTable::flush(MediaBlock block, std::uint64_t offset, std::uint64_t length) const {
    DAXPIN_ASSERT(block.device() < count());
    at(block.device()).flush(byte_offset(block, offset), length);
}

// Every device is drained even after one failed: its lines are this thread's duty too.
Result<void> DeviceTable::drain() const {
    Result<void> result;
    for (const auto &device : devices_)
        if (auto drained = device->drain(); !drained && result)
            result = std::move(drained);
    return result;
}

} // namespace daxpin::device
