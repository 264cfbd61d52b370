// SPDX-License-Identifier: BSD-3-Clause
//
// Volume: the filesystem without FUSE. One function per operation; each is atomic and durable
// when it returns (docs/ARCHITECTURE.md, "Promises").
//
// Thread-safe; holds no lock after returning. Has no threads of its own: somebody calls
// background_step() now and then. Lock order: docs/locking.md.
//
// Lookup counts: lookup(), the creating operations and link() each add one reference to the
// inode they return, which forget() takes back. A file without a name lives until nobody
// references it and nobody has it open.
#pragma once

#include "volume/types.h"

#include <memory>

namespace daxpin::volume {

class Engine;

class Volume {
  public:
    // Recovers the journal and opens. ERRORS: as read_superblock() and Journal::open().
    static Result<std::unique_ptr<Volume>> open(device::DeviceTable devices, Env &env,
                                                const Options &options);
    // Checkpoints, so that the next mount replays nothing; leaves unfinished work for it.
    ~Volume();

    const format::Superblock &superblock() const;
    device::DeviceTable &devices();
    std::uint64_t records_replayed() const; // at open
    std::uint64_t mount_id() const;         // random, new at each open
    void set_observer(CacheObserver *observer);
    bool read_only() const;
    // A remount; writes back first. ERRORS: read_only while damage is noted.
    Result<void> set_read_only(bool read_only);
    bool failed() const; // a device failed: only reading goes on

    // Whoever runs operations hands each of their errors to this: at Errc::corrupt it does what
    // the option errors= says. Nothing else in the engine looks out for damage.
    void note_failure(const Error &error);
    DamageReport damage() const;

    // Checkpoints if the ring is half full and does one step of unfinished deletions.
    // Returns true if there is more to do.
    Result<bool> background_step();
    // Enters what the kernel has said is lost of the devices (device/lost_pages.h) among the bad
    // blocks. Costs two loads if there is nothing new. Thread-safe.
    void note_lost_pages();
    Result<void> checkpoint();
    // For when nothing else is to be done: zeroes a piece of free space, so that PREPARE and EXTEND
    // need not. Returns true if there is more to do, or something in the way. ERRORS: io, corrupt.
    Result<bool> prezero_step();
    std::uint64_t prezeroed_bytes() const; // free space known to be zero

    // --- media errors ---
    // Bad blocks by address; with `owners`, which takes time by the size of the volume, what
    // they hit.
    std::vector<BadBlockInfo> bad_blocks(bool owners);
    // What happened to the media since the last call, one line each for a person.
    std::vector<std::string> take_media_reports();

    // --- what programs map (docs/pinning.md, "Safety of blocks") ---
    // Whether it would help to know what programs map: blocks are kept that may be under leases
    // of an earlier daemon of this boot.
    bool awaits_proof() const;
    // Tells which runs of the devices other processes map now, apart from what leases granted since
    // the volume was opened cover. Blocks in quarantine outside of them may be used again.
    void prove_absence(std::vector<MediaRun> mapped);
    // The same of one file, by somebody who knows; of the root directory: of all, removed ones
    // included. ERRORS: busy while the file is leased.
    Result<void> forget_leases(InodeNumber inode);
    // At most `limit` leases by inode and id, from these two on.
    std::vector<LeaseInfo> leases(InodeNumber from, immutable::LeaseId from_id, std::size_t limit);
    // Whose the next `limit` runs in quarantine are, in the order of the devices.
    Result<QuarantinePage> quarantine(MediaBlock from, std::size_t limit);

    // --- names ---
    Result<Attributes> lookup(InodeNumber parent, std::string_view name);
    void forget(InodeNumber inode, std::uint64_t count);
    Result<Attributes> make_node(const Caller &caller, InodeNumber parent, std::string_view name,
                                 const NewNode &node); // mknod, mkdir, symlink
    struct Created {
        Attributes attributes;
        OpenReply open;
    };
    Result<Created> create(const Caller &caller, InodeNumber parent, std::string_view name,
                           const NewNode &node, const OpenRequest &request);
    // A file without a name, open (O_TMPFILE); link() may give it one.
    Result<Created> create_unnamed(const Caller &caller, InodeNumber parent, const NewNode &node,
                                   const OpenRequest &request);
    Result<void> unlink(const Caller &caller, InodeNumber parent, std::string_view name);
    Result<void> remove_directory(const Caller &caller, InodeNumber parent, std::string_view name);
    Result<void> rename(const Caller &caller, InodeNumber from, std::string_view from_name,
                        InodeNumber to, std::string_view to_name, RenameMode mode);
    Result<Attributes> link(const Caller &caller, InodeNumber inode, InodeNumber parent,
                            std::string_view name);
    Result<std::string> read_link(InodeNumber inode);

    // Entries behind cookie `after` (0 = from the start), "." and ".." first (cookies 1, 2).
    // visit returns false to stop. With `attributes` set, each entry's are given as well and
    // each entry but "." and ".." is looked up (adds a reference) if visit returned true; those
    // of an inode that is damaged are null.
    using EntryVisitor = std::function<bool(const ListedEntry &, const Attributes *)>;
    Result<void> list(InodeNumber directory, std::uint64_t after, bool attributes,
                      const EntryVisitor &visit);

    // --- attributes ---
    Result<Attributes> attributes(InodeNumber inode);
    Result<Attributes> set_attributes(const Caller &caller, InodeNumber inode,
                                      const AttributeChange &change, Handle handle = 0);
    Result<inode::Bytes> get_xattr(const Caller &caller, InodeNumber inode, std::string_view name);
    Result<void> set_xattr(const Caller &caller, InodeNumber inode, std::string_view name,
                           std::span<const std::byte> value, inode::XattrMode mode);
    Result<void> remove_xattr(const Caller &caller, InodeNumber inode, std::string_view name);
    Result<std::vector<std::string>> list_xattrs(InodeNumber inode);
    // chattr flags (format::inode_flag_*) and the alignment hint. The VFS checked the caller.
    Result<void> set_flags(const Caller &caller, InodeNumber inode, std::uint32_t flags,
                           std::optional<std::uint64_t> align_hint);
    // To be called before a change of content by write(), fallocate() or copy_range(): file
    // capabilities go, and setuid and setgid unless keeps_set_id(), which is asked only if there
    // are any, says that the caller has CAP_FSETID. If `write` would be refused they stay; then
    // its error is returned.
    Result<void> drop_privileges(const Caller &caller, InodeNumber inode,
                                 const std::function<bool()> &keeps_set_id,
                                 const std::optional<PlannedWrite> &write = std::nullopt);
    Result<Statistics> statistics();

    // --- files ---
    Result<OpenReply> open_file(const Caller &caller, InodeNumber inode,
                                const OpenRequest &request);
    void release(InodeNumber inode, Handle handle); // ends its leases
    Result<void> open_directory(InodeNumber inode); // pins it in memory; atime
    void release_directory(InodeNumber inode);
    // `noatime`: what O_NOATIME is now, not when the file was opened.
    Result<ReadReply> read(InodeNumber inode, Handle handle, std::uint64_t offset,
                           std::uint64_t length, bool noatime = false);
    // Durable when it returns. Returns the bytes written. Who reads the file through the kernel's
    // page cache, which a direct write passes by, is told to forget what is there.
    Result<std::uint64_t> write(InodeNumber inode, Handle handle, std::uint64_t offset,
                                std::span<const std::byte> data,
                                WriteMode mode = WriteMode::handle);
    // The kernel leaves pages in its cache that a direct write has passed by (before Linux 6.6).
    void note_stale_pages();
    Result<void> fallocate(InodeNumber inode, Handle handle, FallocateMode mode,
                           std::uint64_t offset, std::uint64_t length);
    Result<std::uint64_t> seek(InodeNumber inode, std::uint64_t offset, bool hole);
    // Whether the kernel may have dirty pages of the file: somebody who may write to it has it open
    // through the page cache, perhaps in a mapping.
    Result<bool> may_be_dirty(InodeNumber inode);
    Result<std::uint64_t> copy_range(InodeNumber from, Handle from_handle,
                                     std::uint64_t from_offset, InodeNumber to, Handle to_handle,
                                     std::uint64_t to_offset, std::uint64_t length);

    // --- pins and leases (docs/pinning.md) ---
    Result<void> pin(const Caller &caller, InodeNumber inode, const PinRequest &request);
    Result<void> unpin(const Caller &caller, InodeNumber inode, immutable::ByteRange range,
                       Handle handle);
    Result<void> extend(const Caller &caller, InodeNumber inode, std::uint64_t new_size,
                        Handle handle);
    Result<PinStatus> pin_status(InodeNumber inode);
    struct LeaseReply {
        immutable::LeaseId id;
        std::uint64_t generation;
    };
    Result<LeaseReply> lease(const Caller &caller, InodeNumber inode, immutable::ByteRange range,
                             bool write, bool prepare, Handle handle);
    Result<void> release_lease(InodeNumber inode, Handle handle, immutable::LeaseId id);
    // Whether a lease of the open file is one for writing. ERRORS: invalid: there is none.
    Result<bool> is_write_lease(InodeNumber inode, Handle handle, immutable::LeaseId id);
    // Asks all leases of the file back; the caller must be its owner or have CAP_FOWNER. Holders
    // are not told here; see asked_back(). ERRORS: not_permitted, is_directory, invalid.
    Result<void> ask_leases_back(const Caller &caller, InodeNumber inode);
    bool asked_back(InodeNumber inode); // and some such lease lives
    // Extents of the leased file from byte `from` on, at most `limit`; generation 0 = any.
    struct ExtentsReply {
        std::vector<ExtentInfo> extents;
        std::uint64_t next; // ~0 at the end
        std::uint64_t generation;
    };
    Result<ExtentsReply> extents(InodeNumber inode, Handle handle, std::uint64_t from,
                                 std::uint64_t generation, std::size_t limit);
    // The first `limit` of them without a lease, for people to look at (user.daxpin.extents).
    // ERRORS: unsupported (dax=off).
    Result<std::vector<ExtentInfo>> show_extents(InodeNumber inode,
                                                 std::size_t limit = ~std::size_t{0});
    Result<void> sync_range(InodeNumber inode, immutable::ByteRange range);

  private:
    explicit Volume(std::unique_ptr<Engine> engine);
    std::unique_ptr<Engine> engine_;
};

} // namespace daxpin::volume
