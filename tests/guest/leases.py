#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: one file under a lease, one that is unlinked under its lease. Waits for the end.

    leases.py MOUNTPOINT"""

import pathlib
import signal
import sys

import libdaxpin
from harness import MIB
from libdaxpin import mapped


def main():
    folder = pathlib.Path(sys.argv[1]) / "leased"
    folder.mkdir()
    for name in ("kept", "gone"):
        (folder / name).write_bytes(b"x" * 4 * MIB)
    with mapped(folder / "kept", flags=libdaxpin.MAP_PREPARE), \
            mapped(folder / "gone", flags=libdaxpin.MAP_PREPARE):
        (folder / "gone").unlink()
        print("holding", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
