// SPDX-License-Identifier: BSD-3-Clause
//
// Operation: one call on the volume, as data, so that the same workload runs on the volume and on
// the oracle and can be printed.
//
// Paths are relative to the root ("A/foo"); "@x" names the file that is open in slot x, "@x/foo"
// an entry of the directory that is.
#pragma once

#include "volume/types.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace daxpin::crash {

enum class Op {
    create,
    mkdir,
    mknod,
    symlink,
    link,
    unlink,
    rmdir,
    rename,
    write,
    append,
    truncate,
    open_truncate,
    fallocate,
    copy,
    chmod,
    chown,
    utimens,
    set_xattr,
    remove_xattr,
    set_list,
    set_flags,
    open,
    close,
    open_unnamed,
    pin,
    unpin,
    extend,
    lease,
    release,
    mapped_write,
    read,
    spoil,
    checkpoint,
    background,
    prezero,
    prove_absence,
    remount,
    kill,
    reboot
};
const char *to_string(Op op) noexcept;

struct Operation {
    Op op{};
    std::string path;
    std::string other = {};   // second path, symlink target, xattr name, slot
    std::uint64_t offset = 0; // also: uid, atime
    std::uint64_t length = 0; // also: gid, mtime, new size
    std::uint64_t value = 0;  // mode, flags, modes of rename, fallocate and xattr; list; align
    std::uint64_t other_offset = 0; // copy: offset in `other`; set_flags: alignment hint
    std::uint64_t version = 0;      // of the bytes written; given by the workload's position
    bool prepare = false;
    std::uint64_t forgery = 0;         // write, set_xattr: a kind of forgery.h
    std::vector<std::byte> bytes = {}; // what these write, if not the bytes of `version`
    bool operator==(const Operation &) const = default;
};

std::string describe(const Operation &operation);

// The bytes that version `version` of a file has at `offset`: no two versions share a word, none
// is zero.
void fill_version(std::uint64_t version, std::uint64_t offset, std::span<std::byte> out);
std::vector<std::byte> content(std::uint64_t version, std::uint64_t offset, std::uint64_t length);
// What a write at `offset` of the operation's bytes writes there; set_xattr: the value.
std::vector<std::byte> written_bytes(const Operation &operation, std::uint64_t offset,
                                     std::uint64_t length);

// ---- the words that workloads are written in ----
inline Operation create(std::string path, std::uint64_t mode = 0100644) {
    return {.op = Op::create, .path = std::move(path), .value = mode};
}
inline Operation mkdir(std::string path) {
    return {.op = Op::mkdir, .path = std::move(path), .value = 040755};
}
inline Operation mknod(std::string path, std::uint64_t mode, std::uint64_t rdev = 0) {
    return {.op = Op::mknod, .path = std::move(path), .offset = rdev, .value = mode};
}
inline Operation symlink(std::string target, std::string path) {
    return {.op = Op::symlink, .path = std::move(path), .other = std::move(target)};
}
inline Operation link(std::string path, std::string other) {
    return {.op = Op::link, .path = std::move(path), .other = std::move(other)};
}
inline Operation unlink(std::string path) {
    return {.op = Op::unlink, .path = std::move(path)};
}
inline Operation rmdir(std::string path) {
    return {.op = Op::rmdir, .path = std::move(path)};
}
inline Operation rename(std::string path, std::string other,
                        volume::RenameMode mode = volume::RenameMode::plain) {
    return {.op = Op::rename,
            .path = std::move(path),
            .other = std::move(other),
            .value = static_cast<std::uint64_t>(mode)};
}
inline Operation write(std::string path, std::uint64_t offset, std::uint64_t length) {
    return {.op = Op::write, .path = std::move(path), .offset = offset, .length = length};
}
inline Operation append(std::string path, std::uint64_t length) {
    return {.op = Op::append, .path = std::move(path), .length = length};
}
inline Operation truncate(std::string path, std::uint64_t size) {
    return {.op = Op::truncate, .path = std::move(path), .length = size};
}
inline Operation open_truncate(std::string path) {
    return {.op = Op::open_truncate, .path = std::move(path)};
}
inline Operation fallocate(std::string path, volume::FallocateMode mode, std::uint64_t offset,
                           std::uint64_t length) {
    return {.op = Op::fallocate,
            .path = std::move(path),
            .offset = offset,
            .length = length,
            .value = static_cast<std::uint64_t>(mode)};
}
inline Operation copy(std::string path, std::uint64_t offset, std::string other,
                      std::uint64_t other_offset, std::uint64_t length) {
    return {.op = Op::copy,
            .path = std::move(path),
            .other = std::move(other),
            .offset = offset,
            .length = length,
            .other_offset = other_offset};
}
inline Operation chmod(std::string path, std::uint64_t mode) {
    return {.op = Op::chmod, .path = std::move(path), .value = mode};
}
inline Operation chown(std::string path, std::uint64_t uid, std::uint64_t gid) {
    return {.op = Op::chown, .path = std::move(path), .offset = uid, .length = gid};
}
inline Operation utimens(std::string path, std::uint64_t atime_ns, std::uint64_t mtime_ns) {
    return {.op = Op::utimens, .path = std::move(path), .offset = atime_ns, .length = mtime_ns};
}
inline Operation set_xattr(std::string path, std::string name, std::uint64_t length,
                           inode::XattrMode mode = inode::XattrMode::any) {
    return {.op = Op::set_xattr,
            .path = std::move(path),
            .other = std::move(name),
            .length = length,
            .value = static_cast<std::uint64_t>(mode)};
}
inline Operation remove_xattr(std::string path, std::string name) {
    return {.op = Op::remove_xattr, .path = std::move(path), .other = std::move(name)};
}
// Writes bytes that look like journal records; see forgery.h.
template <typename Forgery> Operation forged(Forgery forgery, Operation operation) {
    operation.forgery = static_cast<std::uint64_t>(forgery);
    return operation;
}
// digits: see AccessList.
inline Operation set_list(std::string path, std::string name, std::uint64_t digits) {
    return {.op = Op::set_list, .path = std::move(path), .other = std::move(name), .value = digits};
}
inline Operation set_flags(std::string path, std::uint64_t flags, std::uint64_t align_hint = 0) {
    return {
        .op = Op::set_flags, .path = std::move(path), .value = flags, .other_offset = align_hint};
}
inline Operation open(std::string path, std::string slot) {
    return {.op = Op::open, .path = std::move(path), .other = std::move(slot)};
}
inline Operation close(std::string slot) {
    return {.op = Op::close, .path = {}, .other = std::move(slot)};
}
inline Operation open_unnamed(std::string directory, std::string slot) {
    return {.op = Op::open_unnamed,
            .path = std::move(directory),
            .other = std::move(slot),
            .value = 0100600};
}
inline Operation pin(std::string path, std::uint64_t offset, std::uint64_t length, bool prepare,
                     std::uint64_t align = 0) {
    return {.op = Op::pin,
            .path = std::move(path),
            .offset = offset,
            .length = length,
            .value = align,
            .prepare = prepare};
}
inline Operation unpin(std::string path, std::uint64_t offset, std::uint64_t length) {
    return {.op = Op::unpin, .path = std::move(path), .offset = offset, .length = length};
}
inline Operation extend(std::string path, std::uint64_t size) {
    return {.op = Op::extend, .path = std::move(path), .length = size};
}
inline Operation lease(std::string slot, bool write) {
    return {.op = Op::lease, .path = "@" + slot, .value = write};
}
// Ends the lease that the descriptor took last.
inline Operation release(std::string slot) {
    return {.op = Op::release, .path = "@" + slot};
}
// Stores through a mapping of the file, then DAXPIN_IOC_SYNC.
inline Operation mapped_write(std::string path, std::uint64_t offset, std::uint64_t length) {
    return {.op = Op::mapped_write, .path = std::move(path), .offset = offset, .length = length};
}
// Reads the whole file as programs do; the volume notes what cannot be read.
inline Operation read(std::string path) {
    return {.op = Op::read, .path = std::move(path)};
}
// A media error comes up in the block with byte `offset` of the file, which nobody has noticed.
inline Operation spoil(std::string path, std::uint64_t offset) {
    return {.op = Op::spoil, .path = std::move(path), .offset = offset};
}
inline Operation checkpoint() {
    return {.op = Op::checkpoint, .path = {}};
}
inline Operation background() {
    return {.op = Op::background, .path = {}};
}
// Free space is zeroed, all of it.
inline Operation prezero() {
    return {.op = Op::prezero, .path = {}};
}
// The programs that mapped what was leased from killed daemons are gone, and the daemon has seen
// it.
inline Operation prove_absence() {
    return {.op = Op::prove_absence, .path = {}};
}
inline Operation remount() {
    return {.op = Op::remount, .path = {}};
}
// The daemon is killed, with everything open, and another one mounts: in the same boot, or in the
// next.
inline Operation kill() {
    return {.op = Op::kill, .path = {}};
}
inline Operation reboot() {
    return {.op = Op::reboot, .path = {}};
}

} // namespace daxpin::crash
