#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fsck.daxpinfs -p and -y on a damaged volume: what they say, their exit status, and the files
afterwards."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time

from harness import (MIB, Volume, case, expect, expect_equal, expect_same, program,
                     require_root, run, run_command, snapshot, wait_until)


def fill(volume):
    volume.mount()
    for folder in range(20):
        volume.path(f"folder-{folder}").mkdir()
        for number in range(40):
            volume.path(f"folder-{folder}", f"file-{number}").write_bytes(
                f"{folder} {number}".encode() * 50)
    before = snapshot(volume.mountpoint)
    volume.unmount()
    return before


def dump(what, device):
    said = subprocess.run([program("dump.daxpinfs"), "--json", what, device], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said)


def block_of(row):
    return int(str(row["block"]).split(":")[-1])


def nodes(device):
    """Blocks of the tree by level, from what dump.daxpinfs says."""
    levels = {}
    for row in dump("tree", device)["nodes"]:
        levels.setdefault(row["level"], []).append(block_of(row))
    return levels


def bitmap(device):
    """The block of the first bitmap chunk."""
    return block_of(dump("bitmaps", device)["chunks"][0])


def damage(device, block, offset, data):
    with open(device, "r+b") as file:
        file.seek(block * 4096 + offset)
        file.write(data)


def flip(device, block, offset):
    with open(device, "r+b") as file:
        file.seek(block * 4096 + offset)
        byte, = struct.unpack("B", file.read(1))
        file.seek(block * 4096 + offset)
        file.write(struct.pack("B", byte ^ 16))


def fsck(volume, *options, status):
    return run_command(program("fsck.daxpinfs"), *options, *volume.devices, status=status)


def expect_unharmed(volume, before):
    volume.fsck()
    volume.mount()
    expect_same(before, snapshot(volume.mountpoint))
    volume.unmount()


@case("a sound volume: -p and -y change nothing, status 0", bare=True)
def sound():
    with Volume(size=64 * MIB) as volume:
        fill(volume)
        device = volume.devices[0]
        image = device.read_bytes()
        for option in ("-n", "-p", "-a", "-y"):
            expect("clean" in fsck(volume, option, status=0), option)
        expect(device.read_bytes() == image, "a sound volume was written to")


@case("-p mends a label, a flipped bit and a bitmap: status 1, then 0", bare=True)
def automatic():
    with Volume(size=64 * MIB) as volume:
        before = fill(volume)
        device = volume.devices[0]
        damage(device, 0, 0, bytes(4096))
        flip(device, nodes(device)[0][3], 2000)
        said = fsck(volume, "-n", status=4)
        expect("label" in said and "checksum" in said, said)
        said = fsck(volume, "-p", status=1)
        expect("one bit corrected" in said and "repaired" in said, said)
        fsck(volume, "-p", status=0)
        damage(device, bitmap(device), 1024, b"\xa5" * 512)
        said = fsck(volume, "-n", status=4)
        expect("bitmap chunk 0 of device 0: wrong checksum" in said, said)
        said = fsck(volume, "-p", status=1)
        expect("bitmap chunk 0 of device 0 made anew" in said and "repaired" in said, said)
        fsck(volume, "-p", status=0)
        expect_unharmed(volume, before)


@case("-p leaves an inner node that is lost, -y mends it: no file is lost", bare=True)
def inner_nodes():
    with Volume(size=64 * MIB) as volume:
        before = fill(volume)
        device = volume.devices[0]
        top = max(nodes(device))
        expect(top > 0, "the tree has one node only")
        for block in nodes(device)[top]:
            damage(device, block, 64, b"\xa5" * 512)
        fsck(volume, "-p", status=4)
        said = fsck(volume, "-y", status=1)
        expect("subtrees below it put back" in said, said)
        expect_unharmed(volume, before)


@case("-y of a lost leaf: the rest of the files is there, the report is JSON too", bare=True)
def leaf():
    with Volume(size=64 * MIB) as volume:
        before = fill(volume)
        device = volume.devices[0]
        blocks = nodes(device)[0]
        damage(device, blocks[len(blocks) // 2], 0, bytes(4096))
        report, = json.loads(fsck(volume, "-y", "--json", status=1))["volumes"]
        expect_equal(report["clean"], True, "clean")
        expect_equal(report["errors_left"], 0, "errors left")
        expect(report["findings"] and report["done"], report)
        volume.fsck()
        volume.mount()
        after = snapshot(volume.mountpoint)
        volume.unmount()
        kept = sum(1 for path, what in before.items() if after.get(path) == what)
        expect(kept > len(before) * 9 // 10, f"{kept} of {len(before)} are left as they were")


@case("a stale copy of a device among those given: the whole volume is refused, nothing is written",
      bare=True)
def stale_copy():
    with Volume(size=64 * MIB, separate=True, on_files=True) as volume:
        meta, data = volume.devices
        copy = volume.folder / "backup" / meta.name
        copy.parent.mkdir()
        shutil.copy(meta, copy)
        damage(copy, 0, 0, bytes(4096))  # something to repair
        fill(volume)
        given = (meta, data, copy)
        before = [path.read_bytes() for path in given]
        for order in (given, (copy, data, meta), (data, copy, meta)):
            said = run_command(program("fsck.daxpinfs"), "-y", *order, status=8)
            expect(str(copy) in said and "one is a copy" in said, said)
            expect([path.read_bytes() for path in given] == before, "a device was written to")
        volume.fsck()


@case("fsck right after umount: it waits for the daemon to let go of the devices", bare=True)
def right_after_umount():
    with Volume(size=64 * MIB) as volume:
        for _ in range(40):
            volume.mount()
            volume.path("file").write_bytes(b"content")
            run_command("umount", volume.mountpoint)
            fsck(volume, "-n", status=0)
            volume.process.wait(timeout=60)


@case("a mounted volume: refused at once, also by way of its data device", bare=True)
def mounted():
    with Volume(size=64 * MIB, separate=True) as volume:
        volume.mount()
        for device in volume.devices:
            for words, status in (((program("fsck.daxpinfs"), "-n"), 8),
                                  ((program("mkfs.daxpinfs"), "--force"), 1)):
                begin = time.monotonic()
                said = run_command(*words, device, status=status)
                expect("in use" in said, said)
                # For a device that may still be let go it is two seconds.
                expect(time.monotonic() - begin < 1.9, f"{words[0]} refused late")
        volume.unmount()


@case("-M: a volume in use is passed over, and said to be, not to be clean", bare=True)
def passed_over():
    with Volume(size=64 * MIB) as volume:
        volume.mount()
        said = fsck(volume, "-M", status=0)
        expect("in use, passed over" in said and "clean" not in said, said)
        report, = json.loads(fsck(volume, "-M", "--json", status=0))["volumes"]
        expect_equal(report, {"device": str(volume.devices[0]), "skipped": True}, "report")
        volume.unmount()
        report, = json.loads(fsck(volume, "-M", "--json", status=0))["volumes"]
        expect(report["clean"] and "skipped" not in report, report)


@case("SIGINT, SIGTERM and SIGHUP: cancelled, status 32", bare=True)
def signals():
    with Volume(size=64 * MIB) as volume:
        fill(volume)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            expect_equal(cancelled_by(number, volume.devices[0]), 32, number.name)


def waits(pid):
    """Whether the process sleeps for a while; not every kernel tells in which call."""
    for _ in range(20):
        time.sleep(0.01)
        if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "S":
            return False
    return True


def cancelled_by(number, device):
    """The exit status of fsck after a signal, sent while its first line of progress waits for room
    in a pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    checking = subprocess.Popen([program("fsck.daxpinfs"), "-n", "-C", str(writing), str(device)],
                                pass_fds=[writing], stdout=subprocess.DEVNULL)
    wait_until(lambda: waits(checking.pid), "the write")
    checking.send_signal(number)
    os.close(writing)
    while os.read(reading, 65536):
        pass
    os.close(reading)
    return checking.wait(timeout=60)


@case("a member that is missing: named with what the program at hand takes", bare=True)
def missing_member():
    with Volume(size=64 * MIB, separate=True, on_files=True) as volume:
        meta, data = volume.devices
        elsewhere = volume.folder / "elsewhere"
        elsewhere.mkdir()
        data.rename(elsewhere / data.name)
        said = run_command(program("fsck.daxpinfs"), "-n", meta, status=8)
        expect("after this one" in said and "-o " not in said, said)
        run_command(program("fsck.daxpinfs"), "-n", meta, elsewhere / data.name)
        said = run_command(program("dump.daxpinfs"), "tree", meta, status=1)
        expect("--device PATH" in said and "-o " not in said, said)
        run_command(program("dump.daxpinfs"), "tree", "--device", elsewhere / data.name, meta)
        said = run_command(program("daxpinfs"), meta, volume.mountpoint, status=32)
        expect("-o device=PATH" in said and "directory" not in said, said)


@case("a device that may not be written, or holds no volume: no remedy is another program's",
      bare=True)
def read_only_medium():
    require_root("to mount a tmpfs")
    with Volume(size=64 * MIB, on_files=True) as volume:
        run_command("mount", "-t", "tmpfs", "none", volume.mountpoint)
        try:
            device = shutil.copy(volume.devices[0], volume.mountpoint / "device")
            run_command("mount", "-o", "remount,ro", volume.mountpoint)
            said = run_command(program("fsck.daxpinfs"), "-y", device, status=8)
            expect("-o ro" not in said and "-n" in said, said)
            said = run_command(program("mkfs.daxpinfs"), "-f", device, status=1)
            expect("-o ro" not in said, said)
        finally:
            run_command("umount", volume.mountpoint)
        for content in (bytes(MIB), b"precious" * (MIB // 8)):
            volume.devices[0].write_bytes(content)
            said = fsck(volume, "-n", status=8)
            expect("not a daxpin volume" in said and "mkfs" not in said, said)


if __name__ == "__main__":
    sys.exit(run())
