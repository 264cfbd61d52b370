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
# Programs and cases (by the beginnings of their names) that may be skipped: what we do not
# have, what is too large to reach, and what older kernels do not pass on (6.1, 6.9).
MAY_BE_SKIPPED = (
    "fallocate/EINVAL-collapse-unaligned/", "fallocate/EINVAL-insert-unaligned/",
    "fallocate/collapse-takes-out/", "fallocate/insert-pushes-apart/",
    "ftruncate/EFBIG-beyond-largest/", "truncate/EFBIG-beyond-largest/",
    "link/EMLINK/", "setxattr/ENOSPC-spares-the-others/", "utimensat/year-2400/", "tmpfile/",
    "append/RWF_NOAPPEND-writes-at-the-offset/")
# What an ordinary user is refused, by the beginnings of the reasons that cases give.
USER_REASONS = ("needs root", "may not make a char device", "may not make a block device")
OPTIONS = ("suid", "dev", "allow_other")  # what most filesystems allow by themselves


def run_and_watch(command, reasons):
    """Runs the suite, passes its output on, and fails it for a case skipped unexpectedly."""
    unexpected = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            verdict, _, name = line.partition(" ")
            _, _, reason = name.partition(": ")
            if verdict == "SKIPPED" and not name.startswith(MAY_BE_SKIPPED) \
                    and not reason.startswith(reasons):
                unexpected.append(name.strip())
    for name in unexpected:
        print(f"should not be skipped: {name}", file=sys.stderr)
    return process.returncode or (1 if unexpected else 0)


def run_suite(home, arguments, words, options, reasons):
    """home: where scripts/conformance and tests/conformance are; reasons: of more that may be
    skipped."""
    # Not sys.executable: an ordinary user may have no right to it.
    python = shutil.which("python3", path=os.defpath)
    with Volume(size=512 * MIB, separate=arguments.separate) as volume, \
            Volume(size=64 * MIB, on_files=True) as small:
        volume.mount(*options)
        small.mount(*options)
        status = run_and_watch([python, pathlib.Path(home, "scripts/conformance"),
                                volume.mountpoint, "--full-dir", small.mountpoint,
                                "--jobs", str(os.cpu_count()), *words], reasons)
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
            return run_as_ordinary_user(lambda home: run_suite(home, arguments, words, (),
                                                               USER_REASONS), lend=lend_suite)
        require_root("to become other users")
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED_EXIT
    return run_suite(ROOT, arguments, words, OPTIONS, ())


if __name__ == "__main__":
    sys.exit(main())
