#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The conformance suite (scripts/conformance) on a mount of ours, as root."""

import argparse
import os
import pathlib
import subprocess
import sys

from harness import MIB, SKIPPED_EXIT, Skip, Volume, require_fuse, require_root

SUITE = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts/conformance"
OPTIONS = ("suid", "dev", "allow_other")  # what most filesystems allow by themselves


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--separate", action="store_true", help="metadata and data on two devices")
    arguments, words = parser.parse_known_args()
    try:
        require_fuse()
        require_root("to become other users")
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED_EXIT
    with Volume(size=512 * MIB, separate=arguments.separate) as volume, \
            Volume(size=64 * MIB) as small:
        volume.mount(*OPTIONS)
        small.mount(*OPTIONS)
        status = subprocess.run([sys.executable, SUITE, volume.mountpoint, "--full-dir",
                                 small.mountpoint, "--jobs", str(os.cpu_count()), *words],
                                check=False).returncode
        for used in (volume, small):
            used.unmount()
            used.fsck()
    return status


if __name__ == "__main__":
    sys.exit(main())
