// SPDX-License-Identifier: BSD-3-Clause
//
// Pins the size and the offset of every field of every structure on media. A line that changes
// here is a change of format: give it a feature bit or a new version, never only a new number.
#include "format/layout.h"

#include <cstddef>

namespace daxpin::format {

#define CHECK_SIZE(type, bytes) static_assert(sizeof(type) == (bytes))
#define CHECK_FIELD(type, field, offset, bytes)                                                    \
    static_assert(offsetof(type, field) == (offset) && sizeof(type::field) == (bytes))
#define CHECK_VALUE(name, number) static_assert(std::uint64_t(name) == (number))

CHECK_SIZE(DeviceLabel, 256);
CHECK_FIELD(DeviceLabel, magic, 0, 8);
CHECK_FIELD(DeviceLabel, crc, 8, 4);
CHECK_FIELD(DeviceLabel, format_version, 12, 4);
CHECK_FIELD(DeviceLabel, volume_uuid, 16, 16);
CHECK_FIELD(DeviceLabel, device_uuid, 32, 16);
CHECK_FIELD(DeviceLabel, index, 48, 2);
CHECK_FIELD(DeviceLabel, device_count, 50, 2);
CHECK_FIELD(DeviceLabel, role, 52, 4);
CHECK_FIELD(DeviceLabel, block_count, 56, 8);
CHECK_FIELD(DeviceLabel, mapping_unit, 64, 8);
CHECK_FIELD(DeviceLabel, created_ns, 72, 8);
CHECK_FIELD(DeviceLabel, text, 80, 64);
CHECK_FIELD(DeviceLabel, reserved, 144, 112);

CHECK_SIZE(DeviceEntry, 64);
CHECK_FIELD(DeviceEntry, device_uuid, 0, 16);
CHECK_FIELD(DeviceEntry, block_count, 16, 8);
CHECK_FIELD(DeviceEntry, mapping_unit, 24, 8);
CHECK_FIELD(DeviceEntry, role, 32, 4);
CHECK_FIELD(DeviceEntry, group_count, 36, 4);
CHECK_FIELD(DeviceEntry, bitmap_start, 40, 8);
CHECK_FIELD(DeviceEntry, reserved, 48, 16);

CHECK_SIZE(Superblock, 2048);
CHECK_FIELD(Superblock, magic, 0, 8);
CHECK_FIELD(Superblock, crc, 8, 4);
CHECK_FIELD(Superblock, format_version, 12, 4);
CHECK_FIELD(Superblock, compat, 16, 8);
CHECK_FIELD(Superblock, ro_compat, 24, 8);
CHECK_FIELD(Superblock, incompat, 32, 8);
CHECK_FIELD(Superblock, volume_uuid, 40, 16);
CHECK_FIELD(Superblock, block_bytes, 56, 4);
CHECK_FIELD(Superblock, device_count, 60, 2);
CHECK_FIELD(Superblock, reserved0, 62, 2);
CHECK_FIELD(Superblock, ring_start, 64, 8);
CHECK_FIELD(Superblock, ring_blocks, 72, 8);
CHECK_FIELD(Superblock, tail_cell_a, 80, 8);
CHECK_FIELD(Superblock, tail_cell_b, 88, 8);
CHECK_FIELD(Superblock, root, 96, 8);
CHECK_FIELD(Superblock, hash_key, 104, 16);
CHECK_FIELD(Superblock, created_ns, 120, 8);
CHECK_FIELD(Superblock, text, 128, 64);
CHECK_FIELD(Superblock, reserved, 192, 832);
CHECK_FIELD(Superblock, devices, 1024, 1024);

CHECK_SIZE(TailCell, 64);
CHECK_FIELD(TailCell, magic, 0, 8);
CHECK_FIELD(TailCell, counter, 8, 8);
CHECK_FIELD(TailCell, tail, 16, 8);
CHECK_FIELD(TailCell, epoch, 24, 16);
CHECK_FIELD(TailCell, reserved, 40, 20);
CHECK_FIELD(TailCell, crc, 60, 4);

CHECK_SIZE(RecordHeader, 64);
CHECK_FIELD(RecordHeader, magic, 0, 4);
CHECK_FIELD(RecordHeader, length, 4, 4);
CHECK_FIELD(RecordHeader, sequence, 8, 8);
CHECK_FIELD(RecordHeader, type, 16, 4);
CHECK_FIELD(RecordHeader, entry_count, 20, 4);
CHECK_FIELD(RecordHeader, payload_crc, 24, 4);
CHECK_FIELD(RecordHeader, reserved0, 28, 4);
CHECK_FIELD(RecordHeader, previous_end, 32, 8);
CHECK_FIELD(RecordHeader, reserved, 40, 16);
CHECK_FIELD(RecordHeader, checksum, 56, 8);

CHECK_SIZE(RecordEntry, 16);
CHECK_FIELD(RecordEntry, block, 0, 8);
CHECK_FIELD(RecordEntry, offset, 8, 2);
CHECK_FIELD(RecordEntry, length, 10, 2);
CHECK_FIELD(RecordEntry, reserved, 12, 4);

CHECK_SIZE(NodeHeader, 32);
CHECK_FIELD(NodeHeader, crc, 0, 4);
CHECK_FIELD(NodeHeader, magic, 4, 2);
CHECK_FIELD(NodeHeader, level, 6, 2);
CHECK_FIELD(NodeHeader, self, 8, 8);
CHECK_FIELD(NodeHeader, count, 16, 2);
CHECK_FIELD(NodeHeader, heap_start, 18, 2);
CHECK_FIELD(NodeHeader, heap_dead, 20, 2);
CHECK_FIELD(NodeHeader, reserved, 22, 2);
CHECK_FIELD(NodeHeader, reserved1, 24, 8);

CHECK_SIZE(Key, 16);
CHECK_FIELD(Key, inode, 0, 8);
CHECK_FIELD(Key, place, 8, 8);

CHECK_SIZE(LeafSlot, 4);
CHECK_FIELD(LeafSlot, offset, 0, 2);
CHECK_FIELD(LeafSlot, length, 2, 2);

CHECK_SIZE(InnerEntry, 24);
CHECK_FIELD(InnerEntry, key, 0, 16);
CHECK_FIELD(InnerEntry, child, 16, 8);

CHECK_SIZE(BitmapHeader, 64);
CHECK_FIELD(BitmapHeader, crc, 0, 4);
CHECK_FIELD(BitmapHeader, magic, 4, 4);
CHECK_FIELD(BitmapHeader, device, 8, 4);
CHECK_FIELD(BitmapHeader, group, 12, 4);
CHECK_FIELD(BitmapHeader, free_count, 16, 4);
CHECK_FIELD(BitmapHeader, reserved, 20, 44);

CHECK_SIZE(InodeItem, 160);
CHECK_FIELD(InodeItem, generation, 0, 8);
CHECK_FIELD(InodeItem, mode, 8, 4);
CHECK_FIELD(InodeItem, uid, 12, 4);
CHECK_FIELD(InodeItem, gid, 16, 4);
CHECK_FIELD(InodeItem, link_count, 20, 4);
CHECK_FIELD(InodeItem, size, 24, 8);
CHECK_FIELD(InodeItem, block_count, 32, 8);
CHECK_FIELD(InodeItem, atime_ns, 40, 8);
CHECK_FIELD(InodeItem, mtime_ns, 48, 8);
CHECK_FIELD(InodeItem, ctime_ns, 56, 8);
CHECK_FIELD(InodeItem, btime_ns, 64, 8);
CHECK_FIELD(InodeItem, rdev, 72, 4);
CHECK_FIELD(InodeItem, flags, 76, 4);
CHECK_FIELD(InodeItem, parent, 80, 8);
CHECK_FIELD(InodeItem, align_hint, 88, 8);
CHECK_FIELD(InodeItem, lease_boot, 96, 16);
CHECK_FIELD(InodeItem, reserved, 112, 48);

CHECK_SIZE(DirentItem, 24);
CHECK_FIELD(DirentItem, inode, 0, 8);
CHECK_FIELD(DirentItem, generation, 8, 8);
CHECK_FIELD(DirentItem, name_length, 16, 2);
CHECK_FIELD(DirentItem, type, 18, 2);
CHECK_FIELD(DirentItem, reserved, 20, 4);

CHECK_SIZE(BlobItem, 16);
CHECK_FIELD(BlobItem, length, 0, 4);
CHECK_FIELD(BlobItem, crc, 4, 4);
CHECK_FIELD(BlobItem, name_length, 8, 2);
CHECK_FIELD(BlobItem, block_count, 10, 2);
CHECK_FIELD(BlobItem, reserved, 12, 4);

CHECK_SIZE(ExtentItem, 16);
CHECK_FIELD(ExtentItem, media_block, 0, 8);
CHECK_FIELD(ExtentItem, block_count, 8, 4);
CHECK_FIELD(ExtentItem, flags, 12, 4);

CHECK_SIZE(PinItem, 8);
CHECK_FIELD(PinItem, block_count, 0, 8);

CHECK_SIZE(UnfinishedItem, 24);
CHECK_FIELD(UnfinishedItem, generation, 0, 8);
CHECK_FIELD(UnfinishedItem, from_block, 8, 8);
CHECK_FIELD(UnfinishedItem, kind, 16, 4);
CHECK_FIELD(UnfinishedItem, reserved, 20, 4);

CHECK_SIZE(BadBlockItem, 16);
CHECK_FIELD(BadBlockItem, found_ns, 0, 8);
CHECK_FIELD(BadBlockItem, source, 8, 4);
CHECK_FIELD(BadBlockItem, flags, 12, 4);

CHECK_SIZE(QuarantineItem, 40);
CHECK_FIELD(QuarantineItem, boot_id, 0, 16);
CHECK_FIELD(QuarantineItem, inode, 16, 8);
CHECK_FIELD(QuarantineItem, generation, 24, 8);
CHECK_FIELD(QuarantineItem, block_count, 32, 4);
CHECK_FIELD(QuarantineItem, reserved, 36, 4);

CHECK_SIZE(ShutdownItem, 8);
CHECK_FIELD(ShutdownItem, unsafe_count, 0, 8);

// Numbers that stand on media.
CHECK_VALUE(version, 1);
CHECK_VALUE(devices_max, 16);
CHECK_VALUE(label_text_max, 64);
CHECK_VALUE(label_magic, 0x31424c4e49505844);
CHECK_VALUE(superblock_magic, 0x3142534e49505844);
CHECK_VALUE(superblock_offset, 1024);
CHECK_VALUE(tail_cell_magic, 0x3143544e49505844);
CHECK_VALUE(record_magic, 0x43525844);
CHECK_VALUE(record_align, 64);
CHECK_VALUE(record_outcome, 1);
CHECK_VALUE(node_magic, 0x4e54);
CHECK_VALUE(bitmap_magic, 0x504d4244);
CHECK_VALUE(bitmap_header_bytes, 64);
CHECK_VALUE(blocks_per_group, 32256);
CHECK_VALUE(Role::metadata, 1);
CHECK_VALUE(Role::data, 2);
CHECK_VALUE(Role::both, 3);
CHECK_VALUE(ItemType::inode, 1);
CHECK_VALUE(ItemType::dirent, 2);
CHECK_VALUE(ItemType::xattr, 3);
CHECK_VALUE(ItemType::symlink, 4);
CHECK_VALUE(ItemType::extent, 5);
CHECK_VALUE(ItemType::pin, 6);
CHECK_VALUE(ItemType::quarantine, 7);
CHECK_VALUE(ItemType::unfinished, 8);
CHECK_VALUE(ItemType::bad_block, 9);
CHECK_VALUE(ItemType::shutdown, 10);
CHECK_VALUE(root_inode, 1);
CHECK_VALUE(unfinished_table, 2);
CHECK_VALUE(bad_block_table, 3);
CHECK_VALUE(quarantine_table, 4);
CHECK_VALUE(shutdown_table, 5);
CHECK_VALUE(first_free_inode, 16);
CHECK_VALUE(inode_flag_immutable, 1);
CHECK_VALUE(inode_flag_append, 2);
CHECK_VALUE(inode_flag_noatime, 4);
CHECK_VALUE(inode_flag_nodump, 8);
CHECK_VALUE(inode_flag_dax, 16);
CHECK_VALUE(inode_flag_pinned_whole, 32);
CHECK_VALUE(extent_flag_unwritten, 1);
CHECK_VALUE(UnfinishedKind::remove, 1);
CHECK_VALUE(UnfinishedKind::truncate, 2);
CHECK_VALUE(BadBlockSource::access, 1);
CHECK_VALUE(BadBlockSource::reply, 2);
CHECK_VALUE(BadBlockSource::device, 3);
CHECK_VALUE(bad_block_flag_unowned, 1);

// What two structures in one block need of each other.
static_assert(sizeof(DeviceLabel) <= superblock_offset);
static_assert(superblock_offset + sizeof(Superblock) <= block_size);

} // namespace daxpin::format
