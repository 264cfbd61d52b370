// SPDX-License-Identifier: BSD-3-Clause
//
// Pins the binary interface of include/daxpin/ioctl.h: sizes, offsets, numbers. Programs built
// against it stay as they are, so a line that changes here breaks them.
#include <daxpin/ioctl.h>

#include <cstddef>

namespace {

// FUSE hands an ioctl over whole only if it fits the size field of its number.
constexpr unsigned ioctl_bytes_max = 16383;

#define CHECK_SIZE(type, bytes)                                                                    \
    static_assert(sizeof(struct type) == (bytes) && (bytes) <= ioctl_bytes_max)
#define CHECK_FIELD(type, field, offset, bytes)                                                    \
    static_assert(offsetof(struct type, field) == (offset) &&                                      \
                  sizeof(static_cast<struct type *>(nullptr)->field) == (bytes))
#define CHECK_IOCTL(name, direction, number, type)                                                 \
    static_assert(_IOC_DIR(name) == (direction) && _IOC_NR(name) == (number) &&                    \
                  _IOC_TYPE(name) == 0xDA && _IOC_SIZE(name) == sizeof(struct type))

CHECK_SIZE(daxpin_range, 48);
CHECK_FIELD(daxpin_range, offset, 0, 8);
CHECK_FIELD(daxpin_range, length, 8, 8);
CHECK_FIELD(daxpin_range, align, 16, 8);
CHECK_FIELD(daxpin_range, flags, 24, 4);
CHECK_FIELD(daxpin_range, reserved, 28, 20);

CHECK_SIZE(daxpin_extension, 32);
CHECK_FIELD(daxpin_extension, length, 0, 8);
CHECK_FIELD(daxpin_extension, flags, 8, 4);
CHECK_FIELD(daxpin_extension, reserved, 12, 20);

CHECK_SIZE(daxpin_generation, 16);
CHECK_FIELD(daxpin_generation, mount_id, 0, 8);
CHECK_FIELD(daxpin_generation, counter, 8, 8);

CHECK_SIZE(daxpin_file_status, 80);
CHECK_FIELD(daxpin_file_status, flags, 0, 4);
CHECK_FIELD(daxpin_file_status, lease_count, 4, 4);
CHECK_FIELD(daxpin_file_status, pinned_bytes, 8, 8);
CHECK_FIELD(daxpin_file_status, generation, 16, 16);
CHECK_FIELD(daxpin_file_status, prepare_done, 32, 8);
CHECK_FIELD(daxpin_file_status, prepare_total, 40, 8);
CHECK_FIELD(daxpin_file_status, reserved, 48, 32);

CHECK_SIZE(daxpin_lease, 80);
CHECK_FIELD(daxpin_lease, offset, 0, 8);
CHECK_FIELD(daxpin_lease, length, 8, 8);
CHECK_FIELD(daxpin_lease, access, 16, 4);
CHECK_FIELD(daxpin_lease, flags, 20, 4);
CHECK_FIELD(daxpin_lease, id, 24, 8);
CHECK_FIELD(daxpin_lease, generation, 32, 16);
CHECK_FIELD(daxpin_lease, reserved, 48, 32);

CHECK_SIZE(daxpin_release, 24);
CHECK_FIELD(daxpin_release, id, 0, 8);
CHECK_FIELD(daxpin_release, flags, 8, 4);
CHECK_FIELD(daxpin_release, reserved, 12, 12);

CHECK_SIZE(daxpin_extent, 40);
CHECK_FIELD(daxpin_extent, file_offset, 0, 8);
CHECK_FIELD(daxpin_extent, device_offset, 8, 8);
CHECK_FIELD(daxpin_extent, length, 16, 8);
CHECK_FIELD(daxpin_extent, device, 24, 4);
CHECK_FIELD(daxpin_extent, flags, 28, 4);
CHECK_FIELD(daxpin_extent, reserved, 32, 8);

CHECK_SIZE(daxpin_extents, 10248);
CHECK_FIELD(daxpin_extents, cursor, 0, 8);
CHECK_FIELD(daxpin_extents, generation, 8, 16);
CHECK_FIELD(daxpin_extents, count, 24, 4);
CHECK_FIELD(daxpin_extents, flags, 28, 4);
CHECK_FIELD(daxpin_extents, reserved, 32, 16);
CHECK_FIELD(daxpin_extents, extents, 48, 10200);

CHECK_SIZE(daxpin_device, 4200);
CHECK_FIELD(daxpin_device, index, 0, 4);
CHECK_FIELD(daxpin_device, flags, 4, 4);
CHECK_FIELD(daxpin_device, count, 8, 4);
CHECK_FIELD(daxpin_device, granularity, 12, 4);
CHECK_FIELD(daxpin_device, size, 16, 8);
CHECK_FIELD(daxpin_device, mapping_unit, 24, 8);
CHECK_FIELD(daxpin_device, numa_node, 32, 4);
CHECK_FIELD(daxpin_device, number, 36, 4);
CHECK_FIELD(daxpin_device, volume_uuid, 40, 16);
CHECK_FIELD(daxpin_device, uuid, 56, 16);
CHECK_FIELD(daxpin_device, reserved, 72, 32);
CHECK_FIELD(daxpin_device, path, 104, 4096);

CHECK_SIZE(daxpin_bad_block, 56);
CHECK_FIELD(daxpin_bad_block, device_offset, 0, 8);
CHECK_FIELD(daxpin_bad_block, found_ns, 8, 8);
CHECK_FIELD(daxpin_bad_block, inode, 16, 8);
CHECK_FIELD(daxpin_bad_block, file_offset, 24, 8);
CHECK_FIELD(daxpin_bad_block, device, 32, 4);
CHECK_FIELD(daxpin_bad_block, source, 36, 4);
CHECK_FIELD(daxpin_bad_block, use, 40, 4);
CHECK_FIELD(daxpin_bad_block, reserved, 44, 12);

CHECK_SIZE(daxpin_bad_blocks, 14312);
CHECK_FIELD(daxpin_bad_blocks, cursor, 0, 8);
CHECK_FIELD(daxpin_bad_blocks, total, 8, 8);
CHECK_FIELD(daxpin_bad_blocks, count, 16, 4);
CHECK_FIELD(daxpin_bad_blocks, flags, 20, 4);
CHECK_FIELD(daxpin_bad_blocks, reserved, 24, 8);
CHECK_FIELD(daxpin_bad_blocks, blocks, 32, 14280);

CHECK_SIZE(daxpin_damage, 512);
CHECK_FIELD(daxpin_damage, count, 0, 8);
CHECK_FIELD(daxpin_damage, flags, 8, 4);
CHECK_FIELD(daxpin_damage, reserved, 12, 20);
CHECK_FIELD(daxpin_damage, text, 32, 480);

CHECK_SIZE(daxpin_volume, 64); // for ever: programs ask by it for the version of all others
CHECK_FIELD(daxpin_volume, flags, 0, 4);
CHECK_FIELD(daxpin_volume, abi, 4, 4);
CHECK_FIELD(daxpin_volume, prezeroed_bytes, 8, 8);
CHECK_FIELD(daxpin_volume, reserved, 16, 48);

CHECK_SIZE(daxpin_lease_info, 64);
CHECK_FIELD(daxpin_lease_info, inode, 0, 8);
CHECK_FIELD(daxpin_lease_info, id, 8, 8);
CHECK_FIELD(daxpin_lease_info, offset, 16, 8);
CHECK_FIELD(daxpin_lease_info, length, 24, 8);
CHECK_FIELD(daxpin_lease_info, granted_ns, 32, 8);
CHECK_FIELD(daxpin_lease_info, access, 40, 4);
CHECK_FIELD(daxpin_lease_info, uid, 44, 4);
CHECK_FIELD(daxpin_lease_info, pid, 48, 4);
CHECK_FIELD(daxpin_lease_info, flags, 52, 4);
CHECK_FIELD(daxpin_lease_info, reserved, 56, 8);

CHECK_SIZE(daxpin_leases, 16352);
CHECK_FIELD(daxpin_leases, cursor_inode, 0, 8);
CHECK_FIELD(daxpin_leases, cursor_id, 8, 8);
CHECK_FIELD(daxpin_leases, count, 16, 4);
CHECK_FIELD(daxpin_leases, flags, 20, 4);
CHECK_FIELD(daxpin_leases, reserved, 24, 8);
CHECK_FIELD(daxpin_leases, leases, 32, 16320);

CHECK_SIZE(daxpin_quarantined, 40);
CHECK_FIELD(daxpin_quarantined, inode, 0, 8);
CHECK_FIELD(daxpin_quarantined, generation, 8, 8);
CHECK_FIELD(daxpin_quarantined, bytes, 16, 8);
CHECK_FIELD(daxpin_quarantined, flags, 24, 4);
CHECK_FIELD(daxpin_quarantined, reserved, 28, 12);

CHECK_SIZE(daxpin_quarantine, 10232);
CHECK_FIELD(daxpin_quarantine, cursor, 0, 8);
CHECK_FIELD(daxpin_quarantine, count, 8, 4);
CHECK_FIELD(daxpin_quarantine, flags, 12, 4);
CHECK_FIELD(daxpin_quarantine, reserved, 16, 16);
CHECK_FIELD(daxpin_quarantine, files, 32, 10200);

CHECK_SIZE(daxpin_break, 16);
CHECK_FIELD(daxpin_break, flags, 0, 4);
CHECK_FIELD(daxpin_break, reserved, 4, 12);

CHECK_SIZE(daxpin_forget, 16);
CHECK_FIELD(daxpin_forget, flags, 0, 4);
CHECK_FIELD(daxpin_forget, reserved, 4, 12);

CHECK_SIZE(daxpin_ticket, 168);
CHECK_FIELD(daxpin_ticket, lease, 0, 8);
CHECK_FIELD(daxpin_ticket, flags, 8, 4);
CHECK_FIELD(daxpin_ticket, reserved, 12, 12);
CHECK_FIELD(daxpin_ticket, ticket, 24, 32);
CHECK_FIELD(daxpin_ticket, socket, 56, 112);

CHECK_SIZE(daxpin_broker_request, 48);
CHECK_FIELD(daxpin_broker_request, ticket, 0, 32);
CHECK_FIELD(daxpin_broker_request, device, 32, 4);
CHECK_FIELD(daxpin_broker_request, reserved, 36, 12);

CHECK_SIZE(daxpin_broker_reply, 16);
CHECK_FIELD(daxpin_broker_reply, error, 0, 4);
CHECK_FIELD(daxpin_broker_reply, reserved, 4, 12);

CHECK_IOCTL(DAXPIN_IOC_PIN, _IOC_WRITE, 1, daxpin_range);
CHECK_IOCTL(DAXPIN_IOC_UNPIN, _IOC_WRITE, 2, daxpin_range);
CHECK_IOCTL(DAXPIN_IOC_EXTEND, _IOC_WRITE, 3, daxpin_extension);
CHECK_IOCTL(DAXPIN_IOC_STATUS, _IOC_READ | _IOC_WRITE, 4, daxpin_file_status);
CHECK_IOCTL(DAXPIN_IOC_LEASE, _IOC_READ | _IOC_WRITE, 5, daxpin_lease);
CHECK_IOCTL(DAXPIN_IOC_RELEASE, _IOC_WRITE, 6, daxpin_release);
CHECK_IOCTL(DAXPIN_IOC_EXTENTS, _IOC_READ | _IOC_WRITE, 7, daxpin_extents);
CHECK_IOCTL(DAXPIN_IOC_DEVICE, _IOC_READ | _IOC_WRITE, 8, daxpin_device);
CHECK_IOCTL(DAXPIN_IOC_SYNC, _IOC_WRITE, 9, daxpin_range);
CHECK_IOCTL(DAXPIN_IOC_BAD_BLOCKS, _IOC_READ | _IOC_WRITE, 10, daxpin_bad_blocks);
CHECK_IOCTL(DAXPIN_IOC_DAMAGE, _IOC_READ | _IOC_WRITE, 11, daxpin_damage);
CHECK_IOCTL(DAXPIN_IOC_LEASES, _IOC_READ | _IOC_WRITE, 12, daxpin_leases);
CHECK_IOCTL(DAXPIN_IOC_QUARANTINE, _IOC_READ | _IOC_WRITE, 13, daxpin_quarantine);
CHECK_IOCTL(DAXPIN_IOC_FORGET, _IOC_WRITE, 14, daxpin_forget);
CHECK_IOCTL(DAXPIN_IOC_BREAK, _IOC_WRITE, 15, daxpin_break);
CHECK_IOCTL(DAXPIN_IOC_TICKET, _IOC_READ | _IOC_WRITE, 16, daxpin_ticket);
CHECK_IOCTL(DAXPIN_IOC_VOLUME, _IOC_READ | _IOC_WRITE, 17, daxpin_volume);

} // namespace
