#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Blocks that a program maps: nobody else gets them, whatever becomes of the file and the daemon."""

import concurrent.futures
import contextlib
import errno
import json
import os
import pathlib
import select
import subprocess
import sys

import libdaxpin
import pinning
from files import UNIT, align, free_blocks
from harness import (MIB, Skip, case, expect, expect_equal, expect_errno,
                     let_daemons_look_into_processes, program, require_root, run, run_command,
                     wait_until)
from pinning import BLOCK

CLIENT = pathlib.Path(__file__).resolve().parent / "lease_client.py"
SIZE = 4 * MIB
BLOCKS = SIZE // BLOCK
# By which the tree may have grown meanwhile, on one device of the same space: where files are moved to
# aligned extents, items come and go.
TREE_BLOCKS = 4 if UNIT > BLOCK else 0


def make(path, letter=b"x"):
    path.write_bytes(letter * SIZE)
    align(path)
    return path


@contextlib.contextmanager
def mapper(volume, path, *habits):
    """A client that maps the file until the block ends, and finds nothing of anybody else."""
    client = subprocess.Popen(
        [sys.executable, "-B", CLIENT, path, *volume.devices, "--", path.name, *habits],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = client.stdout.readline()
        expect(said == f"mapped {SIZE}\n", f"the client says {said}")
        yield client
    finally:
        client.stdin.close()
        last = client.stdout.read()
        client.wait(timeout=60)
    expect(last.startswith("looked "), f"the client says {last}")


def quarantined(volume):
    """By the volume's own bytes; it may be mounted."""
    lines = run_command(program("dump.daxpinfs"), "quarantine", volume.devices[0]).splitlines()
    return sum(int(line.split()[2]) for line in lines if line.strip() and line.split()[0].isdigit())


def fill(volume):
    """Takes all space there is for others, and gives it back."""
    path = volume.path("hog")
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(b"h" * MIB):
            pass
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            expect(piece == b"h" * len(piece), "a program stored into somebody else's file")
    path.unlink()


def wait_for_space(volume, blocks, seconds=60):
    wait_until(lambda: free_blocks(volume) >= blocks, f"{blocks} free blocks", seconds)


def wait_for_proof(volume, blocks):
    """The same, where the daemon must see that nobody maps them."""
    def is_blind():
        return "cannot be looked into" in volume.read_log()
    wait_until(lambda: free_blocks(volume) >= blocks or is_blind(), f"{blocks} free blocks", 60)
    if free_blocks(volume) < blocks:
        raise Skip("the daemon may not look into every process here")


@case("quarantine: freed blocks count as used until the mapping is gone, in whichever process",
      size=64 * MIB)
def released(volume):
    require_root("the client opens the device")
    for habits in ((), ("fork",), ("daemonize",), ("close",), ("daemonize", "close")):
        path = make(volume.path("-".join(("f", *habits))))
        free = free_blocks(volume)
        with mapper(volume, path, *habits):
            path.unlink()
            if not habits:
                os.truncate(make(volume.path("g")), 0)
            fill(volume)
            expect(free_blocks(volume) <= free, "the blocks are free")
        wait_for_space(volume, free + BLOCKS - TREE_BLOCKS)
        expect_equal(quarantined(volume), 0, "blocks in quarantine")
    volume.path("g").unlink()


@case("quarantine: truncated under a mapping", size=64 * MIB)
def truncated(volume):
    require_root("the client opens the device")
    path = make(volume.path("f"))
    free = free_blocks(volume)
    with mapper(volume, path):
        os.truncate(path, 0)
        expect_equal(free_blocks(volume), free, "free blocks")
        expect_equal(os.stat(path).st_blocks, 0, "blocks of the file")
        expect_equal(quarantined(volume), BLOCKS, "blocks in quarantine")
        fill(volume)
    wait_for_space(volume, free + BLOCKS)
    expect_equal(quarantined(volume), 0, "blocks in quarantine")


@case("quarantine: it outlives a killed daemon, and ends when nobody maps the blocks",
      size=64 * MIB)
def killed(volume):
    require_root("the client opens the device")
    truncated_before = make(volume.path("before"))
    removed = make(volume.path("removed"))
    truncated_after = make(volume.path("after"))
    free = free_blocks(volume)
    with mapper(volume, truncated_before), mapper(volume, removed), \
            mapper(volume, truncated_after, "daemonize", "close"):
        os.truncate(truncated_before, 0)
        removed.unlink()
        volume.kill()
        volume.mount()
        os.truncate(truncated_after, 0)
        wait_until(lambda: quarantined(volume) == 3 * BLOCKS, "all three in quarantine")
        fill(volume)
        volume.kill()
        volume.mount()
        fill(volume)
        expect(free_blocks(volume) <= free, "the blocks are free")
    wait_for_proof(volume, free + 3 * BLOCKS)


@case("quarantine: a file that nobody maps any more after a kill frees its blocks at once",
      size=64 * MIB)
def forgotten(volume):
    require_root("the client opens the device")
    path = make(volume.path("f"))
    with mapper(volume, path):
        pass
    free = free_blocks(volume)
    volume.kill()
    volume.mount()
    os.truncate(path, 0)
    wait_for_proof(volume, free + BLOCKS)


@case("daxpin leases: who leases what, and what is kept for it; --forget gives it back",
      size=64 * MIB)
def listed(volume):
    require_root("the client opens the device")
    path = make(volume.path("f"))
    with mapper(volume, path) as client:
        os.truncate(path, 0)
        found = json.loads(run_command(program("daxpin"), "leases", "--json", volume.mountpoint))
        [lease] = found["leases"]
        expect_equal((lease["paths"], lease["access"], lease["offset"], lease["length"],
                      lease["pid"], lease["uid"]),
                     ([str(path)], "read", 0, SIZE, client.pid, 0), "the lease")
        expect("python" in lease["command"], f"command {lease['command']!r}")
        [kept] = found["quarantine"]
        expect_equal((kept["paths"], kept["bytes"], kept["lost"]), ([str(path)], SIZE, False),
                     "what is kept")
        said = run_command(program("daxpin"), "leases", volume.mountpoint)
        expect(str(path) in said and "4 MiB in quarantine" in said and "1 lease\n" in said, said)
        run_command(program("daxpin"), "leases", "--forget", path, status=1)
        volume.kill()
        volume.mount()
        [kept] = json.loads(run_command(program("daxpin"), "leases", "--json",
                                        volume.mountpoint))["quarantine"]
        expect(kept["lost"], "blocks of a lost lease count as this daemon's")
        free = free_blocks(volume)
        run_command(program("daxpin"), "leases", "--forget", path)
        wait_for_space(volume, free + BLOCKS)


def wait_for_word(fd):
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    return poll.poll(30_000)


def truncates(path):
    try:
        os.truncate(path, 0)
    except OSError as error:
        expect_equal(error.errno, errno.ETXTBSY, "errno")
        return False
    return True


@case("daxpin leases --break: holders hear of it by POLLPRI, and seal for lease_break= seconds",
      size=64 * MIB)
def asked_back(volume):
    require_root("another user asks")
    volume.unmount()
    volume.mount("lease_break=6")  # as long as it takes from the question to the refusal, at most
    path = make(volume.path("f"))
    held, other = pinning.open_direct(path), pinning.open_direct(path, os.O_RDONLY)
    pinning.lease(held, pinning.LEASE_WRITE)
    poll = select.poll()
    poll.register(held, select.POLLPRI)
    poll.register(other, select.POLLPRI)
    expect_equal(poll.poll(0), [], "before")
    os.seteuid(12345)
    try:
        with expect_errno(errno.EPERM):
            pinning.ask_back(other)
    finally:
        os.seteuid(0)
    with expect_errno(errno.EINVAL):
        pinning.ask_back(other, flags=1)
    expect_equal(poll.poll(0), [], "after those who may not, or not so")
    asker = subprocess.Popen([sys.executable, "-c", "import sys, time, subprocess; time.sleep(1); "
                              "subprocess.run(sys.argv[1:], check=True)", program("daxpin"),
                              "leases", "--break", path])
    with concurrent.futures.ThreadPoolExecutor(2) as waiters:
        found = list(waiters.map(wait_for_word, (held, other)))
    expect_equal(found, [[(fd, select.POLLPRI)] for fd in (held, other)], "what poll says to each")
    expect_equal(asker.wait(timeout=30), 0, "exit status of daxpin")
    expect_equal(len(poll.poll(0)), 2, "descriptors that tell")
    expect(pinning.status(other).flags & pinning.STATUS_ASKED_BACK, "STATUS does not tell")
    expect("asked back" in run_command(program("daxpin"), "leases", volume.mountpoint), "the list")
    with expect_errno(errno.ETXTBSY):
        os.truncate(path, 0)
    free = free_blocks(volume)
    wait_until(lambda: truncates(path), "the end of the seal")
    expect(free_blocks(volume) <= free, "leased blocks are free")
    poll.unregister(held)
    os.close(held)
    wait_for_space(volume, free + BLOCKS)
    expect_equal(poll.poll(0), [], "at the end")
    os.close(other)


@case("daxpin leases --break: what is mapped again by a program that does not hear of it",
      size=64 * MIB)
def unheard(volume):
    if UNIT > BLOCK:
        raise Skip("what is written again lies in small blocks, and is leased: PREPARE refuses it")
    volume.unmount()
    volume.mount("lease_break=0")
    path = make(volume.path("f"), b"o")
    with libdaxpin.mapped(path) as before:
        run_command(program("daxpin"), "leases", "--break", path)
        expect("(asked back)" in run_command(program("daxpin"), "status", path), "the status")
        make(path, b"n")
        with libdaxpin.mapped(path) as after:
            expect_equal(before[0:SIZE], b"o" * SIZE, "bytes of blocks that left the file")
            expect_equal(after[0:SIZE], b"n" * SIZE, "bytes mapped after the change")
            with expect_errno(errno.ETXTBSY):
                os.truncate(path, 0)


MAP_AND_EXEC = """
import os, sys
import libdaxpin
with libdaxpin.mapped(sys.argv[1]) as mapping, libdaxpin.mapped(sys.argv[1]):
    print("mapped", len(mapping), flush=True)
    sys.stdin.readline()
    os.execvp("sleep", ["sleep", "100"])
"""


@case("lease: a program's end by exec ends what libdaxpin took for it, and leaves no descriptor",
      size=64 * MIB)
def executed(volume):
    path = make(volume.path("f"))
    free = free_blocks(volume)
    client = subprocess.Popen([sys.executable, "-B", "-c", MAP_AND_EXEC, path],
                              cwd=pathlib.Path(__file__).resolve().parent,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        expect_equal(client.stdout.readline(), f"mapped {SIZE}\n", "the client's words")
        expect(not truncates(path), "a file was cut under a lease for writing")
        client.stdin.write("go on\n")
        client.stdin.flush()
        process = pathlib.Path(f"/proc/{client.pid}")
        wait_until(lambda: (process / "comm").read_text() == "sleep\n", "the other program")
        wait_until(lambda: truncates(path), "the end of the lease")
        wait_for_space(volume, free + BLOCKS)
        ours = tuple(map(str, (volume.mountpoint, *volume.devices)))
        left = [target for target in map(os.readlink, (process / "fd").iterdir())
                if target.startswith(ours)]
        expect_equal(left, [], "descriptors that the other program has")
        expect(not any(name in (process / "maps").read_text() for name in ours), "it maps them")
    finally:
        client.kill()
        client.communicate()


@case("max_leases: EDQUOT for a user, not for root", size=64 * MIB)
def limited(volume):
    require_root("another user asks")
    volume.unmount()
    volume.mount("max_leases=1")
    first, second = make(volume.path("first")), make(volume.path("second"))
    held = []
    for path, uid, wanted in ((first, 12345, None), (second, 12345, errno.EDQUOT),
                              (second, 0, None)):
        fd = pinning.open_direct(path, os.O_RDONLY)
        held.append(fd)
        os.seteuid(uid)
        try:
            with expect_errno(wanted) if wanted else contextlib.nullcontext():
                pinning.lease(fd, pinning.LEASE_READ)
        finally:
            os.seteuid(0)
    for fd in held:
        os.close(fd)


if __name__ == "__main__":
    let_daemons_look_into_processes()
    sys.exit(run())
