# SPDX-License-Identifier: BSD-3-Clause
"""What one client of scripts/stress-kill has made: its names, and what stands behind them.

An operation is a list of words, [name of the operation, path, ...], the same in the log of a client
and for apply(). A view is what can be compared: path -> what a look at it shows.
"""

import copy
import hashlib
import os
import stat

PATHS = [f"{folder}{name}" for folder in ("", "d/", "e/") for name in ("a", "b", "c", "f", "g")]
SIZE_MAX = 40000


def content(version, length):
    """Bytes of which no two versions share a word."""
    word = hashlib.blake2b(str(version).encode(), digest_size=8).digest()
    return b"".join((int.from_bytes(word, "little") + i & (1 << 64) - 1 | 1).to_bytes(8, "little")
                    for i in range(length // 8 + 1))[:length]


class File:
    def __init__(self, target=None):
        self.data = b""
        self.xattrs = {}
        self.pinned = False
        self.target = target  # of a symbolic link


class Model:
    """The directories d and e are there; files of all kinds come and go."""

    def __init__(self):
        self.names = {}

    def after(self, operation):
        later = copy.deepcopy(self)
        later.apply(operation)
        return later

    def apply(self, operation):
        getattr(self, operation[0])(*operation[1:])

    def create(self, path):
        self.names[path] = File()

    def symlink(self, path, target):
        self.names[path] = File(target)

    def write(self, path, offset, length, version):
        file = self.names[path]
        data = file.data.ljust(offset, b"\0")
        file.data = data[:offset] + content(version, length) + data[offset + length:]

    def truncate(self, path, size):
        file = self.names[path]
        file.data = file.data[:size].ljust(size, b"\0")

    def rename(self, path, to):
        if self.names[path] is self.names.get(to):
            return  # two names of one file: rename(2) does nothing
        self.names[to] = self.names.pop(path)

    def exchange(self, path, other):
        self.names[path], self.names[other] = self.names[other], self.names[path]

    def link(self, path, to):
        self.names[to] = self.names[path]

    def unlink(self, path):
        del self.names[path]

    def setxattr(self, path, name, length, version):
        self.names[path].xattrs[name] = content(version, length)

    def removexattr(self, path, name):
        del self.names[path].xattrs[name]

    def pin(self, path):
        self.names[path].pinned = True

    def unpin(self, path):
        self.names[path].pinned = False

    def same(self, path):
        return tuple(sorted(name for name, file in self.names.items() if file is self.names[path]))

    def view(self):
        return {path: {"target": file.target, "data": file.data, "xattrs": file.xattrs,
                       "pinned": file.pinned, "names": self.same(path)}
                for path, file in self.names.items()}

    # ---- what may come next ----

    def choose(self, rng, version):
        """An operation that must succeed."""
        while True:
            operation = self.propose(rng, version)
            if operation:
                return operation

    def propose(self, rng, version):
        path, other = rng.choice(PATHS), rng.choice(PATHS)
        file = self.names.get(path)
        if file is None:
            return ["symlink", path, f"to {version}"] if rng.random() < 0.1 else ["create", path]
        kind = rng.choice(("write", "write", "write", "truncate", "rename", "rename", "exchange",
                           "link", "unlink", "setxattr", "setxattr", "removexattr", "pin", "unpin"))
        victim = self.names.get(other)
        if file.target is not None and kind not in ("rename", "exchange", "unlink"):
            return None
        if file.pinned and kind in ("truncate", "link", "unlink", "pin", "rename", "exchange"):
            return None
        if kind == "write":
            return self.propose_write(rng, path, file, version)
        if kind == "truncate":
            return [kind, path, rng.randrange(SIZE_MAX)]
        if kind in ("rename", "exchange"):
            if path == other or (victim is None) == (kind == "exchange") or \
                    (victim and victim.pinned):
                return None
            return [kind, path, other]
        if kind == "link":
            return [kind, path, other] if victim is None else None
        if kind == "setxattr":
            return [kind, path, f"user.{rng.randrange(3)}", rng.choice((8, 300, 6000)), version]
        if kind == "removexattr":
            return [kind, path, rng.choice(sorted(file.xattrs))] if file.xattrs else None
        if kind == "pin":
            return [kind, path] if file.data and len(self.same(path)) == 1 else None
        if kind == "unpin":
            return [kind, path] if file.pinned else None
        return [kind, path]

    @staticmethod
    def propose_write(rng, path, file, version):
        end = len(file.data)
        if file.pinned:  # its size is frozen
            offset = rng.randrange(end)
            return ["write", path, offset, rng.randrange(1, end - offset + 1), version]
        offset = rng.choice((0, end, rng.randrange(SIZE_MAX // 2)))
        length = rng.choice((1, 8, 100, 4096, rng.randrange(1, SIZE_MAX // 2)))
        return ["write", path, offset, length, version] if offset + length <= SIZE_MAX else None


def look(folder):
    """The view of what is there."""
    inodes, found = {}, {}
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            relative = os.path.relpath(path, folder)
            info = os.lstat(path)
            inodes.setdefault(info.st_ino, []).append(relative)
            found[relative] = (path, info)
    return {relative: describe(path, info, inodes[info.st_ino])
            for relative, (path, info) in found.items()}


def describe(path, info, names):
    if info.st_nlink != len(names):
        raise AssertionError(f"{path}: {info.st_nlink} links, and the names {names}")
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False)
              for name in os.listxattr(path, follow_symlinks=False)}
    if stat.S_ISLNK(info.st_mode):
        return {"target": os.readlink(path), "data": b"", "xattrs": xattrs, "pinned": False,
                "names": tuple(sorted(names))}
    with open(path, "rb") as file:
        data = file.read()
    return {"target": None, "data": data, "xattrs": xattrs, "names": tuple(sorted(names)),
            "pinned": os.getxattr(path, "user.daxpin.pin") == b"1"}


def difference(found, wanted):
    """The first one in one line, or nothing."""
    for path in sorted(found.keys() | wanted.keys()):
        if path not in wanted:
            return f"{path} is there"
        if path not in found:
            return f"{path} is missing"
        for name, value in wanted[path].items():
            if found[path][name] != value:
                return f"{path}: {name}: {shown(found[path][name])}, not {shown(value)}"
    return None


def shown(value):
    if isinstance(value, bytes):
        return f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:8]}"
    return repr(value)[:200]


def is_mixture(found, before, after):
    """In place, each aligned word is the old one or the new one, if both are whole."""
    for at in range(0, len(found), 8):
        word = slice(at, at + 8)
        if found[word] not in (before[word], after[word]):
            if len(before[word]) == len(after[word]) == 8:
                return False
            if any(found[i:i + 1] not in (before[i:i + 1], after[i:i + 1])
                   for i in range(at, min(at + 8, len(found)))):
                return False
    return True


def between(found, path, before, after):
    """A write to the path that was under way in place, each word the old one or the new one: the
    model of what it left. None if that is not what is found."""
    if path not in found:
        return None
    data = found[path]["data"]
    old, new = before.names[path].data, after.names[path].data
    if len(data) not in (len(old), len(new)) or not is_mixture(data, old, new):
        return None
    mixed = copy.deepcopy(before)
    mixed.names[path].data = data
    return mixed if difference(found, mixed.view()) is None else None
