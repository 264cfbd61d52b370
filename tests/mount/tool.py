#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The tool `daxpin` and libdaxpin, by way of examples/pinlog, on a real mount."""

import json
import os
import signal
import subprocess
import sys
import time

from harness import MIB, case, expect, expect_equal, program, run, run_command

LOG_BYTES = 32 * MIB


def daxpin(*arguments, status=0, **options):
    return run_command(program("daxpin"), *arguments, status=status, **options)


def pinlog(*arguments, status=0):
    return run_command(program("pinlog"), *arguments, status=status)


@case("pin and unpin: by tool, shown by status, and a range cut out")
def pin_and_unpin(_, folder):
    path = folder / "file"
    path.write_bytes(b"p" * 100000)
    daxpin("pin", path)
    state = json.loads(daxpin("status", "--json", path))
    expect("pinned" in json.dumps(state), f"status says {state}")
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"1", "pin")
    daxpin("unpin", "--offset", "4K", "--length", "8K", path)
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"partial", "pin")
    daxpin("unpin", path)
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"0", "pin")


@case("pin: a hole is filled, or an error with --no-prepare; one bad file spoils not the others")
def prepare(_, folder):
    hole, good = folder / "hole", folder / "good"
    for path in (hole, good):
        path.touch()
    os.truncate(hole, MIB)
    good.write_bytes(b"g" * 4096)
    said = daxpin("pin", "--no-prepare", hole, good, status=1)
    expect(str(hole) in said, f"the file is not named: {said}")
    expect_equal(os.getxattr(good, "user.daxpin.pin"), b"1", "pin of the good file")
    expect_equal(os.getxattr(hole, "user.daxpin.pin"), b"0", "pin of the hole")
    daxpin("pin", "-q", hole)
    expect_equal(hole.read_bytes(), bytes(MIB))
    daxpin("pin", folder / "missing", status=1)
    daxpin("pin", "--frobnicate", hole, status=2)


@case("extents and info: text and JSON name the devices")
def shown(volume, folder):
    path = folder / "file"
    path.write_bytes(b"e" * MIB)
    daxpin("pin", "-q", path)
    expect(len(daxpin("extents", path).splitlines()) >= 2, "no extents")
    json.loads(daxpin("extents", "--json", path))
    info = daxpin("info", volume.mountpoint)
    for device in volume.devices:
        expect(str(device) in info, f"{device} is not in: {info}")
    json.loads(daxpin("info", "--json", volume.mountpoint))
    if volume.domain_options:
        expect("assumed" in info, f"not told that the domain is assumed: {info}")


@case("hint: set for a directory, inherited by its files")
def hint(_, folder):
    daxpin("hint", "--dax", folder)
    (folder / "file").touch()
    expect("x" in run_command("lsattr", "-d", folder / "file").split()[0], "not inherited")
    json.loads(daxpin("hint", "--json", folder / "file"))
    daxpin("hint", "--no-dax", folder / "file")
    expect("x" not in run_command("lsattr", "-d", folder / "file").split()[0], "still set")


@case("pins: --list saves whole and partial pins with odd names, --restore makes them again",
      size=128 * MIB)
def save_and_restore(volume):
    names = ["plain", "with space", "new\nline", "back\\slash", "ü"]
    for number, name in enumerate(names):
        path = volume.path(name)
        path.write_bytes(b"x" * 65536)
        if number % 2:
            daxpin("pin", "-q", "--offset", "4K", "--length", "8K", path)
        else:
            daxpin("pin", "-q", path)
    saved = daxpin("pins", "--list", volume.mountpoint)
    expect_equal(len(saved.splitlines()), len(names), f"lines of {saved!r}")
    for name in names:
        daxpin("unpin", volume.path(name))
    expect_equal(daxpin("pins", volume.mountpoint), "", "pins after unpinning")
    daxpin("pins", "--restore", volume.mountpoint, input=saved)
    expect_equal(daxpin("pins", "--list", volume.mountpoint), saved, "pins")


@case("a file of another filesystem: refused by name")
def foreign_file(volume, _):
    path = volume.folder / "foreign"
    path.write_bytes(bytes(4096))
    said = daxpin("pin", path, status=1)
    expect(str(path) in said and len(said.strip().splitlines()) == 1, said)
    said = daxpin("info", volume.folder, status=1)
    expect(str(volume.folder) in said, said)


@case("pinlog: records written by stores are read through the mount and after a remount",
      size=256 * MIB)
def log_by_stores(volume):
    log = volume.path("log")
    pinlog("create", log, LOG_BYTES)
    for text in ("first", "second", "third"):
        pinlog("append", log, text)
    expect_equal(pinlog("list", log).split(), ["first", "second", "third"], "records")
    expect(b"second" in log.read_bytes(), "read(2) does not see the stores")
    volume.check_and_remount()
    expect_equal(pinlog("verify", log).strip(), "3", "records")
    pinlog("create", log, LOG_BYTES, status=1)
    pinlog("append", volume.path("missing"), "x", status=1)


@case("pinlog: outlives kill -9 of the writer", size=256 * MIB)
def kill_writer(volume):
    log = volume.path("log")
    pinlog("create", log, LOG_BYTES)
    for _ in range(5):
        before = int(pinlog("verify", log))
        acknowledged = killed_writer(log)
        count = int(pinlog("verify", log))
        expect(count >= before + acknowledged, f"{count} < {before} + {acknowledged}")


def killed_writer(log, meanwhile=lambda: None):
    """Kills a writer after its first records; returns how many it had acknowledged."""
    writer = subprocess.Popen([program("pinlog"), "fill", str(log), "100000"],
                              stdout=subprocess.PIPE, text=True)
    for _ in range(10):
        expect(writer.stdout.readline(), "the writer ended early")
    meanwhile()
    writer.send_signal(signal.SIGKILL)
    count = 10 + len([line for line in writer.stdout if line.endswith("\n")])
    writer.wait()
    return count


@case("pinlog: outlives kill -9 of the daemon while it writes", size=256 * MIB)
def kill_daemon(volume):
    log = volume.path("log")
    pinlog("create", log, LOG_BYTES)

    def kill():
        volume.process.kill()
        volume.process.wait()
        time.sleep(0.05)
    acknowledged = killed_writer(log, kill)
    volume.process = None
    volume.detach()
    volume.mount()
    expect(int(pinlog("verify", log)) >= acknowledged, "acknowledged records are gone")
    expect_equal(os.getxattr(log, "user.daxpin.pin"), b"1", "pin")


if __name__ == "__main__":
    sys.exit(run())
