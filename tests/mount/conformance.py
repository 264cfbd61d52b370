#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The conformance suite (scripts/conformance) on a mount of ours: as root, or with --user as an
ordinary user on a mount of his own."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from harness import MIB, SKIPPED_EXIT, Skip, Volume, require_fuse, require_root
from ordinary_user import run_as_ordinary_user

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OPTIONS = ("suid", "dev", "allow_other")  # what most filesystems allow by themselves


def run_suite(home, arguments, words, options):
    """home: where scripts/conformance and tests/conformance are."""
    # Not sys.executable: an ordinary user may have no right to it.
    python = shutil.which("python3", path=os.defpath)
    with Volume(size=512 * MIB, separate=arguments.separate) as volume, \
            Volume(size=64 * MIB) as small:
        volume.mount(*options)
        small.mount(*options)
        status = subprocess.run([python, pathlib.Path(home, "scripts/conformance"),
                                 volume.mountpoint, "--full-dir", small.mountpoint,
                                 "--jobs", str(os.cpu_count()), *words], check=False).returncode
        for used in (volume, small):
            used.unmount()
            used.fsck()
    return status


def lend_suite(folder):
    for name in ("scripts", "tests"):
        os.mkdir(os.path.join(folder, name), 0o755)
    shutil.copy(ROOT / "scripts/conformance", os.path.join(folder, "scripts"))
    shutil.copytree(ROOT / "tests/conformance", os.path.join(folder, "tests/conformance"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--separate", action="store_true", help="metadata and data on two devices")
    parser.add_argument("--user", action="store_true", help="as an ordinary user")
    arguments, words = parser.parse_known_args()
    try:
        require_fuse()
        if arguments.user:
            return run_as_ordinary_user(lambda home: run_suite(home, arguments, words, ()),
                                        lend=lend_suite)
        require_root("to become other users")
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED_EXIT
    return run_suite(ROOT, arguments, words, OPTIONS)


if __name__ == "__main__":
    sys.exit(main())
