#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the options of a mount promise: read-only, and when the time of the last access moves."""

import collections
import concurrent.futures
import errno
import fcntl
import os
import re
import socket
import stat
import sys
import time

from harness import (MIB, case, expect, expect_equal, expect_errno, expect_same, mount_line,
                     program, require_root, run, run_command, snapshot)
from refusals import digest
from syscalls import RENAME_EXCHANGE, rename2

SMALL = {"size": 64 * MIB}
HOUR_NS = 3600 * 10**9


def fill(root):
    (root / "folder").mkdir()
    (root / "folder/file").write_bytes(b"content" * 1000)
    (root / "folder/other").write_bytes(b"other")
    (root / "folder/empty").mkdir()
    os.symlink("file", root / "folder/link")
    os.mkfifo(root / "folder/fifo")
    os.setxattr(root / "folder/file", "user.kept", b"value")


def changes(folder):
    """What would change a volume, each by itself."""
    file, new = folder / "file", folder / "new"
    return {
        "open for writing": lambda: os.open(file, os.O_WRONLY),
        "open and truncate": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "create": lambda: os.open(new, os.O_CREAT | os.O_RDONLY),
        "truncate": lambda: os.truncate(file, 0),
        "mkdir": lambda: os.mkdir(new),
        "mkfifo": lambda: os.mkfifo(new),
        "mknod": lambda: os.mknod(new, stat.S_IFREG | 0o644),
        "bind a socket": lambda: socket.socket(socket.AF_UNIX).bind(str(new)),
        "symlink": lambda: os.symlink("target", new),
        "link": lambda: os.link(file, new),
        "rename": lambda: os.rename(file, new),
        "exchange": lambda: rename2(file, folder / "other", RENAME_EXCHANGE),
        "unlink": lambda: os.unlink(file),
        "rmdir": lambda: os.rmdir(folder / "empty"),
        "chmod": lambda: os.chmod(file, 0o600),
        "chown": lambda: os.chown(file, os.geteuid(), os.getegid()),
        "utimensat": lambda: os.utime(file),
        "setxattr": lambda: os.setxattr(file, "user.new", b"1"),
        "removexattr": lambda: os.removexattr(file, "user.kept"),
        "pin": lambda: os.setxattr(file, "user.daxpin.pin", b"1"),
    }


@case("-o ro: every change is EROFS, everything can be read, and no byte of the device changes",
      **SMALL)
def read_only(volume):
    fill(volume.mountpoint)
    before = snapshot(volume.mountpoint)
    volume.unmount()
    media = [digest(device) for device in volume.devices]
    volume.mount("ro")
    for name, change in changes(volume.path("folder")).items():
        try:
            with expect_errno(errno.EROFS):
                change()
        except AssertionError as failure:
            raise AssertionError(f"{name}: {failure}") from failure
    expect_same(before, snapshot(volume.mountpoint))
    volume.unmount()
    expect_equal([digest(device) for device in volume.devices], media, "the devices' digests")


@case("-o ro after SIGKILL: everything is there, and nothing can be changed", **SMALL)
def read_only_after_a_crash(volume):
    fill(volume.mountpoint)
    before = snapshot(volume.mountpoint)
    volume.kill()
    volume.mount("ro")
    expect_same(before, snapshot(volume.mountpoint))
    with expect_errno(errno.EROFS):
        os.unlink(volume.path("folder/file"))


def read_at(path, atime_ns, mtime_ns):
    """The file's atime after one read, given its times before."""
    os.utime(path, ns=(atime_ns, mtime_ns))
    with open(path, "rb") as file:
        file.read()
    return os.stat(path).st_atime_ns


@case("relatime, the default: a read moves atime only if the file changed since", **SMALL)
def relatime(volume):
    path = volume.path("file")
    path.write_bytes(b"content")
    now = time.time_ns()
    ahead = now + HOUR_NS  # later than ctime, which utime sets to now
    expect_equal(read_at(path, ahead, now), ahead, "an atime later than mtime and ctime")
    expect(read_at(path, ahead, ahead + 1) < ahead, "an atime before mtime stayed")
    expect(read_at(path, now - HOUR_NS, now - 2 * HOUR_NS) >= now, "an atime before ctime stayed")


@case("relatime: a directory whose names changed is read by listing it, not by opening it", **SMALL)
def relatime_of_directories(volume):
    path = volume.path("folder")
    path.mkdir()
    (path / "file").touch()
    made = path.stat()
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(opened)
    os.close(opened)
    time.sleep(1.1)  # the kernel asks for a directory's attributes again after a second
    expect_equal(path.stat().st_atime_ns, made.st_atime_ns, "atime after fsync")
    expect_equal(os.listdir(path), ["file"], "names")
    listed = path.stat().st_atime_ns
    expect(listed > made.st_mtime_ns, "atime stayed after listdir")
    expect_equal(os.listdir(path), ["file"], "names")
    expect_equal(path.stat().st_atime_ns, listed, "atime after another listdir")


@case("noatime: no read moves atime", **SMALL)
def noatime(volume):
    volume.unmount()
    volume.mount("noatime")
    path = volume.path("file")
    path.write_bytes(b"content")
    now = time.time_ns()
    expect_equal(read_at(path, now - HOUR_NS, now), now - HOUR_NS, "atime")


@case("strictatime: every read moves atime", **SMALL)
def strictatime(volume):
    volume.unmount()
    volume.mount("strictatime")
    path = volume.path("file")
    path.write_bytes(b"content")
    ahead = time.time_ns() + HOUR_NS
    expect(read_at(path, ahead, ahead - 1) < ahead, "a fresh atime stayed")


@case("nodiratime: listing a directory moves no atime, reading a file does", **SMALL)
def nodiratime(volume):
    for options, moves in (("nodiratime", False), ("nodiratime,strictatime", False),
                           ("nodiratime,diratime", True)):
        volume.unmount()
        volume.mount(options)
        folder, path = volume.path("folder"), volume.path("folder/file")
        folder.mkdir(exist_ok=True)
        path.write_bytes(b"content")
        long_ago = time.time_ns() - 2 * HOUR_NS
        os.utime(folder, ns=(long_ago, long_ago))
        expect_equal(os.listdir(folder), ["file"], "names")
        expect_equal(folder.stat().st_atime_ns > long_ago, moves, f"{options}: a new atime")
        expect(read_at(path, long_ago, long_ago) > long_ago, f"{options}: the file's atime stayed")


@case("O_NOATIME: neither open nor read moves atime, and fcntl can set and clear it", **SMALL)
def noatime_of_a_descriptor(volume):
    path = volume.path("file")
    path.write_bytes(b"content")
    long_ago = time.time_ns() - 2 * HOUR_NS

    def moved(fd):
        os.utime(path, ns=(long_ago, long_ago))
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # so that the daemon is asked
        os.pread(fd, 4, 0)
        return os.stat(path).st_atime_ns > long_ago

    os.utime(path, ns=(long_ago, long_ago))
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        expect_equal(os.stat(path).st_atime_ns, long_ago, "atime after open")
        expect(not moved(fd), "a read with O_NOATIME moved atime")
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NOATIME)
        expect(moved(fd), "a read without O_NOATIME did not move atime")
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NOATIME)
        expect(not moved(fd), "a read with O_NOATIME, set anew, moved atime")
    finally:
        os.close(fd)


@case("debug: every request is in the log; without it none is", **SMALL)
def debug(volume):
    volume.path("before").mkdir()
    expect("MKDIR" not in volume.read_log(), "a request was logged unasked")
    volume.unmount()
    volume.mount("debug")
    volume.path("after").mkdir()
    expect("opcode: MKDIR" in volume.read_log(), volume.read_log())


def requests(volume, action):
    """How often each opcode was sent while action() ran, by the log of -o debug."""
    begin = volume.log.stat().st_size
    action()
    with open(volume.log, encoding="utf-8", errors="replace") as log:
        log.seek(begin)
        return collections.Counter(re.findall(r"opcode: (\w+) ", log.read()))


@case("what costs nothing sends nothing: fsync, close, stat of a name and of one that is missing",
      **SMALL)
def free_calls(volume):
    volume.unmount()
    volume.mount("debug")
    path, missing = volume.path("file"), volume.path("missing")
    path.write_bytes(b"content")

    def use(times):
        fd = os.open(path, os.O_RDWR)
        for _ in range(times):
            os.fsync(fd)
            os.stat(path)
            expect(not missing.exists(), "a missing name is there")
        os.close(os.dup(fd))
        os.close(fd)

    first = requests(volume, lambda: use(1))
    expect(first["OPEN"] == first["FSYNC"] == 1 and first["FLUSH"] <= 1,
           f"the kernel is told once: {first}")
    again = requests(volume, lambda: use(50))
    expect_equal(again.pop("OPEN"), 1, "opens")
    again.pop("RELEASE", None)
    expect_equal(dict(again), {}, "other requests")


def remount(volume, words, status):
    return run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, "-o",
                       "remount" + words, status=status)


@case("remount: without ro or rw, or with another flag than the mount has, it is refused", **SMALL)
def remount_of_flags(volume):
    require_root("to remount")
    said = remount(volume, "", 32)
    expect("ro or rw" in said, said)
    for words in (",ro,noexec", ",ro,suid", ",ro,dev", ",ro,noatime", ",ro,atime=noatime"):
        said = remount(volume, words, 32)
        expect(words.split(",")[-1].split("=")[0] in said, said)
        volume.path("file").write_bytes(b"still writable")
    shown = mount_line(volume.mountpoint).split()[5]
    remount(volume, f",{shown},exec,ro", 0)
    with expect_errno(errno.EROFS):
        volume.path("file").write_bytes(b"2")
    remount(volume, ",rw,nosuid,nodev,relatime,frobnicate,sloppy", 0)
    volume.path("file").write_bytes(b"3")
    volume.unmount()
    volume.mount("noexec,noatime,suid")
    remount(volume, ",rw,exec,noexec,noatime,suid,nodev", 0)
    for words in (",rw,exec", ",rw,relatime", ",rw,nosuid"):
        remount(volume, words, 32)


@case("spin_us: who stays awake answers what comes, from many at once too, and ends with the mount",
      **SMALL)
def stay_awake(volume):
    volume.unmount()
    volume.mount("spin_us=1000")

    def work(number):
        for i in range(50):
            path = volume.path(f"{number}-{i}")
            path.write_bytes(b"%d" % i * 100)
            expect_equal(path.read_bytes(), b"%d" % i * 100, path)
            path.rename(volume.path(f"{number}-renamed"))

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    expect_equal(len(os.listdir(volume.mountpoint)), 8, "files")
    volume.unmount()
    volume.mount()
    expect_equal(volume.path("7-renamed").read_bytes(), b"49" * 100, "content")


if __name__ == "__main__":
    sys.exit(run())
