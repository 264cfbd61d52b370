// SPDX-License-Identifier: BSD-3-Clause
#include "device/device_table.h"

#include "base/assert.h"
#include "device/lost_pages.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <functional>
#include <new>

namespace daxpin::device {
namespace {

std::uint64_t byte_offset(MediaBlock block, std::uint64_t offset) {
    return block.block() * block_size + offset;
}

} // namespace

DeviceTable::DeviceTable(std::vector<std::unique_ptr<Device>> devices)
    : devices_(std::move(devices)), bad_blocks_(std::make_unique<BadBlocks>()) {
    DAXPIN_ASSERT(!devices_.empty() && devices_.size() <= format::devices_max);
    for (const auto &device : devices_)
        block_counts_.push_back(device->info().size / block_size);
}

void DeviceTable::use_first(unsigned device, std::uint64_t blocks) {
    block_counts_[device] = std::min(block_counts_[device], blocks);
}

bool DeviceTable::contains(MediaRun run) const {
    if (run.start.device() >= count())
        return false;
    const std::uint64_t blocks = block_counts_[run.start.device()];
    return run.start.block() <= blocks && run.count.value <= blocks - run.start.block();
}

Result<void> DeviceTable::read(MediaBlock block, std::uint64_t offset,
                               std::span<std::byte> out) const {
    DAXPIN_ASSERT(block.device() < count());
    auto done = at(block.device()).read(byte_offset(block, offset), out);
    if (!done) [[unlikely]]
        note_unreadable(block, offset, out.size());
    return done;
}

void DeviceTable::prefetch(MediaBlock block, std::uint64_t offset, std::uint64_t length) const {
    constexpr std::uintptr_t line_bytes = 64;
    const auto begin = reinterpret_cast<std::uintptr_t>(address(block) + offset);
    for (auto line = begin / line_bytes * line_bytes; line < begin + length; line += line_bytes)
        __builtin_prefetch(reinterpret_cast<const void *>(line));
}

Result<void> DeviceTable::copy(MediaBlock block, std::uint64_t offset,
                               std::span<const std::byte> in, StoreKind kind) const {
    DAXPIN_ASSERT(block.device() < count());
    auto done = at(block.device()).copy(byte_offset(block, offset), in, kind);
    if (!done) [[unlikely]]
        note_unreadable(block, offset, in.size());
    return done;
}

Result<void> DeviceTable::patch(MediaBlock block, std::span<const std::byte, block_size> image,
                                std::span<const Device::Part> parts) const {
    DAXPIN_ASSERT(block.device() < count());
    auto done = at(block.device()).patch(byte_offset(block, 0), image, parts);
    if (!done) [[unlikely]]
        note_unreadable(block, 0, image.size());
    return done;
}

Result<void> DeviceTable::set(MediaBlock block, std::uint64_t offset, std::byte value,
                              std::uint64_t length, StoreKind kind) const {
    DAXPIN_ASSERT(block.device() < count());
    auto done = at(block.device()).set(byte_offset(block, offset), value, length, kind);
    if (!done) [[unlikely]]
        note_unreadable(block, offset, length);
    return done;
}

void DeviceTable::flush(MediaBlock block, std::uint64_t offset, std::uint64_t length) const {
    DAXPIN_ASSERT(block.device() < count());
    at(block.device()).flush(byte_offset(block, offset), length);
}

Result<void> DeviceTable::rewrite(MediaBlock block, std::span<const std::byte> content) const {
    DAXPIN_ASSERT(block.device() < count() && content.size() == block_size);
    return at(block.device()).rewrite(byte_offset(block, 0), content);
}

// Without memory nothing is noted: whoever meets the block again notes it.
void DeviceTable::note_unreadable(MediaBlock block, std::uint64_t offset, std::uint64_t length,
                                  format::BadBlockSource source) const {
    try {
        note_each(block, offset, length, source);
    } catch (const std::bad_alloc &) {
        return;
    }
}

void DeviceTable::note_each(MediaBlock block, std::uint64_t offset, std::uint64_t length,
                            format::BadBlockSource source) const {
    const Device &device = at(block.device());
    const std::uint64_t present = device.present_bytes();
    const std::uint64_t begin = byte_offset(block, offset) / block_size * block_size;
    const std::uint64_t end = byte_offset(block, offset) + length;
    std::array<std::byte, block_size> bytes;
    for (std::uint64_t at = begin; at < end; at += block_size) {
        if (at + block_size > present) {
            bad_blocks_->report(fmt::format(
                "{}: has shrunk from {} to {} bytes while mounted: unmount, give it its size back "
                "(truncate -s {}) and its content from a backup, run fsck.daxpinfs",
                device.info().path, device.info().size, present, device.info().size));
            return;
        }
        BadBlock bad;
        bad.block = MediaBlock::at(block.device(), at / block_size);
        if (!contains({bad.block, {1}}) || device.read(at, bytes))
            continue;
        bad.source = source;
        bad_blocks_->note(bad, fmt::format("{}: the block at byte {} cannot be read (media error)",
                                           device.info().path, at));
    }
}

void DeviceTable::note_unreadable(std::span<const std::byte> viewed,
                                  format::BadBlockSource source) const {
    for (unsigned i = 0; i < count(); ++i) {
        const auto view = at(i).view();
        if (std::less_equal<>()(view.data(), viewed.data()) &&
            std::less<>()(viewed.data(), view.data() + view.size()))
            note_unreadable(MediaBlock::at(i, 0),
                            static_cast<std::uint64_t>(viewed.data() - view.data()), viewed.size(),
                            source);
    }
}

// Without memory nothing more is noted: who touches such a page notes it.
void DeviceTable::note_lost_pages() const {
    try {
        for (unsigned i = 0; i < count(); ++i)
            for (const LostPage &page : take_lost_pages(at(i).view()))
                note_lost(i, static_cast<std::uint64_t>(page.begin - at(i).view().data()),
                          page.bytes);
    } catch (const std::bad_alloc &) {
        return;
    }
}

void DeviceTable::note_lost(unsigned device, std::uint64_t offset, std::uint64_t bytes) const {
    constexpr auto source = format::BadBlockSource::device;
    if (bytes > block_size) // which of its blocks has to be found out
        return note_each(MediaBlock::at(device, 0), offset, bytes, source);
    const BadBlock bad{.block = MediaBlock::at(device, offset / block_size), .source = source};
    if (!contains({bad.block, {1}}))
        return;
    bad_blocks_->note(bad, fmt::format("{}: the block at byte {} is lost (the kernel reports a "
                                       "memory error)",
                                       at(device).info().path, offset));
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
