# SPDX-License-Identifier: BSD-3-Clause
"""getdents64, as readdir uses it: every name once, also while the directory changes."""

import ctypes
import errno
import os
import stat
import struct
from collections import Counter

from .framework import libc
from .framework.apart import ALICE, ANOTHER
from .framework.at_rules import opened
from .framework.checks import changes, check, close_to_now, equal, fails
from .framework.files import ALL_KINDS, TYPES, make
from .framework.processes import meanwhile
from .framework.registry import case

MANY = 1500
BUFFER = 4096


class Reader:
    """Reads a directory some entries at a time."""

    def __init__(self, path=".", size=BUFFER):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.buffer = ctypes.create_string_buffer(size)

    def some(self):
        """The next entries: (name, inode, type, offset behind it)."""
        count = libc.call("getdents64", self.descriptor, self.buffer, len(self.buffer))
        entries, position = [], 0
        while position < count:
            inode, offset, length, kind = struct.unpack_from("QqHB", self.buffer.raw, position)
            name = self.buffer.raw[position + 19:position + length].split(b"\0")[0]
            entries.append((os.fsdecode(name), inode, kind, offset))
            position += length
        return entries

    def rest(self):
        entries = []
        while some := self.some():
            entries += some
        return entries

    def rewind(self, offset=0):
        os.lseek(self.descriptor, offset, os.SEEK_SET)


def fill(path=".", count=MANY, prefix="name"):
    names = [f"{path}/{prefix}{number:05}" for number in range(count)]
    for name in names:
        os.mknod(name, stat.S_IFREG | 0o600)
    return {os.path.basename(name) for name in names}


def names_of(entries):
    """The names, each of which must be there once."""
    counted = Counter(entry[0] for entry in entries)
    twice = [name for name, times in counted.items() if times > 1]
    check(not twice, f"{len(twice)} names more than once: {twice[:3]}")
    return set(counted) - {".", ".."}


@case("readdir/has-dot-and-dot-dot/directory")
def dots():
    os.mkdir("dir")
    entries = {name: inode for name, inode, _, _ in Reader("dir").rest()}
    equal(set(entries), {".", ".."}, "names")
    equal(entries["."], os.stat("dir").st_ino, "inode of .")


@case("readdir/dot-dot-is-the-parent{when}/directory",
      when=("", "-after-rename", "-listed-before-rename"))
def dot_dot(when):
    os.makedirs("from/dir")
    os.mkdir("to")
    parent = "from"
    if when == "-listed-before-rename":
        Reader("from/dir").rest()
    if when:
        os.rename("from/dir", "to/dir")
        parent = "to"
    entries = {name: inode for name, inode, _, _ in Reader(parent + "/dir").rest()}
    equal(entries[".."], os.stat(parent).st_ino, "inode of ..")


@case("readdir/shows-the-kind/{kind}", kind=ALL_KINDS)
def kinds(kind):
    make(kind, "file")
    entry = next(entry for entry in Reader().rest() if entry[0] == "file")
    check(entry[2] in (0, TYPES[kind] >> 12), f"type {entry[2]}, not {TYPES[kind] >> 12}")


@case("readdir/shows-the-inode/{kind}", kind=ALL_KINDS)
def inodes(kind):
    make(kind, "file")
    entry = next(entry for entry in Reader().rest() if entry[0] == "file")
    equal(entry[1], os.lstat("file").st_ino, "inode")


@case("readdir/many-names-once-each/regular")
def many():
    names = fill()
    equal(names_of(Reader().rest()), names, "names")


@case("readdir/small-buffers/regular")
def small():
    names = fill(count=200)
    equal(names_of(Reader(size=64).rest()), names, "names")


@case("readdir/longest-names/regular")
def longest():
    names = {letter * 255 for letter in "abcdefghijklmnopqrstuvwxyz"}
    for name in names:
        make("regular", name)
    equal(names_of(Reader(size=300).rest()), names, "names")


@case("readdir/any-bytes/regular")
def any_bytes():
    names = {os.fsdecode(bytes([number])) for number in range(1, 256)} - {".", "/"}
    for name in names:
        make("regular", name)
    equal(names_of(Reader().rest()), names, "names")


@case("readdir/same-again-after-rewind/regular")
def rewind():
    names = fill(count=300)
    reader = Reader(size=1024)
    reader.some()
    reader.rewind()
    first = reader.rest()
    reader.rewind()
    equal([entry[:3] for entry in reader.rest()], [entry[:3] for entry in first], "entries")
    equal(names_of(first), names, "names")


@case("readdir/goes-on-from-any-offset/regular")
def offsets():
    fill(count=300)
    reader = Reader()
    entries = reader.rest()
    for index in (0, 1, 2, 100, 150, 299, len(entries) - 1):
        reader.rewind(entries[index][3])
        equal([entry[0] for entry in reader.rest()], [entry[0] for entry in entries[index + 1:]],
              f"names behind entry {index}")


@case("readdir/old-offset-after-{change}/regular", change=("removals", "additions"))
def stale_offset(change):
    """telldir, then the directory changes, then seekdir: what stayed behind the place is there."""
    fill(count=300)
    reader = Reader()
    entries = reader.rest()
    behind = {entry[0] for entry in entries[151:]}
    if change == "removals":
        for entry in entries[100:200]:
            os.unlink(entry[0])
        behind -= {entry[0] for entry in entries[100:200]}
    else:
        fill(count=300, prefix="added")
    reader.rewind(entries[150][3])
    missing = behind - names_of(reader.rest())
    check(not missing, f"{len(missing)} names are missing: {sorted(missing)[:3]}")


@case("readdir/removing-while-reading/regular")
def removing():
    """rm -r: whatever is read is removed before one reads on; nothing may be left."""
    names = fill()
    reader, seen = Reader(), []
    while entries := reader.some():
        for entry in entries:
            if entry[0] not in (".", ".."):
                os.unlink(entry[0])
        seen += entries
    equal(names_of(seen), names, "names")
    equal(os.listdir("."), [], "what is left")


@case("readdir/removing-others-while-reading/regular")
def removing_others():
    names = fill()
    reader = Reader()
    seen = reader.some()
    gone = set(sorted(names)[::2]) - {entry[0] for entry in seen}
    for name in gone:
        os.unlink(name)
    seen += reader.rest()
    missing = names - gone - names_of(seen)
    check(not missing, f"{len(missing)} names are missing: {sorted(missing)[:3]}")


@case("readdir/adding-while-reading/regular")
def adding():
    names = fill()
    reader, seen, number = Reader(), [], 0
    while entries := reader.some():
        seen += entries
        if number < 300:
            fill(count=20, prefix=f"added{number}-")
        number += 20
    missing = names - names_of(seen)
    check(not missing, f"{len(missing)} names are missing: {sorted(missing)[:3]}")


@case("readdir/renaming-others-while-reading/regular")
def renaming():
    names = fill()
    reader = Reader()
    seen = reader.some()
    moved = set(sorted(names)[::3])
    for name in moved:
        os.rename(name, "moved" + name)
    seen += reader.rest()
    missing = names - moved - names_of(seen)
    check(not missing, f"{len(missing)} names are missing: {sorted(missing)[:3]}")


@case("readdir/another-process-changes-it/regular")
def another_process():
    names = fill()

    def come_and_go():
        for number in range(400):
            make("regular", f"passing{number}")
            os.unlink(f"passing{number}")
    for _ in meanwhile(come_and_go):
        missing = names - names_of(Reader().rest())
        check(not missing, f"{len(missing)} names are missing: {sorted(missing)[:3]}")


@case("readdir/rewind-shows-{what}/regular", what=("new", "removed", "renamed"))
def rewind_shows(what):
    make("regular", "file")
    reader = Reader()
    equal(names_of(reader.rest()), {"file"}, "names")
    {"new": lambda: make("regular", "second"), "removed": lambda: os.unlink("file"),
     "renamed": lambda: os.rename("file", "moved")}[what]()
    reader.rewind()
    expected = {"new": {"file", "second"}, "removed": set(), "renamed": {"moved"}}[what]
    equal(names_of(reader.rest()), expected, "names")


@case("readdir/seen-by-another-process-at-once/{kind}", kind=ALL_KINDS)
def at_once(kind):
    equal(os.listdir("."), [], "names before")
    make(kind, "file")
    equal(ANOTHER.does(os.listdir, "."), ["file"], "names another process sees")


@case("readdir/of-removed-is-empty/directory")
def removed():
    os.mkdir("dir")
    reader = Reader("dir")
    os.rmdir("dir")
    try:
        equal(names_of(reader.rest()), set(), "names")
    except OSError as error:
        equal(error.errno, errno.ENOENT, "errno")


@case("readdir/ENOTDIR/{kind}", kind=("regular", "fifo"))
def not_a_directory(kind):
    make(kind, "file")
    buffer = ctypes.create_string_buffer(BUFFER)
    with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        fails(errno.ENOTDIR, libc.call, "getdents64", descriptor, buffer, BUFFER)


@case("readdir/EISDIR-read/directory")
def read():
    with opened(".") as descriptor:
        fails(errno.EISDIR, os.read, descriptor, 10)
        fails(errno.EISDIR, os.pread, descriptor, 10, 0)


@case("readdir/EBADF/directory")
def bad_descriptor():
    buffer = ctypes.create_string_buffer(BUFFER)
    fails(errno.EBADF, libc.call, "getdents64", -1, buffer, BUFFER)
    with opened(".", os.O_PATH) as descriptor:
        fails(errno.EBADF, libc.call, "getdents64", descriptor, buffer, BUFFER)


@case("readdir/EINVAL-small-buffer/directory")
def tiny():
    make("regular", "n" * 200)
    buffer = ctypes.create_string_buffer(BUFFER)
    with opened(".") as descriptor:
        fails(errno.EINVAL, libc.call, "getdents64", descriptor, buffer, 8)


@case("readdir/EFAULT/directory")
def bad_buffer():
    with opened(".") as descriptor:
        fails(errno.EFAULT, libc.call, "getdents64", descriptor, libc.BAD_POINTER, BUFFER)


@case("readdir/open-descriptor-keeps-right/directory", root=True)
def keeps_right():
    os.mkdir("dir", 0o755)
    make("regular", "dir/file")

    def steps():
        reader = Reader("dir")
        return sorted(names_of(reader.rest()))
    equal(ALICE.does(steps), ["file"], "names")
    reader = Reader("dir")
    os.chmod("dir", 0)
    equal(ALICE.does(lambda: sorted(names_of(reader.rest()))), ["file"], "names")


@case("readdir/updates-atime/directory")
def atime():
    """Also under relatime: it is older than the last change."""
    os.mkdir("dir")
    make("regular", "dir/file")
    if os.statvfs("dir").f_flag & (os.ST_NOATIME | os.ST_NODIRATIME):
        return check(True, "mounted without times of reading")
    os.utime("dir", ns=(0, os.stat("dir").st_mtime_ns))
    with changes("dir", "atime"):
        Reader("dir").rest()
    return close_to_now(os.stat("dir").st_atime_ns, "atime")
