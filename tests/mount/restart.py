#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""SIGKILL of the live daemon: whatever was acknowledged is there after the next mount."""

import os
import random
import signal
import subprocess
import sys
import time

from harness import (MIB, case, expect, expect_equal, expect_errno, expect_same, mount_line, program,
                     run, run_command, snapshot, wait_until)


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


WRITER = r"""
import os, sys
folder, log = sys.argv[1:]
journal = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(10**9):
    name = f"{folder}/{os.getpid()}-{number}"
    fd = os.open(name, os.O_WRONLY | os.O_CREAT)
    os.write(fd, str(number).encode() * 100)
    os.close(fd)
    os.rename(name, name + ".done")
    os.write(journal, f"{name}.done\n".encode())
    if number % 3 == 2:
        old = f"{folder}/{os.getpid()}-{number - 2}.done"
        os.unlink(old)
        os.write(journal, f"-{old}\n".encode())
"""


def replay(log):
    """What the writer's journal of acknowledgements says must be there, and must be gone. The last
    name of each writer may be on its way out."""
    present, gone, order = set(), set(), []
    for line in log.read_text().splitlines():
        if line.startswith("-"):
            present.discard(line[1:])
            gone.add(line[1:])
        else:
            present.add(line)
            order.append(line)
    return present, gone, set(order[-3:])


@case("kill -9 under load: no acknowledged operation is lost", size=256 * MIB)
def under_load(volume):
    for round_number in range(4):
        folder = volume.path(f"load-{round_number}")
        folder.mkdir()
        logs = [volume.folder / f"acknowledged-{round_number}-{n}" for n in range(4)]
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder, log],
                                    stderr=subprocess.DEVNULL) for log in logs]
        time.sleep(0.5 + random.random())
        volume.process.send_signal(signal.SIGKILL)
        for writer in writers:
            expect(writer.wait(timeout=60) != 0, "a writer outlived its filesystem")
        volume.process.wait()
        volume.process = None
        volume.detach()
        volume.fsck()
        volume.mount()
        for log in logs:
            present, gone, last = replay(log)
            expect(len(present) > 5, f"too little load: {len(present)} files")
            for name in present - last:
                number = os.path.basename(name).split("-")[1].split(".")[0]
                with open(name, "rb") as file:
                    expect_equal(file.read(), number.encode() * 100, name)
            for name in gone:
                expect(not os.path.exists(name), f"{name} came back")


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
