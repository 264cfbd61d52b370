// SPDX-License-Identifier: BSD-3-Clause
//
// Arguments and answers of the volume's operations.
#pragma once

#include "alloc/grace.h"
#include "base/env.h"
#include "base/result.h"
#include "base/types.h"
#include "device/device_table.h"
#include "format/layout.h"
#include "immutable/lease_accounts.h"
#include "immutable/leases.h"
#include "immutable/policy.h"
#include "inode/inode_table.h"
#include "inode/xattr.h"

#include <cstdint>
#include <functional>
#include <linux/capability.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daxpin::volume {

using inode::Attributes;
using Uuid = std::array<std::byte, 16>;

// Who asks. Permissions on names and files were checked by the kernel (default_permissions);
// the volume checks what the kernel cannot: pins, +i, +a, ownership for pins and attributes.
struct Caller {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t umask = 0;
    std::int32_t pid = 0; // of its thread; 0: not known
    // Tells whether the caller has a capability (CAP_FOWNER, CAP_LINUX_IMMUTABLE, ...) in the
    // daemon's user namespace. Asked only when it matters. Null = no capability.
    std::function<bool(int capability)> has_capability = {};
    // Tells whether a group is among the supplementary ones. Null = there are none.
    std::function<bool(std::uint32_t group)> has_group = {};
    // Whether the caller has given up (a signal). Null = never. Asked by what may take long.
    std::function<bool()> has_given_up = {};
    bool is_in_group(std::uint32_t group) const {
        return group == gid || (has_group && has_group(group));
    }
    bool capable(int capability) const { return has_capability && has_capability(capability); }
    // Root counts also where its capabilities cannot be read, as in another pid namespace.
    bool may_act_for(std::uint32_t owner) const {
        return uid == owner || uid == 0 || capable(CAP_FOWNER);
    }
};

enum class PinPolicy { owner, capability, off }; // mount option pin=
enum class Atime { relative, none, strict };

// When metadata is found damaged (mount option errors=).
enum class OnDamage {
    read_only, // nothing more is written, reading goes on
    go_on,     // what is not damaged may still be changed
    exit       // as read_only; the daemon ends
};

struct DamageReport {
    std::uint64_t count = 0; // operations that met damage since the mount
    std::string first = {};  // what was damaged, in one line
};

struct Options {
    bool read_only = false;
    OnDamage errors = OnDamage::read_only;
    // Called once, when the first damage is noted, by the thread that does so, with no lock held.
    std::function<void(const DamageReport &)> on_damage = {};
    PinPolicy pin = PinPolicy::owner;
    Atime atime = Atime::relative;
    bool directory_atime = true; // else listing a directory is no access, whatever `atime` is
    bool dax = true;             // leases and extents are handed out
    immutable::LeaseLimits lease_limits = {};
    std::uint64_t lease_break_s = 45; // how long a lease that is asked back still seals
};

// An open file description. 0 is "none".
using Handle = std::uint64_t;

struct OpenRequest {
    bool write = false;
    bool append = false;
    bool truncate = false;
    bool direct = false;  // O_DIRECT
    bool noatime = false; // O_NOATIME
    // With `truncate`: take setuid and setgid away, too. File capabilities go in any case.
    bool kill_privileges = false;
};

// Where a write goes.
enum class WriteMode {
    handle, // at the end if the file was opened for appending, else at the offset
    offset, // at the offset
    append, // at the offset, which the kernel has taken for the end (O_APPEND); as long as EXTEND
            // has moved that and the kernel may not know, at the end
    page_cache // at the offset, through whichever handle: what a mapping had made dirty
};

// A write(2) that is about to come.
struct PlannedWrite {
    Handle handle = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    WriteMode mode = WriteMode::handle;
};

struct OpenReply {
    Handle handle = 0;
    bool direct = false;     // FOPEN_DIRECT_IO
    bool keep_cache = false; // FOPEN_KEEP_CACHE
};

// What setattr may change; unset members stay. Times in ns; `now` variants use the clock.
struct AttributeChange {
    std::optional<std::uint32_t> mode; // permission bits only
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<std::uint64_t> size;
    std::optional<std::int64_t> atime_ns;
    std::optional<std::int64_t> mtime_ns;
    std::optional<std::int64_t> ctime_ns;
    bool atime_now = false;
    bool mtime_now = false;
    // Take setuid, setgid and file capabilities away, as a truncation by an ordinary user does.
    // A change of owner always does, and a change of size always takes the capabilities.
    bool kill_privileges = false;
};

struct NewNode {
    std::uint32_t mode = 0; // type and permissions as asked for
    std::uint32_t rdev = 0;
    std::string_view target = {}; // symbolic links
};

struct ReadReply {
    // In order, media or a shared page of zeros; together at most the bytes asked for.
    std::vector<std::span<const std::byte>> segments;
    std::uint64_t bytes = 0;
    // Keeps the blocks from reuse: hold it until the segments are no longer looked at.
    alloc::Grace::Guard guard;
};

struct ListedEntry {
    std::string_view name;
    std::uint64_t cookie = 0; // pass as `after` to go on behind this entry
    InodeNumber number;
    unsigned type = 0; // DT_*
};

struct Statistics {
    std::uint64_t total_blocks = 0;
    std::uint64_t free_blocks = 0;
    std::uint64_t available_blocks = 0;
};

struct PinRequest {
    immutable::ByteRange range;
    std::uint64_t align = 0;
    bool prepare = false;
    Handle handle = 0; // 0: by attribute
};

struct PinStatus {
    bool pinned = false;
    bool whole = false;
    bool read_only = false;
    bool direct = false;
    std::vector<immutable::BlockRange> pins = {};
    std::uint64_t pinned_bytes = 0;
    std::uint64_t lease_count = 0;
    bool asked_back = false; // some lease was
    std::uint64_t generation = 0;
    std::uint64_t prepare_done = 0; // bytes
    std::uint64_t prepare_total = 0;
};

struct ExtentInfo {
    std::uint64_t file_offset = 0;
    unsigned device = 0;
    std::uint64_t device_offset = 0;
    std::uint64_t length = 0;
    bool unwritten = false;
};

struct LeaseInfo {
    InodeNumber inode;
    immutable::Lease lease;
};

// What of one file is in quarantine, of some runs.
struct QuarantineInfo {
    InodeNumber inode;
    std::uint64_t generation = 0;
    std::uint64_t bytes = 0;
    bool lost = false; // some of it for leases that this daemon did not grant
};

struct QuarantinePage {
    std::vector<QuarantineInfo> files; // by inode and generation
    std::optional<MediaBlock> next;    // where to go on; none at the end
};

enum class BadBlockUse { unknown, file, metadata, free };

struct BadBlockInfo {
    unsigned device = 0;
    std::uint64_t device_offset = 0; // bytes; one block
    std::int64_t found_ns = 0;
    format::BadBlockSource source = format::BadBlockSource::access;
    bool listed = false; // persistently
    BadBlockUse use = BadBlockUse::unknown;
    InodeNumber inode = {};        // use file
    std::uint64_t file_offset = 0; // use file: bytes
};

enum class FallocateMode { allocate, allocate_keep_size, punch, zero, zero_keep_size };

enum class RenameMode { plain, no_replace, exchange, whiteout };

// Told when the kernel's caches of a file went stale by something its callers did not ask for.
// Called without any lock held.
class CacheObserver {
  public:
    virtual ~CacheObserver() = default;
    virtual void invalidate_data(InodeNumber inode) = 0; // and attributes; before the reply
    virtual void invalidate_attributes(InodeNumber inode) = 0;
};

} // namespace daxpin::volume
