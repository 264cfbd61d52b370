/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioctls of a file on a daxpin filesystem: pinning, leases, extents. See daxpin-ioctl(2).
 *
 * Offsets and lengths are bytes. A field is an argument unless it says "out". What is out is not
 * looked at on the way in, so that a structure may be passed again as it came back. All else must
 * be zero, or the answer is EINVAL: `reserved`, bits of `flags` that have no name here, and what
 * the ioctl does not take. What a later version adds takes its place there, so begin with a
 * structure of zeros. Layouts are the same for 32-bit and 64-bit programs.
 */
#ifndef DAXPIN_IOCTL_H
#define DAXPIN_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * The version of this header, which daxpin_volume.abi tells of the daemon: one more with each
 * ioctl, flag or field that is added, and when a structure gets another size.
 */
#define DAXPIN_ABI 1u

/* First allocate holes, zero, and move data to aligned extents, durably. */
#define DAXPIN_PREPARE 0x1u

/* struct daxpin_file_status.flags */
#define DAXPIN_STATUS_PINNED 0x1u      /* some range is pinned */
#define DAXPIN_STATUS_WHOLE 0x2u       /* the whole file is, size included */
#define DAXPIN_STATUS_READ_ONLY 0x4u   /* the mount is read-only */
#define DAXPIN_STATUS_DIRECT 0x8u      /* opens are direct */
#define DAXPIN_STATUS_PREPARING 0x10u  /* a PREPARE is running */
#define DAXPIN_STATUS_DAMAGED 0x20u    /* the volume's metadata was found damaged: IOC_DAMAGE */
#define DAXPIN_STATUS_ASKED_BACK 0x40u /* a lease of the file was: IOC_BREAK. Also POLLPRI */

/* struct daxpin_lease.access */
#define DAXPIN_LEASE_READ 1u
#define DAXPIN_LEASE_WRITE 2u

/* struct daxpin_extent.flags */
#define DAXPIN_EXTENT_UNWRITTEN 0x1u

/* struct daxpin_device.granularity */
#define DAXPIN_GRANULARITY_BYTE 1u       /* visible is durable (eADR) */
#define DAXPIN_GRANULARITY_CACHE_LINE 2u /* write back the line, then a store fence */
#define DAXPIN_GRANULARITY_PAGE 3u       /* msync */
#define DAXPIN_GRANULARITY_NONE 4u       /* volatile memory */

struct daxpin_range { /* PIN, UNPIN, SYNC; offset 0 and length 0 mean the whole file */
    __aligned_u64 offset;
    __aligned_u64 length;
    __aligned_u64 align; /* PIN: bytes, 0 = what the device needs; else zero */
    __u32 flags;         /* PIN: DAXPIN_PREPARE */
    __u32 reserved[5];
};

struct daxpin_extension {
    __aligned_u64 length; /* the file's new size */
    __u32 flags;
    __u32 reserved[5];
};

struct daxpin_generation {
    __aligned_u64 mount_id; /* random, new at each mount */
    __aligned_u64 counter;
};

struct daxpin_file_status {
    __u32 flags; /* out, as all of it: DAXPIN_STATUS_* */
    __u32 lease_count;
    __aligned_u64 pinned_bytes;
    struct daxpin_generation generation;
    __aligned_u64 prepare_done;  /* bytes */
    __aligned_u64 prepare_total; /* bytes, 0 when none runs */
    __u32 reserved[8];
};

struct daxpin_lease {
    __aligned_u64 offset;
    __aligned_u64 length;
    __u32 access;                        /* DAXPIN_LEASE_* */
    __u32 flags;                         /* DAXPIN_PREPARE */
    __aligned_u64 id;                    /* out */
    struct daxpin_generation generation; /* out */
    __u32 reserved[8];
};

struct daxpin_release {
    __aligned_u64 id;
    __u32 flags;
    __u32 reserved[3];
};

struct daxpin_extent {
    __aligned_u64 file_offset;
    __aligned_u64 device_offset;
    __aligned_u64 length;
    __u32 device;
    __u32 flags; /* DAXPIN_EXTENT_* */
    __u32 reserved[2];
};

#define DAXPIN_EXTENTS_MAX 255

struct daxpin_extents {
    __aligned_u64 cursor; /* in: file offset to start at; out: where to go on, ~0 at the end */
    struct daxpin_generation generation; /* in and out; in zero = any */
    __u32 count;                         /* out */
    __u32 flags;
    __u32 reserved[4];
    struct daxpin_extent extents[DAXPIN_EXTENTS_MAX]; /* out */
};

/* struct daxpin_device.flags */
#define DAXPIN_DEVICE_ASSUMED 0x1u  /* the granularity is an option's, not the platform's word */
#define DAXPIN_DEVICE_METADATA 0x2u /* holds metadata: whoever may open it is trusted with it */
#define DAXPIN_DEVICE_DATA 0x4u     /* holds file data */
#define DAXPIN_DEVICE_BROKER 0x8u   /* a descriptor comes from the broker: DAXPIN_IOC_TICKET */

struct daxpin_device {
    __u32 index;                /* in */
    __u32 flags;                /* out, as all that follows: DAXPIN_DEVICE_* */
    __u32 count;                /* devices of the volume */
    __u32 granularity;          /* DAXPIN_GRANULARITY_* */
    __aligned_u64 size;         /* bytes: the volume's part */
    __aligned_u64 mapping_unit; /* bytes */
    __s32 numa_node;            /* -1 = unknown */
    __u32 number;               /* device DAX: major << 20 | minor; a file: 0 */
    __u8 volume_uuid[16];
    __u8 uuid[16];
    __u32 reserved[8];
    char path[4096]; /* NUL-terminated */
};

#define DAXPIN_TICKET_BYTES 32

struct daxpin_ticket {
    __aligned_u64 lease; /* in: id of a lease of this open file */
    __u32 flags;
    __u32 reserved[3];
    __u8 ticket[DAXPIN_TICKET_BYTES]; /* out: good for one request of this process, for seconds */
    char socket[112];                 /* out: the broker's path, NUL-terminated */
};

/* What a client sends to the broker, one message of a SOCK_SEQPACKET connection, ... */
struct daxpin_broker_request {
    __u8 ticket[DAXPIN_TICKET_BYTES];
    __u32 device; /* index of a device that holds data */
    __u32 reserved[3];
};

/* ... and what it gets: with error 0 a descriptor of the device (SCM_RIGHTS). */
struct daxpin_broker_reply {
    __s32 error; /* an errno */
    __u32 reserved[3];
};

/* struct daxpin_bad_blocks.flags, in */
#define DAXPIN_BAD_OWNERS 0x1u /* find out what is hit; takes time by the size of the volume */

/* struct daxpin_bad_block.use */
#define DAXPIN_BAD_UNKNOWN 0u /* not asked, or the volume is damaged */
#define DAXPIN_BAD_FILE 1u    /* a file's data: inode and file_offset say whose */
#define DAXPIN_BAD_METADATA 2u
#define DAXPIN_BAD_FREE 3u /* nobody's; kept from use */

/* struct daxpin_bad_block.source: who found it */
#define DAXPIN_BAD_SOURCE_ACCESS 1u /* the daemon, by an access that failed */
#define DAXPIN_BAD_SOURCE_REPLY 2u  /* the kernel, by a copy that failed */
#define DAXPIN_BAD_SOURCE_DEVICE 3u /* the device's own list, or the kernel's report */

struct daxpin_bad_block {        /* 4096 bytes of a device that cannot be read */
    __aligned_u64 device_offset; /* bytes */
    __aligned_u64 found_ns;      /* since 1970, signed; 0 until it is on the persistent list */
    __aligned_u64 inode;         /* DAXPIN_BAD_FILE */
    __aligned_u64 file_offset;   /* DAXPIN_BAD_FILE: bytes */
    __u32 device;
    __u32 source; /* DAXPIN_BAD_SOURCE_* */
    __u32 use;    /* DAXPIN_BAD_* */
    __u32 reserved[3];
};

#define DAXPIN_BAD_BLOCKS_MAX 255

struct daxpin_bad_blocks { /* asked of any file or directory, about the whole volume */
    __aligned_u64 cursor;  /* in: 0 at first; out: where to go on, ~0 at the end */
    __aligned_u64 total;   /* out: bad blocks of the volume */
    __u32 count;           /* out */
    __u32 flags;           /* DAXPIN_BAD_OWNERS */
    __u32 reserved[2];
    struct daxpin_bad_block blocks[DAXPIN_BAD_BLOCKS_MAX]; /* out */
};

struct daxpin_lease_info { /* somebody's lease */
    __aligned_u64 inode;
    __aligned_u64 id;     /* of the inode's leases */
    __aligned_u64 offset; /* bytes, rounded out to mapping units */
    __aligned_u64 length;
    __aligned_u64 granted_ns; /* since 1970 */
    __u32 access;             /* DAXPIN_LEASE_* */
    __u32 uid;
    __s32 pid;   /* of who took it; 0 = not known. Proves nothing: forks inherit it */
    __u32 flags; /* DAXPIN_LEASE_ASKED_BACK */
    __u32 reserved[2];
};

#define DAXPIN_LEASE_ASKED_BACK 0x1u

#define DAXPIN_LEASES_MAX 255

struct daxpin_leases {          /* asked of any file or directory, about the whole volume */
    __aligned_u64 cursor_inode; /* in: 0 at first; out: where to go on, ~0 at the end */
    __aligned_u64 cursor_id;    /* in and out */
    __u32 count;                /* out */
    __u32 flags;
    __u32 reserved[2];
    struct daxpin_lease_info leases[DAXPIN_LEASES_MAX]; /* out */
};

/* struct daxpin_quarantined.flags */
#define DAXPIN_QUARANTINE_LOST 0x1u /* some of it for leases of an earlier daemon */

struct daxpin_quarantined { /* what of one file is in a part of the quarantine; it may be gone */
    __aligned_u64 inode;
    __aligned_u64 generation;
    __aligned_u64 bytes;
    __u32 flags; /* DAXPIN_QUARANTINE_* */
    __u32 reserved[3];
};

#define DAXPIN_QUARANTINE_MAX 255

struct daxpin_quarantine { /* asked of any file or directory, about the whole volume */
    __aligned_u64 cursor;  /* in: 0 at first; out: where to go on, ~0 at the end */
    __u32 count;           /* out; what is told of a file on several pages adds up */
    __u32 flags;
    __u32 reserved[4];
    struct daxpin_quarantined files[DAXPIN_QUARANTINE_MAX]; /* out */
};

struct daxpin_break {
    __u32 flags;
    __u32 reserved[3];
};

struct daxpin_forget {
    __u32 flags;
    __u32 reserved[3];
};

/* struct daxpin_damage.flags */
#define DAXPIN_DAMAGE_READ_ONLY 0x1u /* the volume is read-only, for whatever reason */

struct daxpin_damage {   /* asked of any file or directory, about the whole volume */
    __aligned_u64 count; /* out: operations that met damaged metadata since the mount */
    __u32 flags;         /* out: DAXPIN_DAMAGE_* */
    __u32 reserved[5];
    char text[480]; /* out: what was damaged, the first time; NUL-terminated */
};

/* struct daxpin_volume.flags */
#define DAXPIN_VOLUME_PREZERO 0x1u /* free space is zeroed while nobody asks for anything */

struct daxpin_volume { /* asked of any file or directory; of this size in every version */
    __u32 flags;       /* out: DAXPIN_VOLUME_* */
    __u32 abi;         /* out: DAXPIN_ABI of the daemon */
    __aligned_u64 prezeroed_bytes; /* out: free, and known to be zero: PREPARE need not zero it */
    __u32 reserved[12];
};

#define DAXPIN_IOC_MAGIC 0xDA
#define DAXPIN_IOC_PIN _IOW(DAXPIN_IOC_MAGIC, 1, struct daxpin_range)
#define DAXPIN_IOC_UNPIN _IOW(DAXPIN_IOC_MAGIC, 2, struct daxpin_range)
#define DAXPIN_IOC_EXTEND _IOW(DAXPIN_IOC_MAGIC, 3, struct daxpin_extension)
#define DAXPIN_IOC_STATUS _IOWR(DAXPIN_IOC_MAGIC, 4, struct daxpin_file_status)
#define DAXPIN_IOC_LEASE _IOWR(DAXPIN_IOC_MAGIC, 5, struct daxpin_lease)
#define DAXPIN_IOC_RELEASE _IOW(DAXPIN_IOC_MAGIC, 6, struct daxpin_release)
#define DAXPIN_IOC_EXTENTS _IOWR(DAXPIN_IOC_MAGIC, 7, struct daxpin_extents)
#define DAXPIN_IOC_DEVICE _IOWR(DAXPIN_IOC_MAGIC, 8, struct daxpin_device)
#define DAXPIN_IOC_SYNC _IOW(DAXPIN_IOC_MAGIC, 9, struct daxpin_range)
#define DAXPIN_IOC_BAD_BLOCKS _IOWR(DAXPIN_IOC_MAGIC, 10, struct daxpin_bad_blocks)
#define DAXPIN_IOC_DAMAGE _IOWR(DAXPIN_IOC_MAGIC, 11, struct daxpin_damage)
#define DAXPIN_IOC_LEASES _IOWR(DAXPIN_IOC_MAGIC, 12, struct daxpin_leases)
#define DAXPIN_IOC_QUARANTINE _IOWR(DAXPIN_IOC_MAGIC, 13, struct daxpin_quarantine)
#define DAXPIN_IOC_FORGET _IOW(DAXPIN_IOC_MAGIC, 14, struct daxpin_forget)
#define DAXPIN_IOC_BREAK _IOW(DAXPIN_IOC_MAGIC, 15, struct daxpin_break)
#define DAXPIN_IOC_TICKET _IOWR(DAXPIN_IOC_MAGIC, 16, struct daxpin_ticket)
#define DAXPIN_IOC_VOLUME _IOWR(DAXPIN_IOC_MAGIC, 17, struct daxpin_volume)

#endif
