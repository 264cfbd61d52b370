// SPDX-License-Identifier: BSD-3-Clause
#include "volume/format.h"

#include "alloc/transaction.h"
#include "base/assert.h"
#include "btree/tree.h"
#include "device/label.h"
#include "journal/journal.h"

#include <algorithm>
#include <array>
#include <sys/stat.h>

namespace daxpin::volume {

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

Error refused(const device::Device &device, const std::string &why) {
    return {Errc::invalid, device.info().path + ": " + why};
}

Result<void> check_devices(const device::DeviceTable &devices) {
    for (unsigned i = 0; i < devices.count(); ++i) {
        const auto &info = devices.at(i).info();
        if (info.size < device_bytes_min())
            return refused(devices.at(i), "too small for a volume: " + std::to_string(info.size) +
                                              " bytes; at least " +
                                              std::to_string(device_bytes_min()) + " are needed");
        if (info.size / block_size > format::device_blocks_max)
            return refused(devices.at(i), "too large: a device has at most " +
                                              std::to_string(format::device_blocks_max) +
                                              " blocks");
    }
    return {};
}

Result<std::uint64_t> journal_blocks(const device::Device &metadata, std::uint64_t wanted) {
    const std::uint64_t size = metadata.info().size;
    const std::uint64_t bytes = wanted ? wanted : default_journal_bytes(size);
    if (bytes % block_size != 0)
        return refused(metadata, "the journal's size must be a multiple of 4096 bytes");
    if (bytes < format::ring_bytes_min)
        return refused(metadata, "the journal must have at least " +
                                     std::to_string(format::ring_bytes_min) + " bytes");
    if (bytes > size / 4)
        return refused(metadata, "the journal may take at most a quarter of the device, " +
                                     std::to_string(size / 4) + " bytes");
    return bytes / block_size;
}

Uuid random_uuid(Env &env) {
    Uuid uuid;
    env.random(uuid);
    uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x40}; // RFC 4122, version 4
    uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid;
}

void fill_devices(format::Superblock &superblock, const device::DeviceTable &devices,
                  std::uint64_t bitmap_start, Env &env) {
    for (unsigned i = 0; i < devices.count(); ++i) {
        const auto &info = devices.at(i).info();
        format::DeviceEntry &entry = superblock.devices[i];
        std::ranges::copy(random_uuid(env), entry.device_uuid);
        entry.block_count = info.size / block_size;
        entry.mapping_unit = std::max<std::uint64_t>(info.mapping_unit, block_size);
        entry.role = static_cast<std::uint32_t>(format::role_of(i, devices.count()));
        entry.group_count = alloc::Allocator::group_count(entry.block_count);
        entry.bitmap_start = bitmap_start;
        bitmap_start += entry.group_count;
    }
}

// Device 0: label | tail cell A | ring | tail cell B | bitmap chunks | root | free | label copy.
Result<format::Superblock> plan(const device::DeviceTable &devices, const FormatOptions &options,
                                Env &env) {
    DAXPIN_TRY(check_devices(devices));
    DAXPIN_TRY_ASSIGN(const auto ring_blocks,
                      journal_blocks(devices.metadata(), options.journal_bytes));
    if (options.label.size() > format::label_text_max)
        return Error{Errc::invalid, "the label is longer than 64 bytes"};

    format::Superblock superblock{};
    superblock.magic = format::superblock_magic;
    superblock.format_version = format::version;
    std::ranges::copy(options.uuid ? *options.uuid : random_uuid(env), superblock.volume_uuid);
    superblock.block_bytes = block_size;
    superblock.device_count = static_cast<std::uint16_t>(devices.count());
    superblock.tail_cell_a = 1;
    superblock.ring_start = 2;
    superblock.ring_blocks = ring_blocks;
    superblock.tail_cell_b = 2 + ring_blocks;
    env.random(superblock.hash_key);
    superblock.created_ns = static_cast<std::uint64_t>(env.now_ns());
    std::ranges::copy(options.label, superblock.text);
    fill_devices(superblock, devices, 3 + ring_blocks, env);
    const auto &last = superblock.devices[devices.count() - 1];
    superblock.root = last.bitmap_start + last.group_count;
    // The tree needs room to grow beside its root.
    if (superblock.root + 16 >= superblock.devices[0].block_count)
        return refused(devices.metadata(), "too small to hold the bitmaps of all devices");
    return superblock;
}

std::vector<MediaRun> fixed_blocks(const format::Superblock &superblock) {
    std::vector<MediaRun> runs;
    for (unsigned i = 0; i < superblock.device_count; ++i) {
        const std::uint64_t first = i == 0 ? superblock.root + 1 : 1;
        runs.push_back({MediaBlock::at(i, 0), {first}});
        runs.push_back({MediaBlock::at(i, superblock.devices[i].block_count - 1), {1}});
    }
    return runs;
}

// What stands at a fixed place cannot go round a bad block, which takes new bytes only as a whole.
Result<void> make_readable(const device::DeviceTable &devices, const std::vector<MediaRun> &runs) {
    constexpr std::array<std::byte, block_size> zeros{};
    std::array<std::byte, block_size> bytes;
    for (const MediaRun &run : runs)
        for (BlockCount i{0}; i.value < run.count.value; ++i.value) {
            const MediaBlock block = run.start + i;
            const auto &device = devices.at(block.device());
            if (device.read(block.block() * block_size, bytes) || devices.rewrite(block, zeros))
                continue;
            return Error{Errc::io,
                         device.info().path + ": block " + std::to_string(block.block()) +
                             ", which the volume needs, can neither be read nor written anew"};
        }
    return {};
}

inode::Attributes root_attributes(const FormatOptions &options, Env &env) {
    inode::Attributes root;
    root.number = {format::root_inode};
    root.generation = env.random64();
    root.mode = S_IFDIR | 0755;
    root.uid = options.uid;
    root.gid = options.gid;
    root.link_count = 2;
    root.parent = root.number;
    root.atime_ns = root.mtime_ns = root.ctime_ns = root.btime_ns = env.now_ns();
    return root;
}

// The first change of the new volume is an ordinary transaction. What was written before it is
// durable before its record.
Result<void> make_root(device::DeviceTable &devices, const format::Superblock &superblock,
                       const FormatOptions &options, Env &env) {
    DAXPIN_TRY_ASSIGN(const auto journal,
                      journal::Journal::open(devices, journal::geometry_of(superblock), env));
    DAXPIN_TRY_ASSIGN(const auto allocator, alloc::Allocator::open(*journal, superblock));
    btree::Tree tree(*journal, MediaBlock::at(0, superblock.root));
    DAXPIN_TRY_ASSIGN(const auto table, inode::InodeTable::open(tree, env));
    const auto root = root_attributes(options, env);
    DAXPIN_TRY(alloc::transact(
        *allocator, alloc::Purpose::ordinary,
        [&](alloc::Transaction &tx) -> Result<void> { return table->store(tx, root); }));
    return journal->checkpoint();
}

Result<void> write_label(device::Device &device, const format::Superblock &superblock,
                         unsigned index) {
    const format::DeviceEntry &entry = superblock.devices[index];
    format::DeviceLabel label{};
    label.magic = format::label_magic;
    label.format_version = format::version;
    std::ranges::copy(superblock.volume_uuid, label.volume_uuid);
    std::ranges::copy(entry.device_uuid, label.device_uuid);
    label.index = static_cast<std::uint16_t>(index);
    label.device_count = superblock.device_count;
    label.role = entry.role;
    label.block_count = entry.block_count;
    label.mapping_unit = entry.mapping_unit;
    label.created_ns = superblock.created_ns;
    std::ranges::copy(superblock.text, label.text);
    return device::write_labels(device, label, index == 0 ? &superblock : nullptr);
}

void report(const FormatOptions &options, double done) {
    if (options.progress)
        options.progress(done);
}

} // namespace

std::uint64_t device_bytes_min() {
    return mib;
}

std::uint64_t default_journal_bytes(std::uint64_t device_bytes) {
    const std::uint64_t wanted = std::clamp(device_bytes / 128, 256 * kib, 64 * mib);
    const std::uint64_t bytes = std::min(wanted, device_bytes / 4);
    return std::max(bytes / block_size * block_size, format::ring_bytes_min);
}

Result<format::Superblock> format_volume(device::DeviceTable &devices, const FormatOptions &options,
                                         Env &env) {
    DAXPIN_TRY_ASSIGN(const auto superblock, plan(devices, options, env));
    report(options, 0);
    for (unsigned i = 0; i < devices.count(); ++i)
        DAXPIN_TRY(device::wipe_labels(devices.at(i)));
    // Not before: zeros where the old volume could not be read would be believed.
    DAXPIN_TRY(make_readable(devices, fixed_blocks(superblock)));
    DAXPIN_TRY(journal::Journal::format(devices, journal::geometry_of(superblock), env,
                                        options.journal_start));
    report(options, 0.1);
    DAXPIN_TRY(alloc::Allocator::format(devices, superblock, fixed_blocks(superblock)));
    report(options, 0.8);
    DAXPIN_TRY(btree::Tree::format(devices, MediaBlock::at(0, superblock.root)));
    DAXPIN_TRY(make_root(devices, superblock, options, env));
    report(options, 0.9);
    // Device 0 last: with its label the volume is there.
    for (unsigned i = devices.count(); i-- > 0;)
        DAXPIN_TRY(write_label(devices.at(i), superblock, i));
    report(options, 1);
    return superblock;
}

} // namespace daxpin::volume
