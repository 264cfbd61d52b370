# SPDX-License-Identifier: BSD-3-Clause
"""Volumes whose daemon meets media errors: poison.c, preloaded into it, spoils pages of its
devices."""

import contextlib
import json
import os
import socket
import sys

from harness import MIB, Volume, build_folder, expect, expect_equal, program, run_command, wait_until
from pinning import BLOCK


def preload():
    found = sorted(build_folder().glob("tests/mount/libpoison.so"))
    expect(found, "tests/mount/libpoison.so is not built")
    return str(found[0])


class Spoilt(Volume):
    """A mounted volume whose daemon takes orders to spoil pages."""

    def __init__(self, size=64 * MIB):
        super().__init__(size=size, separate="--separate" in sys.argv)
        self.socket = str(self.folder / "poison")

    def mount(self, *options):
        library = {"LD_PRELOAD": preload(), "DAXPIN_TEST_POISON": self.socket}
        return super().mount(*options, environment={**os.environ, **library})

    def place(self, path, offset):
        """Device and byte there of a byte of a file."""
        shown = json.loads(run_command(program("daxpin"), "extents", "--json", path))
        for extent in shown["extents"]:
            if extent["offset"] <= offset < extent["offset"] + extent["length"]:
                return extent["device"], extent["device_offset"] + offset - extent["offset"]
        raise AssertionError(f"{path}: a hole at {offset}")

    def spoil_device(self, device, offset):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
            connection.sendall(f"{self.devices[device]} {offset}\n".encode())
            expect_equal(connection.recv(16), b"ok\n", "order to spoil a page")

    def spoil(self, path, offset):
        device, at = self.place(path, offset)
        self.spoil_device(device, at)
        return device, at // BLOCK * BLOCK

    def bad(self):
        shown = run_command(program("daxpin"), "info", "--bad", "--json", self.mountpoint)
        return json.loads(shown)["bad_blocks"]

    def listed(self, count=1):
        """The list, once the daemon has made it persistent."""
        def settled():
            bad = self.bad()
            return len(bad) == count and all(entry["found_ns"] for entry in bad)
        wait_until(settled, f"{count} bad blocks on the list")
        return self.bad()


@contextlib.contextmanager
def spoilt(**options):
    with Spoilt(**options) as volume:
        volume.mount()
        yield volume
        if volume.is_mounted():
            volume.unmount()
        volume.fsck()
