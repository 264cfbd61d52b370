#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of the programs' texts where standard files are closed or full, and which
descriptors the daemon keeps."""

import contextlib
import os
import subprocess
import sys

from harness import MIB, Volume, case, expect, expect_equal, mount_line, program, run, wait_until

SMALL = {"size": 64 * MIB}


def shell(script, *words, status=0, timeout=60):
    """Runs a line of sh on `words` as $1, $2 ...; what it says is dropped."""
    done = subprocess.run(["sh", "-c", script, "sh", *map(str, words)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                          timeout=timeout)
    expect_equal(done.returncode, status, f"exit status of {script}")


@contextlib.contextmanager
def background_mount(volume, redirections="", before=""):
    """A daemon in the background, started by a shell with these redirections."""
    words = ",".join(volume.domain_options)
    try:
        shell(f'{before} exec "$1" "$2" "$3" ${{4:+-o "$4"}} {redirections}',
              program("daxpinfs"), volume.devices[0], volume.mountpoint, words, timeout=20)
        expect(mount_line(volume.mountpoint) is not None, "nothing is mounted")
        yield
    finally:
        if mount_line(volume.mountpoint) is not None:
            subprocess.run(["umount", str(volume.mountpoint)], check=False)
        let_go(volume)


def let_go(volume):
    """Waits until no daemon has the device any more."""
    shell('flock -x -w 20 "$1" true', volume.devices[0])


@case("a daemon in the foreground without stderr: its log is not written to the device", **SMALL)
def closed_stderr_of_the_daemon(volume):
    volume.unmount()
    words = ",".join([*volume.domain_options, "log=info"])
    daemon = subprocess.Popen(["sh", "-c", 'exec "$@" 2>&-', "sh", program("daxpinfs"),
                               str(volume.devices[0]), str(volume.mountpoint), "-f", "-o", words])
    wait_until(lambda: volume.is_mounted() or daemon.poll() is not None, "the mount")
    volume.process = daemon
    volume.path("file").write_bytes(b"content")
    volume.unmount()
    with open(volume.devices[0], "rb") as device:
        expect(b"daxpinfs" not in device.read(4096), "a line of the log is on the device")
    volume.fsck()


@case("daxpin pin without stderr: its notes are not written to the file")
def closed_stderr_of_pin(_, folder):
    path = folder / "precious"
    path.write_bytes(b"precious" * 1000)
    shell('exec "$1" pin "$2" 2>&-', program("daxpin"), path)
    expect_equal(path.read_bytes(), b"precious" * 1000, "content")


@case("a daemon that starts without standard files: the mount stands and its parent ends", **SMALL)
def no_standard_files(volume):
    volume.unmount()
    with background_mount(volume, "<&- >&- 2>&-"):
        volume.path("file").write_bytes(b"content")
    volume.fsck()


@case("a daemon in the background keeps no descriptor of who started it: a lock ends with them",
      **SMALL)
def inherited_descriptors(volume):
    volume.unmount()
    lock = volume.folder / "lock"
    with background_mount(volume, before=f"exec 9>{lock}; flock 9;"):
        volume.path("file").write_bytes(b"content")
        shell('flock -n "$1" true', lock)
        expect_equal(volume.path("file").read_bytes(), b"content", "content")
    volume.fsck()


@case("fsck and dump without standard output: the device stays as it is", bare=True)
def tools_without_standard_output():
    with Volume(size=64 * MIB) as volume:
        before = volume.devices[0].read_bytes()
        shell('exec "$1" -y "$2" >&-', program("fsck.daxpinfs"), volume.devices[0])
        shell('exec "$1" superblock "$2" 2>&- >&-', program("dump.daxpinfs"),
              volume.devices[0])
        expect(volume.devices[0].read_bytes() == before, "the device was written to")


if __name__ == "__main__":
    sys.exit(run())
