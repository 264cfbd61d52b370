#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every operation of the filesystem once, through the mount, with its errors."""

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import stat
import sys

from harness import (MIB, Skip, case, expect, expect_equal, expect_errno, require_root, run,
                     wait_until)
from syscalls import (COLLAPSE_RANGE, KEEP_SIZE, RENAME_EXCHANGE, RENAME_NOREPLACE, ZERO_RANGE,
                      as_user, fallocate, punch, rename2)

EDGES = (0, 1, 7, 8, 63, 64, 4095, 4096, 4097, 8191, 8192)


@case("write: what is written is read, in place and appended")
def write_and_read(_, folder):
    path = folder / "file"
    path.write_bytes(b"hello")
    with open(path, "ab") as file:
        file.write(b", world")
    expect_equal(path.read_bytes(), b"hello, world")
    with open(path, "r+b") as file:
        file.write(b"J")
    expect_equal(path.read_bytes(), b"Jello, world")


@case("write: every offset and length around words, lines and blocks is byte-exact")
def unaligned_writes(_, folder):
    model = bytearray(os.urandom(3 * 8192))
    path = folder / "file"
    path.write_bytes(model)
    fd = os.open(path, os.O_RDWR)
    for offset in EDGES:
        for length in EDGES[1:]:
            data = os.urandom(length)
            os.pwrite(fd, data, offset)
            model[offset:offset + length] = data
    os.close(fd)
    expect(path.read_bytes() == bytes(model), "the file differs from its model")


@case("write: one call of many requests arrives whole")
def large_write(_, folder):
    data = os.urandom(9 * MIB + 123)
    (folder / "file").write_bytes(data)
    expect((folder / "file").read_bytes() == data, "9 MiB differ")
    fd = os.open(folder / "file", os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, MIB)
    os.preadv(fd, [buffer], 4 * MIB)
    os.close(fd)
    expect(buffer[:] == data[4 * MIB:5 * MIB], "a direct read differs")


@case("sparse files: holes read as zeros and cost no blocks")
def sparse(_, folder):
    path = folder / "file"
    with open(path, "wb") as file:
        os.pwrite(file.fileno(), b"end", 100 * MIB)
    expect_equal(path.stat().st_size, 100 * MIB + 3, "size")
    expect(path.stat().st_blocks * 512 < MIB, "a hole has blocks")
    with open(path, "rb") as file:
        expect_equal(os.pread(file.fileno(), 16, 50 * MIB), bytes(16))
        expect_equal(os.lseek(file.fileno(), 0, os.SEEK_DATA), 100 * MIB, "SEEK_DATA")
        expect_equal(os.lseek(file.fileno(), 0, os.SEEK_HOLE), 0, "SEEK_HOLE")
        with expect_errno(errno.ENXIO):
            os.lseek(file.fileno(), 200 * MIB, os.SEEK_DATA)


@case("truncate: a file that grows again shows zeros, not what it held")
def truncate_and_grow(_, folder):
    path = folder / "file"
    path.write_bytes(b"s" * 10000)
    os.truncate(path, 100)
    os.truncate(path, 10000)
    expect_equal(path.read_bytes(), b"s" * 100 + bytes(9900))
    with open(path, "wb"):
        pass
    expect_equal(path.stat().st_size, 0, "size after O_TRUNC")
    with expect_errno(errno.EISDIR):
        os.truncate(folder, 0)


@case("mkdir and rmdir: link counts follow, a full directory stays")
def directories(_, folder):
    os.makedirs(folder / "a/b/c")
    expect_equal((folder / "a").stat().st_nlink, 3, "links of a")
    with expect_errno(errno.ENOTEMPTY):
        os.rmdir(folder / "a/b")
    with expect_errno(errno.EEXIST):
        os.mkdir(folder / "a/b")
    with expect_errno(errno.ENOENT):
        os.rmdir(folder / "missing")
    os.rmdir(folder / "a/b/c")
    os.rmdir(folder / "a/b")
    expect_equal((folder / "a").stat().st_nlink, 2, "links of a")
    with expect_errno(errno.EISDIR):
        os.unlink(folder / "a")


@case("symlink: targets up to 4095 bytes come back as they are")
def symlinks(_, folder):
    for number, target in enumerate(("x", "../x y", "t" * 4095)):
        os.symlink(target, folder / f"l{number}")
        expect_equal(os.readlink(folder / f"l{number}"), target)
        expect_equal(os.lstat(folder / f"l{number}").st_size, len(target), "size")
    with expect_errno(errno.EEXIST):
        os.symlink("y", folder / "l0")


@case("link: names of one inode share data, and the last one frees it")
def hard_links(_, folder):
    (folder / "a").write_bytes(b"1")
    os.link(folder / "a", folder / "b")
    expect_equal((folder / "b").stat().st_nlink, 2, "links")
    expect_equal((folder / "a").stat().st_ino, (folder / "b").stat().st_ino, "inode")
    (folder / "b").write_bytes(b"22")
    expect_equal((folder / "a").read_bytes(), b"22")
    os.unlink(folder / "a")
    expect_equal((folder / "b").stat().st_nlink, 1, "links")
    with expect_errno(errno.EPERM):
        os.link(folder, folder / "dir")


@case("mknod: pipes, sockets and device numbers")
def special_files(_, folder):
    os.mkfifo(folder / "fifo", 0o640)
    expect(stat.S_ISFIFO((folder / "fifo").stat().st_mode), "not a pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)  # a socket's name is limited to 108 bytes
        listener.bind("socket")
        os.chdir("/")
    expect(stat.S_ISSOCK((folder / "socket").stat().st_mode), "not a socket")
    if os.geteuid() == 0:
        try:
            os.mknod(folder / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError as error:
            raise Skip("mknod of devices is forbidden here") from error
        expect_equal((folder / "null").stat().st_rdev, os.makedev(1, 3), "device number")


@case("rename: over files and directories, with every refusal of POSIX")
def renames(_, folder):
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    os.rename(folder / "a", folder / "b")
    expect_equal((folder / "b").read_bytes(), b"a")
    expect(not (folder / "a").exists(), "the old name is still there")
    os.makedirs(folder / "d1/sub")
    os.mkdir(folder / "d2")
    with expect_errno(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(folder / "d2", folder / "d1")
    with expect_errno(errno.EINVAL):
        os.rename(folder / "d1", folder / "d1/sub/x")
    with expect_errno(errno.EISDIR):
        os.rename(folder / "b", folder / "d2")
    with expect_errno(errno.ENOTDIR):
        os.rename(folder / "d2", folder / "b")
    os.rename(folder / "d1/sub", folder / "d2")
    expect_equal((folder / "d1").stat().st_nlink, 2, "links of the old parent")
    os.rename(folder / "b", folder / "d1/b")
    expect_equal((folder / "d1/b").read_bytes(), b"a")
    os.link(folder / "d1/b", folder / "same")
    os.rename(folder / "d1/b", folder / "same")
    expect((folder / "d1/b").exists(), "rename between two names of one inode must do nothing")


@case("rename: NOREPLACE refuses, EXCHANGE swaps files and directories")
def rename_flags(_, folder):
    (folder / "a").write_bytes(b"a")
    os.makedirs(folder / "d/inner")
    with expect_errno(errno.EEXIST):
        rename2(folder / "a", folder / "d", RENAME_NOREPLACE)
    rename2(folder / "a", folder / "fresh", RENAME_NOREPLACE)
    rename2(folder / "fresh", folder / "d", RENAME_EXCHANGE)
    expect_equal((folder / "d").read_bytes(), b"a")
    expect((folder / "fresh/inner").is_dir(), "the directory did not move")
    with expect_errno(errno.ENOENT):
        rename2(folder / "d", folder / "missing", RENAME_EXCHANGE)


@case("unlink: an open file lives on until it is closed")
def unlinked_open(_, folder):
    with open(folder / "file", "w+b") as file:
        file.write(b"still here")
        file.flush()
        os.unlink(folder / "file")
        expect_equal(os.listdir(folder), [], "names")
        expect_equal(os.fstat(file.fileno()).st_nlink, 0, "links")
        expect_equal(os.pread(file.fileno(), 20, 0), b"still here")
        os.pwrite(file.fileno(), b"x" * 100000, 0)


@case("readdir: thousands of names once each, also while names come and go")
def large_directory(_, folder):
    wanted = {f"name-{number:05d}" for number in range(3000)}
    for name in wanted:
        (folder / name).touch()
    expect_equal(set(os.listdir(folder)), wanted, "names")
    seen = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            seen.append(entry.name)
            if number % 3 == 0 and not entry.name.startswith("new"):
                os.unlink(folder / entry.name)
                (folder / f"new-{number}").touch()
    old = [name for name in seen if name.startswith("name")]
    expect_equal(sorted(old), sorted(wanted), "old names while listing")
    expect_equal(len(os.listdir(folder)), 3000, "names at the end")


@case("names: 255 bytes of anything but a slash; 256 are ENAMETOOLONG")
def names(_, folder):
    for name in (b"n" * 255, b"\xff\xfe not utf-8", b"new\nline", "ü".encode() * 127, b"-f", b" "):
        path = os.path.join(os.fsencode(folder), name)
        with open(path, "wb") as file:
            file.write(name)
        with open(path, "rb") as file:
            expect_equal(file.read(), name)
    for make in (os.mkdir, lambda path: open(path, "wb").close()):
        with expect_errno(errno.ENAMETOOLONG):
            make(os.path.join(os.fsencode(folder), b"n" * 256))


@case("attributes: mode, owner and times to the nanosecond, before 1970 too")
def attributes(_, folder):
    path = folder / "file"
    path.touch()
    os.chmod(path, 0o4751)
    expect_equal(stat.S_IMODE(path.stat().st_mode), 0o4751, "mode")
    for when in (0, 123456789987654321, -1234567890123456789):
        os.utime(path, ns=(when, when + 1))
        expect_equal((path.stat().st_atime_ns, path.stat().st_mtime_ns), (when, when + 1), "times")
    before = path.stat().st_ctime_ns
    os.chmod(path, 0o600)
    expect(path.stat().st_ctime_ns > before, "ctime did not move")
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
        expect_equal((path.stat().st_uid, path.stat().st_gid), (12345, 54321), "owner")


@case("permissions: the kernel checks rights, sticky and setgid directories")
def permissions(_, folder):
    require_root("several users")
    if "allow_other" not in mount_options(folder):
        raise Skip("mounted without allow_other")
    os.chmod(folder, 0o1777)
    (folder / "mine").write_bytes(b"secret")
    os.chmod(folder / "mine", 0o600)
    expect_equal(as_user(1000, lambda: (folder / "mine").read_bytes()), errno.EACCES, "errno")
    expect_equal(as_user(1000, lambda: os.unlink(folder / "mine")), errno.EPERM, "sticky")
    os.mkdir(folder / "g")
    os.chown(folder / "g", 0, 777)
    os.chmod(folder / "g", 0o2777)
    expect_equal(as_user(1000, lambda: (folder / "g/f").touch()), 0, "errno")
    os.mkdir(folder / "g/d")
    expect_equal((folder / "g/f").stat().st_gid, 777, "group of a file in a setgid directory")
    expect((folder / "g/d").stat().st_mode & stat.S_ISGID, "setgid was not inherited")


def mount_options(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return next(line for line in lines if str(path.parent) == line.split()[4])


@case("setuid: a write by another user takes it away")
def setuid_cleared(_, folder):
    require_root("several users")
    path = folder / "program"
    path.write_bytes(b"#!")
    os.chmod(path, 0o4777)
    os.chmod(folder, 0o777)

    def write():
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, b"x", 0)
        os.close(fd)
    expect_equal(as_user(1000, write), 0, "errno")
    expect_equal(stat.S_IMODE(path.stat().st_mode), 0o777, "mode")


@case("statfs: blocks are counted down and come back")
def statfs(volume, folder):
    before = os.statvfs(volume.mountpoint)
    expect_equal((before.f_bsize, before.f_namemax), (4096, 255), "block size, name length")
    expect(before.f_bavail <= before.f_bfree <= before.f_blocks, "counts are out of order")
    (folder / "file").write_bytes(bytes(16 * MIB))
    during = os.statvfs(volume.mountpoint)
    expect(before.f_bfree - during.f_bfree >= 4096, "16 MiB took fewer than 4096 blocks")
    (folder / "file").unlink()
    wait_until(lambda: os.statvfs(volume.mountpoint).f_bfree >= during.f_bfree + 4096,
               "the blocks to come back")


@case("xattrs: set, get, list, remove, with their flags and sizes")
def xattrs(_, folder):
    path = folder / "file"
    path.touch()
    os.setxattr(path, "user.a", b"1", os.XATTR_CREATE)
    with expect_errno(errno.EEXIST):
        os.setxattr(path, "user.a", b"2", os.XATTR_CREATE)
    with expect_errno(errno.ENODATA):
        os.setxattr(path, "user.b", b"2", os.XATTR_REPLACE)
    os.setxattr(path, "user.big", b"v" * 65536)
    os.setxattr(path, "user.empty", b"")
    expect_equal(sorted(os.listxattr(path)), ["user.a", "user.big", "user.empty"], "names")
    expect_equal(os.getxattr(path, "user.big"), b"v" * 65536, "64 KiB value")
    expect_equal(os.getxattr(path, "user.empty"), b"")
    os.removexattr(path, "user.a")
    with expect_errno(errno.ENODATA):
        os.getxattr(path, "user.a")
    if os.geteuid() == 0:
        os.setxattr(path, "trusted.t", b"t")
        expect_equal(os.getxattr(path, "trusted.t"), b"t")


@case("fallocate: allocate, keep size, punch and zero")
def allocate(_, folder):
    with open(folder / "file", "w+b") as file:
        fd = file.fileno()
        fallocate(fd, 0, 0, MIB)
        expect_equal(os.fstat(fd).st_size, MIB, "size")
        expect(os.fstat(fd).st_blocks * 512 >= MIB, "no blocks")
        expect_equal(os.pread(fd, 4096, 8192), bytes(4096), "allocated, unwritten")
        fallocate(fd, KEEP_SIZE, MIB, MIB)
        expect_equal(os.fstat(fd).st_size, MIB, "size kept")
        os.pwrite(fd, b"d" * 65536, 0)
        punch(fd, 1000, 20000)
        expect_equal(os.pread(fd, 65536, 0), b"d" * 1000 + bytes(20000) + b"d" * 44536, "punched")
        fallocate(fd, ZERO_RANGE, 30000, 10000)
        expect_equal(os.pread(fd, 10000, 30000), bytes(10000), "zeroed")
        expect_equal(os.lseek(fd, 0, os.SEEK_HOLE), 4096, "SEEK_HOLE")
        with expect_errno(errno.EOPNOTSUPP):
            fallocate(fd, COLLAPSE_RANGE, 0, 4096)


@case("copy_file_range: copies within and between files")
def copy_range(_, folder):
    data = os.urandom(300000)
    (folder / "a").write_bytes(data)
    with open(folder / "a", "rb") as source, open(folder / "b", "w+b") as target:
        done = 0
        while done < len(data):
            count = os.copy_file_range(source.fileno(), target.fileno(), len(data) - done, done, done)
            expect(count > 0, "no progress")
            done += count
    expect((folder / "b").read_bytes() == data, "the copy differs")


@case("mmap: a shared mapping of an ordinary file writes through the page cache")
def shared_mapping(_, folder):
    path = folder / "file"
    path.write_bytes(bytes(10000))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 10000) as memory:
        memory[5000:5005] = b"store"
        memory.flush()
    expect_equal(path.read_bytes()[5000:5005], b"store")


@case("append: two processes with O_APPEND lose nothing")
def two_appenders(_, folder):
    path = folder / "log"
    path.touch()
    children = []
    for letter in (b"a", b"b"):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                fd = os.open(path, os.O_WRONLY | os.O_APPEND)
                for _ in range(500):
                    os.write(fd, letter * 9 + b"\n")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    for child in children:
        expect_equal(os.waitpid(child, 0)[1], 0, "exit status")
    lines = path.read_bytes().split()
    expect_equal((lines.count(b"a" * 9), lines.count(b"b" * 9)), (500, 500), "lines")


@case("locks: flock and POSIX locks exclude")
def locks(_, folder):
    with open(folder / "file", "w") as first, open(folder / "file", "w") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        with expect_errno(errno.EAGAIN):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lock(start):
        """Of a process, so another one must ask for it."""
        with open(folder / "file", "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, start)
    with open(folder / "file", "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 100)
        expect(as_user(os.geteuid(), lambda: lock(105)) in (errno.EAGAIN, errno.EACCES),
               "a POSIX lock does not exclude")
        expect_equal(as_user(os.geteuid(), lambda: lock(110)), 0, "errno of the range beside it")
        fcntl.lockf(file, fcntl.LOCK_UN, 10, 100)
        expect_equal(as_user(os.geteuid(), lambda: lock(105)), 0, "errno after the unlock")


@case("sync: fsync, fdatasync, syncfs and directory fsync succeed")
def sync(_, folder):
    with open(folder / "file", "wb") as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    expect_equal(ctypes.CDLL(None).syncfs(fd), 0, "syncfs")
    os.close(fd)


@case("swapon: the kernel refuses a file of ours")
def swap_refused(_, folder):
    require_root("swapon")
    path = folder / "swap"
    path.write_bytes(bytes(4086) + b"SWAPSPACE2" + bytes(MIB))
    libc = ctypes.CDLL(None, use_errno=True)
    expect_equal(libc.swapon(os.fsencode(path), 0), -1, "swapon")
    if ctypes.get_errno() == errno.EPERM:
        raise Skip("swapon is forbidden here")
    expect(ctypes.get_errno() in (errno.EINVAL, errno.ENOSYS), os.strerror(ctypes.get_errno()))


@case("full volume: ENOSPC, everything readable, and deleting makes room again", size=64 * MIB)
def full_volume(volume):
    free = os.statvfs(volume.mountpoint).f_bavail
    written = 0
    with expect_errno(errno.ENOSPC):
        for number in range(1000):
            with open(volume.path(f"fill-{number}"), "wb", buffering=0) as file:
                for _ in range(16):
                    written += file.write(b"f" * 65536)
    expect(written > free * 4096 * 0.9, f"full after {written} of {free * 4096} bytes")
    with expect_errno(errno.ENOSPC):
        for number in range(20000):
            (volume.path(f"empty-{number}")).write_bytes(b"one block")
    expect_equal(volume.path("fill-0").read_bytes(), b"f" * MIB, "a full volume is readable")
    for name in os.listdir(volume.mountpoint):
        os.unlink(volume.path(name))
    volume.path("again").write_bytes(bytes(8 * MIB))
    expect_equal(os.listdir(volume.mountpoint), ["again"], "names")


if __name__ == "__main__":
    sys.exit(run())
