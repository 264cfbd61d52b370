#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""mkfs.daxpinfs: what it makes, what it says, and that a refusal changes nothing.

bad_input.py has what it shares with the daemon."""

import errno
import fcntl
import json
import os
import pty
import signal
import stat
import struct
import subprocess
import sys
import time

from harness import (MIB, Skip, case, expect, expect_equal, expect_errno, program, require_root,
                     run, run_command, wait_until)
from refusals import make_image, run_refused, scratch

MKFS = program("mkfs.daxpinfs")
UUID = "01234567-89ab-4def-8123-456789abcdef"


def refused(arguments, expected, unchanged=()):
    return run_refused([MKFS, *arguments], 1, "mkfs.daxpinfs: ", *expected, unchanged=unchanged)


@case("--json says what was made, and the volume has it", bare=True)
def json_report():
    with scratch() as folder:
        meta = make_image(folder / "meta.img", 64 * MIB)
        data = make_image(folder / "data.img", 32 * MIB)
        said = json.loads(run_command(MKFS, "--json", "--label", "fast", "--uuid", UUID,
                                      "--journal-size", "2M", "--data", data, meta))
        expect_equal(said["uuid"], UUID)
        expect_equal(said["label"], "fast")
        expect_equal(said["format_version"], 1)
        expect_equal(said["journal_bytes"], 2 * MIB)
        expect_equal([device["role"] for device in said["devices"]], ["metadata", "data"])
        expect_equal([device["bytes"] for device in said["devices"]], [64 * MIB, 32 * MIB])
        expect_equal([device["path"] for device in said["devices"]], [str(meta), str(data)])
        refused([meta], [meta, UUID, "'fast'", "--force"], unchanged=[meta, data])
        refused([data], [data, UUID, "2 of 2", "--force"], unchanged=[meta, data])


@case("a volume has sixteen devices at most", bare=True)
def too_many_devices():
    with scratch() as folder:
        meta, *data = (make_image(folder / f"{number}.img", 32 * MIB) for number in range(17))
        words = [word for device in data for word in ("--data", device)]
        refused([*words, meta], ["16", "devices"], unchanged=[meta, *data])
        run_command(MKFS, *words[2:], meta)
        run_command(program("fsck.daxpinfs"), "-n", meta, *data[1:])


@case("one line recommends a separate device, and only where there is none", bare=True)
def recommendation():
    with scratch() as folder:
        meta = make_image(folder / "meta.img", 64 * MIB)
        data = make_image(folder / "data.img", 32 * MIB)
        expect_equal(run_command(MKFS, meta).count("--data"), 1)
        expect("--data" not in run_command(MKFS, "-f", "--data", data, meta), "needless advice")
        expect_equal(run_command(MKFS, "-f", "-q", meta), "")


@case("--size makes a file that is fully allocated and its owner's alone", bare=True)
def size_makes_a_file():
    with scratch() as folder:
        path = folder / "new.img"
        run_command(MKFS, "--size", "32M", path)
        info = os.stat(path)
        expect_equal(info.st_size, 32 * MIB, "size")
        expect(info.st_blocks * 512 >= 32 * MIB, f"only {info.st_blocks} blocks are allocated")
        expect_equal(stat.S_IMODE(info.st_mode), 0o600, "mode")


@case("--size keeps a file that exists, also with --force", bare=True)
def size_keeps_what_exists():
    with scratch() as folder:
        old = make_image(folder / "old", MIB, b"precious")
        for force in ([], ["--force"]):
            refused([*force, "--size", "32M", old], [old, "exists"], unchanged=[old])


@case("--size leaves no file behind, whatever is refused after it was made", bare=True)
def size_leaves_nothing():
    with scratch() as folder:
        new = folder / "new.img"
        ext4 = make_image(folder / "ext4.img", 32 * MIB)
        run_command("mkfs.ext4", "-q", "-F", ext4)
        for words, expected in [
                (["--journal-size", "30M"], ["journal"]),
                (["--journal-size", "4K"], ["journal", "at least"]),
                (["--data", folder / "absent"], [folder / "absent", "No such file"]),
                (["--data", ext4], [ext4, "ext4", "--force"]),
                (["--data", new], [new])]:
            refused([*words, "--size", "32M", new], expected, unchanged=[ext4])
            expect(not new.exists(), f"{new} was left behind by {words}")
        refused(["--size", "32M", folder / "absent" / "new.img"], ["absent", "No such file"])


@case("a signal removes the file that is being made", bare=True)
def signal_removes_the_file():
    with scratch() as folder:
        new = folder / "new.img"
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with subprocess.Popen([MKFS, "-q", "--size", "768M", new]) as process:
                while not new.exists() and process.poll() is None:
                    time.sleep(0.0005)
                process.send_signal(number)
                status = process.wait(timeout=60)
            if status == 0:
                raise Skip("the file was made before the signal came")
            expect_equal(status, -number, "exit status")
            expect(not new.exists(), f"{new} was left behind by signal {number}")


@case("a device in use is refused with the holder's pid, also with --force", bare=True)
def in_use():
    with scratch() as folder:
        device = make_image(folder / "vol.img", 64 * MIB)
        run_command(MKFS, device)
        with open(device, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for force in ([], ["--force"]):
                refused([*force, device], [device, os.getpid(), "in use"], unchanged=[device])
                other = make_image(folder / "other.img", 64 * MIB)
                refused([*force, "--data", device, other], [device, os.getpid()],
                        unchanged=[device, other])
        run_command(MKFS, "--force", device)


@case("what libblkid knows is kept: swap space, a partition table, a damaged volume", bare=True)
def foreign_content():
    with scratch() as folder:
        device = make_image(folder / "dev.img", 64 * MIB)
        run_command("mkswap", device)
        refused([device], [device, "swap", "--force"], unchanged=[device])
        entry = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0x83, 0, 3, 0, 2048, 65536)
        table = make_image(folder / "table.img", 64 * MIB,
                           bytes(446) + entry + bytes(48) + b"\x55\xaa")
        refused([table], [table, "partition table", "dos", "--force"], unchanged=[table])
        volume = make_image(folder / "vol.img", 64 * MIB)
        run_command(MKFS, volume)
        for offset in (8, 64 * MIB - 4096 + 8):  # the checksum of each label
            with open(volume, "r+b") as file:
                file.seek(offset)
                file.write(b"\xff\xff\xff\xff")
        refused([volume], [volume, "damaged daxpin volume", "--force"], unchanged=[volume])
        for path in (device, table, volume):
            run_command(MKFS, "-f", path)


@case("a device named twice is refused, under another name too", bare=True)
def named_twice():
    with scratch() as folder:
        device = make_image(folder / "dev.img", 64 * MIB)
        other = make_image(folder / "other.img", 64 * MIB)
        (folder / "alias").symlink_to(device)
        refused(["--data", device, device], [device, "twice"], unchanged=[device])
        refused(["--data", folder / "alias", device], ["alias", "twice"], unchanged=[device])
        refused(["--data", other, "--data", other, device], [other, "twice"],
                unchanged=[device, other])


@case("every wrong word is named and nothing is touched", bare=True)
def wrong_words():
    with scratch() as folder:
        device = make_image(folder / "dev.img", 64 * MIB)
        for words, expected in [
                (["--size"], ["--size"]),
                (["--size", "ten"], ["--size", "ten"]),
                (["--size", "-5"], ["--size"]),
                (["--size", "0"], ["--size"]),
                (["--size", "1000000"], ["--size", "4096"]),
                (["--size", "99999999999999999999"], ["--size"]),
                (["--size", "7E"], ["no space", "7 EiB"]),
                (["--journal-size", "5000"], ["--journal-size", "4096"]),
                (["--journal-size", "60M"], [device, "journal"]),
                (["--journal-size", "64K"], [device, "journal", "at least"]),
                (["--label", "x" * 65], ["--label", "64"]),
                (["--label", "two\nlines"], ["--label", "control"]),
                (["--uuid", "1234"], ["--uuid", "1234"]),
                (["--uuid", UUID + "0"], ["--uuid"]),
                (["--domain", "eadr"], ["--domain", "eadr", "cache_line"]),
                (["--frobnicate"], ["--frobnicate", "--help"]),
                (["surplus"], ["surplus"]),
                ([word for _ in range(16) for word in ("--data", device)], ["16"])]:
            target = [folder / "new.img"] if "--size" in words else [device]
            said = refused([*target, *words], expected, unchanged=[device])
            expect(len(said) < 300, f"a long message: {said}")
            expect(not (folder / "new.img").exists(), f"{words} made a file")
        refused([], ["DEVICE"])
        refused([""], [])


@case("--help and --version succeed and need no device", bare=True)
def help_and_version():
    expect("--journal-size" in run_command(MKFS, "--help"), "--help does not name the options")
    for flag in ("-V", "--version"):
        expect(run_command(MKFS, flag).startswith("mkfs.daxpinfs "), "no version")


@case("output that cannot be written is an error", bare=True)
def full_output():
    with scratch() as folder:
        device = make_image(folder / "dev.img", 64 * MIB)
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([MKFS, device], stdout=full, stderr=subprocess.PIPE, text=True,
                                  check=False)
        expect_equal(done.returncode, 1, "exit status")
        expect("standard output" in done.stderr, done.stderr)


@case("a label of 64 bytes and every domain are taken", bare=True)
def limits_are_taken():
    with scratch() as folder:
        device = make_image(folder / "dev.img", 64 * MIB)
        label = "ä" * 32
        said = json.loads(run_command(MKFS, "--json", "--label", label, device))
        expect_equal(said["label"], label)
        for domain in ("byte", "cache_line", "page", "none"):
            said = json.loads(run_command(MKFS, "-f", "--json", "--domain", domain, device))
            expect_equal(said["devices"][0]["domain"], domain)
            expect(said["devices"][0]["domain_assumed"], "an assumed domain is not called so")


def open_terminal():
    try:
        return pty.openpty()
    except OSError as error:
        raise Skip(f"no pseudoterminals: {error}") from error


def read_what_is_there(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def make_slowly(path, stderr, *options):
    """mkfs of a new file that takes more than the second after which it shows its progress: it is
    held up once the file is there. Again if it was too fast for that."""
    for _ in range(20):
        path.unlink(missing_ok=True)
        with subprocess.Popen([MKFS, *options, "--size", "512M", path], stderr=stderr,
                              stdout=subprocess.DEVNULL) as process:
            wait_until(path.exists, "the file")
            process.send_signal(signal.SIGSTOP)
            seen = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            held_up = seen.si_code == os.CLD_STOPPED
            if held_up:
                time.sleep(1.2)
            process.send_signal(signal.SIGCONT)
        expect_equal(process.returncode, 0, "exit status of mkfs")
        if held_up:
            return
    raise AssertionError("mkfs could not be held up")


@case("progress: a bar on a terminal, after a second; none elsewhere, and none with --quiet",
      bare=True)
def progress_bar():
    with scratch() as folder:
        with open(folder / "stderr", "w+b") as no_terminal:
            make_slowly(folder / "a.img", no_terminal)
            expect_equal((folder / "stderr").read_bytes(), b"", "standard error, no terminal")
        master, terminal = open_terminal()
        try:
            os.set_blocking(master, False)
            make_slowly(folder / "a.img", terminal, "-q")
            expect_equal(read_what_is_there(master), b"", "a terminal, but --quiet")
            make_slowly(folder / "a.img", terminal)
            said = read_what_is_there(master)
            expect(b"[#" in said and b"%" in said, f"no bar on a terminal: {said!r}")
            expect(said.endswith(b"\r\x1b[K"), f"the bar was left: {said!r}")
        finally:
            os.close(master)
            os.close(terminal)


@case("a sparse file: the note says so, and where it cannot be read, the message", bare=True)
def sparse():
    with scratch() as folder:
        path = folder / "sparse.img"
        path.touch()
        os.truncate(path, 64 * MIB)
        said = run_command(MKFS, path)
        expect("is sparse" in said and "--size" in said, said)
        said = run_command(MKFS, make_image(folder / "whole.img", 64 * MIB))
        expect("sparse" not in said, said)
        require_root("to fill a tmpfs")
        full = folder / "full"
        full.mkdir()
        run_command("mount", "-t", "tmpfs", "-o", "size=4M", "none", full)
        try:
            (full / "sparse.img").touch()
            os.truncate(full / "sparse.img", 64 * MIB)
            with expect_errno(errno.ENOSPC):
                (full / "ballast").write_bytes(bytes(8 * MIB))
            refused([full / "sparse.img"], ("sparse", "full"))
        finally:
            run_command("umount", full)

sys.exit(run())
