#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""SIGKILL of the live daemon: whatever was acknowledged is there after the next mount."""

import errno
import os
import pathlib
import re
import signal
import sys
import threading
import time

import pinning
from files import make_file, opened
from harness import (MIB, Skip, case, expect, expect_equal, expect_errno, expect_same, mount_line,
                     program, run, run_command, snapshot, wait_until)


@case("kill -9: an idle mount comes back as it was, many times", size=128 * MIB)
def idle(volume):
    for round_number in range(5):
        folder = volume.path(f"round-{round_number}")
        folder.mkdir()
        for number in range(50):
            (folder / f"f{number}").write_bytes(os.urandom(number * 137))
        os.rename(folder / "f1", folder / "f2")
        os.unlink(folder / "f3")
        before = snapshot(volume.mountpoint)
        volume.kill()
        volume.mount()
        expect_same(before, snapshot(volume.mountpoint))


@case("a daemon that died leaves ENOTCONN; umount and mount bring everything back",
      size=64 * MIB)
def not_connected(volume):
    volume.path("file").write_bytes(b"kept")
    volume.process.kill()
    volume.process.wait()
    volume.process = None
    with expect_errno(107):
        volume.path("file").read_bytes()
    volume.detach()
    volume.mount()
    expect_equal(volume.path("file").read_bytes(), b"kept")


@case("SIGTERM and SIGINT unmount and end the daemon cleanly", size=64 * MIB)
def signals(volume):
    for number in (signal.SIGTERM, signal.SIGINT):
        volume.path("file").write_bytes(b"1")
        volume.process.send_signal(number)
        expect_equal(volume.process.wait(timeout=60), 0, "exit status")
        volume.process = None
        wait_until(lambda: mount_line(volume.mountpoint) is None, "the mount is gone")
        volume.fsck()
        volume.mount()


@case("SIGTERM: requests that wait end, too", size=64 * MIB)
def waiting_requests_end(volume):
    for _ in range(10):  # again if the request or the signal came too late
        path = make_file(volume.mountpoint)
        errors = []
        cached = os.open(path, os.O_RDONLY)  # PIN waits for its release
        with opened(path) as fd:
            asking = threading.Thread(target=lambda: errors.append(errno_of(pinning.pin, fd)))
            asking.start()
            time.sleep(0.1)
            volume.process.send_signal(signal.SIGTERM)
            asking.join()
        os.close(cached)
        expect_equal(volume.process.wait(timeout=60), 0, "exit status")
        volume.process = None
        wait_until(lambda: mount_line(volume.mountpoint) is None, "the mount is gone")
        volume.mount()
        if errors == [errno.EINTR]:
            return
        expect(errors[0] in (errno.ENOTCONN, errno.ECONNABORTED, errno.EBUSY), f"PIN: {errors}")
    raise AssertionError(f"PIN: {errors}, ten times")


def errno_of(call, *arguments):
    """0 if it succeeds."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0


@case("the daemon in the background: the command returns when the mount stands", size=64 * MIB)
def background(volume):
    volume.unmount()
    options = ["-o", ",".join(volume.domain_options)] if volume.domain_options else []
    run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, *options)
    expect(volume.is_mounted(), "the command returned before the mount")
    volume.path("file").write_bytes(b"1")
    holder = daemon_of(volume)
    expect(holder is not None, "no daemon found")
    run_command("umount" if os.geteuid() == 0 else "fusermount3",
                *([] if os.geteuid() == 0 else ["-u"]), volume.mountpoint)
    wait_until(lambda: not os.path.exists(f"/proc/{holder}"), "the daemon's end")
    volume.fsck()


def daemon_of(volume):
    """The pid of the background daemon, by its own arguments."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if os.fsencode(volume.mountpoint) in words and words[0].endswith(b"daxpinfs"):
            return int(pid)
    return None


def may_be_spared():
    """Whether a process may ask here that the out-of-memory killer passes by."""
    adjustment = pathlib.Path("/proc/self/oom_score_adj")
    before = adjustment.read_text()
    try:
        adjustment.write_text("-1000")
        adjustment.write_text(before)
    except OSError:
        return False
    return True


def flags_of_mappings(pid, path):
    """VmFlags of each mapping of that file."""
    found, is_ours = [], False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_ours = line.endswith(f" {path}")
        elif is_ours and line.startswith("VmFlags:"):
            found.append(line.split()[1:])
    return found


@case("the daemon keeps no folder busy, and the device out of core files", size=64 * MIB)
def harmless(volume):
    process = pathlib.Path(f"/proc/{volume.process.pid}")
    expect_equal(os.readlink(process / "cwd"), "/", "the daemon's working directory")
    mappings = flags_of_mappings(volume.process.pid, volume.devices[0])
    expect(mappings, "the device is not mapped")
    for flags in mappings:
        expect("dd" in flags, f"a core file would hold the device: {flags}")


@case("the out-of-memory killer passes the daemon by", size=64 * MIB)
def spared(volume):
    if not may_be_spared():
        raise Skip("oom_score_adj cannot be lowered here")
    score = pathlib.Path(f"/proc/{volume.process.pid}/oom_score_adj").read_text()
    expect_equal(score, "-1000\n", "oom_score_adj")


@case("a second mount of a device in use is refused and names the holder's pid", size=64 * MIB)
def second_mount(volume):
    other = volume.folder / "other"
    other.mkdir()
    options = ["-o", ",".join(volume.domain_options)] if volume.domain_options else []
    text = run_command(program("daxpinfs"), volume.devices[0], other, *options, status=32)
    expect(str(volume.process.pid) in text, f"no pid {volume.process.pid} in: {text}")
    expect(mount_line(other) is None, "mounted all the same")
    text = run_command(program("mkfs.daxpinfs"), "--force", volume.devices[0], status=1)
    expect(str(volume.process.pid) in text or "in use" in text, f"mkfs of a volume in use: {text}")
    volume.path("file").write_bytes(b"untouched")


if __name__ == "__main__":
    sys.exit(run())
