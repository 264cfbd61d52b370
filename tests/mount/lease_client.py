# SPDX-License-Identifier: BSD-3-Clause
"""A program that maps a file of ours the way docs/pinning.md asks of a client: a lease, the device
mapped at the file's extents, and a page of the file mapped beside it, so that the lease lives as
long as the mapping does in any process.

By itself: lease_client.py FILE DEVICE ... -- SIGNATURE [HABIT ...] stores its signature all over
the mapping and looks whether anybody else stores there, until its standard input ends; then it says
how often it looked. Habits: `fork` (the parent ends), `daemonize` (that, in a session of its own),
`close` (no descriptor of the file is kept), `write` (the lease is one for writing).
"""

import contextlib
import hashlib
import mmap
import os
import select
import sys
import time

import pinning

WORD = 32  # bytes that tell whose a piece of the mapping is


class Mapping:
    def __init__(self, path, devices, write=False):
        self.fd = pinning.open_direct(path, os.O_RDWR if write else os.O_RDONLY)
        self.lease, generation = pinning.lease(
            self.fd, pinning.LEASE_WRITE if write else pinning.LEASE_READ)
        self.extents = pinning.extents(self.fd, generation)
        self.anchor = mmap.mmap(self.fd, mmap.PAGESIZE, mmap.MAP_PRIVATE, 0)
        self.pieces = []
        for extent in self.extents:
            device = os.open(devices[extent.device], os.O_RDWR)
            self.pieces.append(mmap.mmap(device, extent.length, mmap.MAP_SHARED,
                                         mmap.PROT_READ | mmap.PROT_WRITE,
                                         offset=extent.device_offset))
            os.close(device)

    def close(self):
        for piece in self.pieces:
            piece.close()
        self.anchor.close()
        self.close_descriptor()

    def close_descriptor(self):
        os.close(self.fd)


def word(signature, number, turn):
    return hashlib.blake2b(f"{signature} {number} {turn}".encode(), digest_size=WORD).digest()


class Mapper:
    """Knows every word that the mapping should hold."""

    def __init__(self, mapping, signature):
        self.mapping = mapping
        self.signature = signature
        self.turn = 0
        self.looks = 0
        self.held = [bytes(piece[:]) for piece in mapping.pieces]

    def look(self):
        """The first place where somebody else stored, or None."""
        self.looks += 1
        for number, piece in enumerate(self.mapping.pieces):
            if piece[:] != self.held[number]:
                found = piece[:]
                at = next(i for i, byte in enumerate(found) if byte != self.held[number][i])
                start = at // WORD * WORD
                return (f"piece {number}, byte {at}: {found[start:start + WORD]!r}, stored "
                        f"{self.held[number][start:start + WORD]!r}")
        return None

    def store(self):
        self.turn += 1
        for number, piece in enumerate(self.mapping.pieces):
            content = word(self.signature, number, self.turn) * (len(piece) // WORD)
            piece[:] = content
            self.held[number] = content


def serve(mapper):
    """Until nobody holds the other end of standard input any more."""
    while True:
        mapper.store()
        time.sleep(0.01)
        wrong = mapper.look()
        if wrong:
            return f"changed by somebody else: {wrong}"
        if select.select([0], [], [], 0)[0] and not os.read(0, 4096):
            return None


def leave_parent(habits):
    if "fork" in habits or "daemonize" in habits:
        if os.fork() != 0:
            os._exit(0)  # standard output stays open in the child
    if "daemonize" in habits:
        os.setsid()
        os.chdir("/")
        if os.fork() != 0:
            os._exit(0)


def main():
    path, *rest = sys.argv[1:]
    end = rest.index("--")
    devices, (signature, *habits) = rest[:end], rest[end + 1:]
    mapping = Mapping(path, devices, "write" in habits)
    if "close" in habits:
        mapping.close_descriptor()
    mapper = Mapper(mapping, signature)
    mapper.store()
    leave_parent(habits)
    print(f"mapped {sum(map(len, mapping.pieces))}", flush=True)
    wrong = serve(mapper)
    print(wrong or f"looked {mapper.looks}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
