#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: files under a lease, of which one is unlinked, and one truncated, so that its blocks
are in quarantine. Waits for the end.

    leases.py MOUNTPOINT"""

import json
import os
import pathlib
import signal
import sys

import libdaxpin
import pinning
from files import align, opened
from harness import MIB, program, run_command
from libdaxpin import mapped

SIZE = 4 * MIB


def main():
    folder = pathlib.Path(sys.argv[1]) / "leased"
    folder.mkdir()
    for name in ("kept", "gone", "cut"):
        (folder / name).write_bytes(b"x" * SIZE)
    align(folder / "cut")
    with mapped(folder / "kept", flags=libdaxpin.MAP_PREPARE), \
            mapped(folder / "gone", flags=libdaxpin.MAP_PREPARE), \
            opened(folder / "cut") as cut:
        pinning.lease(cut, pinning.LEASE_READ)
        (folder / "gone").unlink()
        os.truncate(folder / "cut", 0)
        held = json.loads(run_command(program("daxpin"), "leases", "--json", sys.argv[1]))
        quarantine = sum(kept["bytes"] for kept in held["quarantine"])
        if len(held["leases"]) != 3 or quarantine != SIZE:
            sys.exit(f"leases.py: {held}")
        print("holding", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
