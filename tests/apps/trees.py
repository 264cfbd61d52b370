# SPDX-License-Identifier: BSD-3-Clause
"""Trees of files for the applications that keep files: always the same ones."""

import errno
import hashlib
import os
import random
import struct

from .framework import digest, expect_equal

MIB = 1 << 20

# version 2; owner rw-, user 1234 rwx, group r--, mask rwx, others ---: as the kernel keeps it.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, number) for tag, rights, number in
    ((1, 6, 0xffffffff), (2, 7, 1234), (4, 4, 0xffffffff), (0x10, 7, 0xffffffff),
     (0x20, 0, 0xffffffff)))


def make_files(folder, count):
    """Folders of files of up to 8 kB and a few of 4 MiB; path -> sha256 of what was written."""
    generator = random.Random(count)
    written = {}
    for number in range(count):
        path = folder / f"part{number % 37}" / f"unit{number % 11}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        large = number % 1000 == 999
        data = generator.randbytes(2 * MIB if large else generator.randrange(4000)).hex().encode()
        path.write_bytes(data)
        written[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return written


def expect_content(folder, written, what):
    """The files of make_files() below folder are there and hold what was written."""
    for name, sha256 in written.items():
        expect_equal(digest(folder / name), sha256, f"{what}: content of {name}")


def make_special(folder):
    """Links, modes, owners, attributes, holes, odd names. Returns what the filesystem lacks."""
    lacks = []
    (folder / "folder").mkdir()
    for number, mode in enumerate((0o400, 0o755, 0o4711, 0o2750)):
        path = folder / f"mode{number}"
        path.write_bytes(bytes([number]) * number * 5000)
        if os.geteuid() == 0:
            os.chown(path, 1000 + number, 2000 + number)
        path.chmod(mode)
    os.link(folder / "mode1", folder / "folder" / "hard link")
    os.link(folder / "mode1", folder / "second hard link")
    os.symlink("folder/hard link", folder / "symbolic")
    os.symlink("nowhere/" + "x" * 200, folder / "dangling")
    os.mkfifo(folder / "fifo")
    (folder / "empty").touch()
    (folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"odd name")
    with open(folder / "sparse", "wb") as file:
        os.pwrite(file.fileno(), b"begin", 0)
        os.pwrite(file.fileno(), b"end", 32 * MIB)
    for name, path, value in (("user.colour", "mode1", b"blue"),
                              ("user.long", "folder", b"x" * 2000),
                              ("system.posix_acl_access", "mode3", ACL),
                              ("system.posix_acl_default", "folder", ACL)):
        try:
            os.setxattr(folder / path, name, value)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            lacks.append(name)
    return lacks


def set_old_times(folder):
    """Times in the past, a different one for each: what copies times must copy these."""
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        when = 10**18 + number * 1001001
        os.utime(path, ns=(when, when), follow_symlinks=False)


def hard_links(folder):
    """The sets of names, each of one file, that has more than one."""
    names = {}
    for path in folder.rglob("*"):
        info = path.lstat()
        if info.st_nlink > 1 and not path.is_dir():
            names.setdefault(info.st_ino, set()).add(str(path.relative_to(folder)))
    return sorted(map(sorted, names.values()))


def allocated(path):
    """Bytes on media; fewer than its size if the file has holes."""
    return path.stat().st_blocks * 512
