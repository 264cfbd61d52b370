/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libdaxpin: maps a file of a daxpin filesystem straight from the persistent memory under it.
 *
 * A mapping is one contiguous range of addresses, however fragmented the file is. Stores to it
 * are durable after daxpin_persist(): no fsync, no msync on memory that needs none. While the
 * mapping lives it holds a lease, so that the blocks under it go to nobody else; the lease ends
 * when the mapping is gone from every process that has it.
 *
 * Functions that return int give 0, or a negative number for daxpin_err_to_errno(); then
 * daxpin_errormsg() has one line of text. Sizes and offsets are bytes. Thread-safe; a map
 * survives fork(). See libdaxpin(7).
 */
#ifndef DAXPIN_H
#define DAXPIN_H

#include <daxpin/ioctl.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct daxpin_map;

/* Flags of daxpin_map_new(). */
#define DAXPIN_MAP_PREPARE 0x1u /* first fill holes and align extents; else a hole is EINVAL */

/*
 * Maps [offset, offset + length) of the file open at `fd`; length 0 = to its end. For writing if
 * `fd` is open for writing, else for reading. `fd` may be closed afterwards.
 *
 * Errors: EINVAL (offset not a multiple of the mapping unit, beyond the end, a hole, no regular
 * file), ENOTTY (not on a daxpin filesystem), EBUSY (the file is open elsewhere through the page
 * cache: without O_DIRECT, from before it was pinned or leased; or PREPARE would move what somebody
 * leases), EACCES (the device may not be opened by the caller), ENODEV (the device is not the
 * volume's), ENOENT (its path leads nowhere here), EOPNOTSUPP (the mount's dax=off, or its daemon
 * is of another version and does not know a request), EDQUOT (too many leases), EINTR, ENOMEM, and
 * those of the lease; all in daxpin_map_new(3).
 */
int daxpin_map_new(struct daxpin_map **map, int fd, uint64_t offset, size_t length, unsigned flags);

/*
 * The same, with `reserve` bytes of addresses in all, so that the mapping can grow: addresses cost
 * no memory.
 */
int daxpin_map_new_reserved(struct daxpin_map **map, int fd, uint64_t offset, size_t length,
                            size_t reserve, unsigned flags);

/*
 * Lets the mapping reach over `length` bytes in all, 0 = to the file's end: what was mapped stays
 * where it is. `fd` is open on the same file with the same access; the file is as long already
 * (daxpin_extend()). Flags: DAXPIN_MAP_PREPARE.
 *
 * Errors: as daxpin_map_new(); ENOMEM if the reserved addresses do not reach, EINVAL for another
 * file or a smaller length, EBADF for other access, EBUSY while another thread extends the map.
 */
int daxpin_map_extend(struct daxpin_map *map, int fd, size_t length, unsigned flags);

/* Unmaps, which ends the lease; sets *map to NULL. A null *map is fine. */
int daxpin_map_delete(struct daxpin_map **map);

/* Address and length of the mapping. */
void *daxpin_map_get_address(const struct daxpin_map *map);
size_t daxpin_map_get_size(const struct daxpin_map *map);

/*
 * What makes stores to the mapping durable, by DAXPIN_GRANULARITY_*: daxpin_persist() writes cache
 * lines back (CACHE_LINE), calls msync (PAGE), or has nothing to do (BYTE; NONE: of volatile
 * memory, where nothing lasts).
 */
unsigned daxpin_map_get_granularity(const struct daxpin_map *map);

/*
 * Whether the mapping is the file's still. Under a lease for writing it is, until the lease is
 * asked back (daxpin_status()) or the filesystem mounted anew; under one for reading whoever may
 * change the file may take blocks away from it, and the mapping goes on to show the old ones. `fd`
 * is open on the same file. A request to the filesystem; what the answer was true of is the past.
 *
 * Errors: ESTALE if blocks under a lease of the file changed since, or the lease is an earlier
 * mount's: delete the map and make another; EINVAL for another file, ENOTTY, EBADF.
 */
int daxpin_map_check(const struct daxpin_map *map, int fd);

/*
 * Makes stores to [address, address + length) durable. The range must lie in the map.
 * Errors: EIO (only where the medium is an ordinary file).
 */
int daxpin_persist(const struct daxpin_map *map, const void *address, size_t length);

/* Halves of daxpin_persist(): start the write-back of a range; wait for what was started. */
int daxpin_flush(const struct daxpin_map *map, const void *address, size_t length);
void daxpin_drain(const struct daxpin_map *map);

/* Flags of daxpin_memcpy(), daxpin_memmove() and daxpin_memset(), as those of libpmem2. */
#define DAXPIN_F_NODRAIN 0x1u     /* flushed, not waited for: daxpin_drain() */
#define DAXPIN_F_NONTEMPORAL 0x2u /* past the caches */
#define DAXPIN_F_TEMPORAL 0x4u    /* through the caches */
#define DAXPIN_F_NOFLUSH 0x20u    /* stored only: daxpin_persist() */

/*
 * Copies `length` bytes to `destination` in the map, or sets them to `value`, by the stores that
 * are fastest for that length, and makes them durable unless a flag says otherwise. With
 * daxpin_memmove() the two places may overlap.
 * Errors: as daxpin_persist(); EINVAL for an unknown flag.
 */
int daxpin_memcpy(const struct daxpin_map *map, void *destination, const void *source,
                  size_t length, unsigned flags);
int daxpin_memmove(const struct daxpin_map *map, void *destination, const void *source,
                   size_t length, unsigned flags);
int daxpin_memset(const struct daxpin_map *map, void *destination, int value, size_t length,
                  unsigned flags);

/* The same without flags: durable on return. */
int daxpin_memcpy_persist(const struct daxpin_map *map, void *destination, const void *source,
                          size_t length);
int daxpin_memmove_persist(const struct daxpin_map *map, void *destination, const void *source,
                           size_t length);
int daxpin_memset_persist(const struct daxpin_map *map, void *destination, int value,
                          size_t length);

/*
 * daxpin_persist(), and beyond the persistence domain what the platform has to flush there, so
 * that the bytes survive even a domain that failed at power loss. A system call; slow.
 * Errors: as daxpin_persist(); EINVAL for a range outside the map, EACCES.
 */
int daxpin_deep_flush(const struct daxpin_map *map, const void *address, size_t length);

/* Modes of daxpin_dirty_track(). */
#define DAXPIN_TRACK_MARKS 1u         /* marks, at the grain that was measured to be best */
#define DAXPIN_TRACK_FINE 2u          /* marks of 64-byte lines */
#define DAXPIN_TRACK_COARSE 3u        /* marks of 4 KiB pages */
#define DAXPIN_TRACK_WRITE_PROTECT 4u /* the kernel sees every store; pages; Linux 6.7 */

/*
 * From now on remembers which parts of the mapping were stored to, for daxpin_sync(). With marks
 * that is what daxpin_dirty_mark() and stores with DAXPIN_F_NOFLUSH told, in this process and
 * those it forked; with write-protection every store of this process but those by devices. Chosen
 * once per mapping. Does nothing where stores need no flush, or where the kernel writes pages back.
 *
 * Errors: EINVAL, EBUSY (another mode was chosen), EOPNOTSUPP (the kernel cannot watch this
 * mapping), EPERM (or the caller may not let it), ENOMEM.
 */
int daxpin_dirty_track(struct daxpin_map *map, unsigned mode);

/* Marks a range after stores to it. Errors: EINVAL for a range outside the map. */
int daxpin_dirty_mark(const struct daxpin_map *map, const void *address, size_t length);

/*
 * Makes the stores to [offset, offset + length) of the mapping durable; 0, 0 = of all of it. What
 * is dirty elsewhere stays dirty. Without tracking the whole range is flushed.
 * Errors: EINVAL for a range outside the map; EIO, of a medium that is an ordinary file.
 */
int daxpin_sync(const struct daxpin_map *map, size_t offset, size_t length);

/* struct daxpin_map_info.flags */
#define DAXPIN_MAP_INFO_DAX 0x1u      /* the media itself is mapped, no page cache */
#define DAXPIN_MAP_INFO_NO_FSYNC 0x2u /* stores last without fsync or msync: see domain */
#define DAXPIN_MAP_INFO_SHARED 0x4u   /* stores reach the file */
#define DAXPIN_MAP_INFO_WRITABLE 0x8u
#define DAXPIN_MAP_INFO_LIBRARY 0x10u /* made by daxpin_map_new() */

struct daxpin_map_info {
    uint64_t address;
    uint64_t length;      /* bytes */
    uint64_t file_offset; /* bytes; 0 without a file */
    uint64_t page_size;   /* bytes: of the largest page that maps a part of it now */
    uint32_t flags;       /* DAXPIN_MAP_INFO_* */
    uint32_t domain;      /* DAXPIN_GRANULARITY_*: what a store needs to last; NONE = it does not */
    uint32_t reserved[8]; /* zero */
    char path[4096];      /* of the file, or as in proc(5); NUL-terminated */
};

/*
 * Tells of [address, address + length) of this process, whoever mapped it: one entry for each
 * mapping, in ascending order, clipped to the range. *count: in, the room in `infos`; out, the
 * entries there are. Addresses that nobody mapped have none.
 *
 * Errors: ERANGE if there are more entries than room: the first ones were filled.
 */
int daxpin_query(const void *address, size_t length, struct daxpin_map_info *infos, size_t *count);

/* Flags of daxpin_pin(). */
#define DAXPIN_PIN_PREPARE 0x1u

/*
 * Freezes the block map of a range (0, 0: of the whole file, its size too); `align` bytes, 0 =
 * what the device needs. Errors: see daxpin-ioctl(2), DAXPIN_IOC_PIN.
 */
int daxpin_pin(int fd, uint64_t offset, uint64_t length, uint64_t align, unsigned flags);
int daxpin_unpin(int fd, uint64_t offset, uint64_t length);

/*
 * Grows a file of which something is pinned to `length` bytes: what is new is allocated and zeroed,
 * then made part of the file and pinned at once.
 * Existing mappings stay valid. Errors: see daxpin-ioctl(2), DAXPIN_IOC_EXTEND.
 */
int daxpin_extend(int fd, uint64_t length);

/*
 * Pins, leases and generation of a file (struct daxpin_file_status in <daxpin/ioctl.h>). With
 * DAXPIN_STATUS_ASKED_BACK, which poll(2) on the descriptor tells as POLLPRI, delete the file's
 * maps soon: after some time its extents are no longer sure to be those that are mapped. What is
 * mapped from then on is of a lease of its own.
 */
int daxpin_status(int fd, struct daxpin_file_status *status);

/* One line about the calling thread's last error in this library. Never NULL. */
const char *daxpin_errormsg(void);

/* The errno of a library error; 0 for 0. */
int daxpin_err_to_errno(int error);

#ifdef __cplusplus
}
#endif

#endif
