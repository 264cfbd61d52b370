// SPDX-License-Identifier: BSD-3-Clause
//
// Every structure on media, format version 1. docs/format.md describes them for a stranger;
// layout_check.cc pins each size and offset, so a diff there is a change of format.
//
// All integers little-endian, no padding. A reserved field is written as zero and not looked at.
// Whoever reads one of these from media verifies its checksum and every field it relies on.
#pragma once

#include "base/endian.h"
#include "base/types.h"

#include <bit>
#include <type_traits>

#define DAXPIN_ON_MEDIA(type, bytes)                                                               \
    static_assert(sizeof(type) == (bytes) && alignof(type) == 1);                                  \
    static_assert(std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>);          \
    static_assert(std::has_unique_object_representations_v<type>)

namespace daxpin::format {

inline constexpr std::uint32_t version = 1;
inline constexpr unsigned devices_max = 16;
inline constexpr unsigned label_text_max = 64; // bytes, NUL-padded

// Feature bits known to this version; an unknown incompat bit refuses the volume, an unknown
// ro_compat bit allows only reading, compat bits are ignored.
inline constexpr std::uint64_t known_incompat = 0;
inline constexpr std::uint64_t known_ro_compat = 0;

// ---- Device label: first bytes of a device's first and last block --------------------------

inline constexpr std::uint64_t label_magic = 0x31424c4e49505844; // "DXPINLB1"

enum class Role : std::uint32_t { metadata = 1, data = 2, both = 3 };

// Of a volume's device: no other combination is legal.
constexpr Role role_of(unsigned index, unsigned device_count) {
    if (device_count == 1)
        return Role::both;
    return index == 0 ? Role::metadata : Role::data;
}

// Bytes; no page is larger than 1 GiB.
constexpr bool is_mapping_unit(std::uint64_t unit) {
    return std::has_single_bit(unit) && unit >= block_size && unit <= std::uint64_t{1} << 30;
}

struct DeviceLabel {
    le64 magic;
    le32 crc; // CRC-32C of all 256 bytes with this field zero
    le32 format_version;
    std::byte volume_uuid[16];
    std::byte device_uuid[16];
    le16 index;        // 0 .. device_count - 1; device 0 holds the metadata
    le16 device_count; // 1 .. 16
    le32 role;         // Role
    le64 block_count;  // of the device; the second copy is in block block_count - 1
    le64 mapping_unit; // bytes, as is_mapping_unit(): the least that maps
    le64 created_ns;
    char text[label_text_max];
    std::byte reserved[112];
};
DAXPIN_ON_MEDIA(DeviceLabel, 256);

// Whether a label with a right checksum may count; so for superblocks below.
inline bool is_legal(const DeviceLabel &label) {
    return label.device_count >= 1 && label.device_count <= devices_max &&
           label.index < label.device_count &&
           label.role == static_cast<std::uint32_t>(role_of(label.index, label.device_count)) &&
           label.block_count >= 2 && is_mapping_unit(label.mapping_unit);
}

// ---- Superblock: on device 0 only, `superblock_offset` bytes after each label ---------------

inline constexpr std::uint64_t superblock_magic = 0x3142534e49505844; // "DXPINSB1"
inline constexpr unsigned superblock_offset = 1024;

struct DeviceEntry {
    std::byte device_uuid[16];
    le64 block_count;
    le64 mapping_unit; // bytes
    le32 role;
    le32 group_count;  // bitmap chunks of this device
    le64 bitmap_start; // block on device 0 of its first chunk; the others follow
    std::byte reserved[16];
};
DAXPIN_ON_MEDIA(DeviceEntry, 64);

struct Superblock {
    le64 magic;
    le32 crc; // CRC-32C of all 2048 bytes with this field zero
    le32 format_version;
    le64 compat;
    le64 ro_compat;
    le64 incompat;
    std::byte volume_uuid[16];
    le32 block_bytes; // 4096
    le16 device_count;
    le16 reserved0;
    le64 ring_start; // first block of the journal ring, on device 0
    le64 ring_blocks;
    le64 tail_cell_a; // blocks on device 0, each holding one copy of the tail cell
    le64 tail_cell_b;
    le64 root;              // block on device 0 of the tree's root; it never moves
    std::byte hash_key[16]; // for directory and attribute names
    le64 created_ns;
    char text[label_text_max];
    std::byte reserved[832];
    DeviceEntry devices[devices_max];
};
DAXPIN_ON_MEDIA(Superblock, 2048);

inline bool is_legal(const Superblock &superblock) {
    return superblock.block_bytes == block_size && superblock.device_count >= 1 &&
           superblock.device_count <= devices_max;
}

// ---- Journal -------------------------------------------------------------------------------

inline constexpr std::uint64_t tail_cell_magic = 0x3143544e49505844; // "DXPINTC1"

struct TailCell {
    le64 magic;
    le64 counter;        // the valid copy with the higher one rules
    le64 tail;           // sequence of the oldest record that recovery needs
    std::byte epoch[16]; // secret key of the record checksums
    std::byte reserved[20];
    le32 crc; // CRC-32C of the 60 bytes before
};
DAXPIN_ON_MEDIA(TailCell, 64);

inline constexpr std::uint32_t record_magic = 0x43525844; // "DXRC"
inline constexpr std::uint32_t record_align = 64;
inline constexpr std::uint32_t record_outcome = 1; // the only record type of version 1
inline constexpr std::uint64_t ring_bytes_min = 128 * 1024;

struct RecordHeader {
    le32 magic;
    le32 length;      // bytes with this header, a multiple of 64, at most an eighth of the ring
    le64 sequence;    // logical position; its seat is sequence modulo ring size
    le32 type;        // record_outcome
    le32 entry_count; // > 0
    le32 payload_crc; // CRC-32C of the length - 64 bytes after the header
    le32 reserved0;
    le64 previous_end; // where the record before ended: tells a skip at the wrap from a lost record
    std::byte reserved[16];
    le64 checksum; // SipHash-2-4 under the epoch of the 56 bytes before
};
DAXPIN_ON_MEDIA(RecordHeader, 64);

// One outcome: `length` bytes at `offset` of `block`; they follow, padded to a multiple of 8.
struct RecordEntry {
    le64 block;  // MediaBlock
    le16 offset; // bytes within the block; offset + length <= 4096
    le16 length; // > 0
    le32 reserved;
};
DAXPIN_ON_MEDIA(RecordEntry, 16);

// ---- Checked units: 4 KiB blocks that begin with a CRC-32C of the 4092 bytes after it --------

inline constexpr std::uint32_t node_magic = 0x4e54;       // "TN"
inline constexpr std::uint32_t bitmap_magic = 0x504d4244; // "DBMP"

struct NodeHeader {
    le32 crc;
    le16 magic;      // node_magic
    le16 level;      // 0 = leaf
    le64 self;       // MediaBlock of this unit
    le16 count;      // slots of a leaf, children of an inner node (> 0 there)
    le16 heap_start; // leaf: no item begins below; the heap ends at 4096
    le16 heap_dead;  // leaf: bytes of removed items within the heap
    le16 reserved;
    le64 reserved1;
};
DAXPIN_ON_MEDIA(NodeHeader, 32);

// Keys sort by inode, then by `place`: an ItemType in the top 4 bits and 60 bits of its own.
struct Key {
    le64 inode;
    le64 place;
};
DAXPIN_ON_MEDIA(Key, 16);

// A leaf has `count` slots after its header, in key order; a slot leads to Key + value in the
// heap. Items start at multiples of 8; `length` counts key and value without padding.
struct LeafSlot {
    le16 offset;
    le16 length;
};
DAXPIN_ON_MEDIA(LeafSlot, 4);

// An inner node has `count` entries after its header, in key order. A child holds the keys from
// its own entry's (inclusive) to the next entry's (exclusive). The first entry's key is no bound:
// the first child holds everything from the node's own lower bound on, which is not above it.
struct InnerEntry {
    Key key;
    le64 child; // MediaBlock
};
DAXPIN_ON_MEDIA(InnerEntry, 24);

inline constexpr std::uint32_t bitmap_header_bytes = 64;
inline constexpr std::uint32_t blocks_per_group = (block_size - bitmap_header_bytes) * 8; // 32256
// The chunks are counted in 32 bits, and their blocks fit the 48 bits of a MediaBlock.
inline constexpr std::uint64_t device_blocks_max = std::uint64_t{0xffffffff} * blocks_per_group;
static_assert(device_blocks_max < std::uint64_t{1} << 48);

// Chunk `group` of a device: bit n (byte n / 8, bit n % 8) is set if block
// group * blocks_per_group + n is in use. Bits beyond the device are set.
struct BitmapHeader {
    le32 crc;
    le32 magic;
    le32 device;
    le32 group;
    le32 free_count; // clear bits in this chunk
    std::byte reserved[44];
};
DAXPIN_ON_MEDIA(BitmapHeader, 64);

// ---- Items of the tree -----------------------------------------------------------------------

enum class ItemType : std::uint8_t {
    inode = 1,      // place 0: InodeItem
    dirent = 2,     // place = 52 bits of name hash, 8 bits of discriminator: DirentItem + name
    xattr = 3,      // place as dirent: BlobItem + name + content
    symlink = 4,    // place 0: BlobItem + content
    extent = 5,     // place = first file block: ExtentItem
    pin = 6,        // place = first file block: PinItem
    quarantine = 7, // under quarantine_table, place = first media block: QuarantineItem
    unfinished = 8, // under unfinished_table, place = inode number: UnfinishedItem
    bad_block = 9,  // under bad_block_table, place = media block: BadBlockItem
    shutdown = 10,  // under shutdown_table, place = device index: ShutdownItem
};

inline constexpr std::uint64_t root_inode = 1;
inline constexpr std::uint64_t unfinished_table = 2;
inline constexpr std::uint64_t bad_block_table = 3;
inline constexpr std::uint64_t quarantine_table = 4;
inline constexpr std::uint64_t shutdown_table = 5;
inline constexpr std::uint64_t first_free_inode = 16;
inline constexpr std::uint64_t inode_max = (std::uint64_t{1} << 60) - 1;

inline constexpr std::uint32_t inode_flag_immutable = 1;     // chattr +i
inline constexpr std::uint32_t inode_flag_append = 2;        // chattr +a
inline constexpr std::uint32_t inode_flag_noatime = 4;       // chattr +A
inline constexpr std::uint32_t inode_flag_nodump = 8;        // chattr +d
inline constexpr std::uint32_t inode_flag_dax = 16;          // chattr +x: DAX hint
inline constexpr std::uint32_t inode_flag_pinned_whole = 32; // size frozen too

struct InodeItem {
    le64 generation;
    le32 mode; // as st_mode, type included
    le32 uid;
    le32 gid;
    le32 link_count;
    le64 size;        // bytes; directories: number of entries
    le64 block_count; // data blocks that the extents own
    le64 atime_ns;    // signed, since 1970
    le64 mtime_ns;
    le64 ctime_ns;
    le64 btime_ns;
    le32 rdev; // device nodes: Linux's encoding of dev_t in 32 bits
    le32 flags;
    le64 parent;              // directories: inode number of the parent
    le64 align_hint;          // bytes, 0 or a power of two
    std::byte lease_boot[16]; // boot id of the last lease, zero if none
    std::byte reserved[48];
};
DAXPIN_ON_MEDIA(InodeItem, 160);

struct DirentItem { // the name follows
    le64 inode;
    le64 generation;
    le16 name_length; // 1 .. 255
    le16 type;        // DT_* of dirent.h
    le32 reserved;
};
DAXPIN_ON_MEDIA(DirentItem, 24);

// A byte string kept in the item itself, or in `block_count` metadata blocks of its own whose
// le64 addresses stand in the item.
struct BlobItem {
    le32 length;      // bytes of the content
    le32 crc;         // CRC-32C of the content
    le16 name_length; // xattr: bytes of the name that follows; symlink: 0
    le16 block_count; // 0 = content inline after the name, else addresses after the name,
                      // which is padded to a multiple of 8
    le32 reserved;
};
DAXPIN_ON_MEDIA(BlobItem, 16);

inline constexpr std::uint32_t blob_inline_max = 1024; // bytes
inline constexpr std::uint32_t blob_bytes_max = 65536;

inline constexpr std::uint32_t extent_flag_unwritten = 1; // reads as zeros

struct ExtentItem {
    le64 media_block;
    le32 block_count; // > 0
    le32 flags;
};
DAXPIN_ON_MEDIA(ExtentItem, 16);

struct PinItem {
    le64 block_count; // > 0; pins of one file neither touch nor overlap
};
DAXPIN_ON_MEDIA(PinItem, 8);

enum class UnfinishedKind : std::uint32_t {
    remove = 1,  // no name is left: free everything once nobody has it open
    truncate = 2 // free the extents from from_block on
};

struct UnfinishedItem {
    le64 generation; // of the inode
    le64 from_block;
    le32 kind;
    le32 reserved;
};
DAXPIN_ON_MEDIA(UnfinishedItem, 24);

// Who found that a block cannot be read.
enum class BadBlockSource : std::uint32_t {
    access = 1, // a load or store of the daemon
    reply = 2,  // the kernel, when it copied from the block
    device = 3  // the device's own list, or the kernel before anybody read the block
};

inline constexpr std::uint32_t bad_block_flag_unowned = 1; // the list alone keeps it from use

struct BadBlockItem {
    le64 found_ns; // signed
    le32 source;
    le32 flags;
};
DAXPIN_ON_MEDIA(BadBlockItem, 16);

// Blocks that no file has any more and that somebody may still map.
struct QuarantineItem {
    std::byte boot_id[16]; // until it is another one
    le64 inode;            // that the blocks were freed from
    le64 generation;
    le32 block_count; // > 0
    le32 reserved;
};
DAXPIN_ON_MEDIA(QuarantineItem, 40);

// What a device that counts them last said at a mount that writes.
struct ShutdownItem {
    le64 unsafe_count; // power losses at which not all on the way to the medium was flushed
};
DAXPIN_ON_MEDIA(ShutdownItem, 8);

} // namespace daxpin::format
