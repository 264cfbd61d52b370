# SPDX-License-Identifier: BSD-3-Clause
"""LMDB, which reads through a shared mapping and writes with pwrite(2) or through the mapping too:
a writer killed again and again, beside readers."""

import hashlib
import subprocess

from .framework import expect, expect_equal, kill_after, run_command, started

PACKAGES = ["python3-lmdb", "lmdb-utils"]

PYTHON = "/usr/bin/python3"  # the one that Debian's packages are for
KILLS = 6
COMMITS_BEFORE_KILL = 40

# Transaction n puts 20 entries, some of several pages, removes those of transaction n - 200, whose
# pages are then used again, and raises the counter.
COMMON = r"""
import hashlib, lmdb, sys
path, write_map = sys.argv[1], sys.argv[2] == "write_map"
environment = lmdb.open(path, map_size=1 << 28, writemap=write_map)

def value(key):
    return hashlib.shake_128(key).digest(10 + sum(key) % 17 * 400)

def keys(number):
    return [b"%d/%d" % (number, entry) for entry in range(20)] if number >= 0 else []
"""

# Each line printed is a transaction that is committed.
WRITER = COMMON + r"""
while True:
    with environment.begin(write=True) as transaction:
        number = int(transaction.get(b"count", b"0"))
        for key in keys(number):
            transaction.put(key, value(key))
        for key in keys(number - 200):
            assert transaction.delete(key)
        transaction.put(b"count", b"%d" % (number + 1))
    print(number + 1, flush=True)
"""

# Prints how many transactions there are, if exactly their entries are.
CHECKER = COMMON + r"""
with environment.begin() as transaction:
    count = int(transaction.get(b"count", b"0"))
    wanted = {key for number in range(count - 200, count) for key in keys(number)}
    found = 0
    for key, data in transaction.cursor():
        if key != b"count":
            assert key in wanted, f"{key} should not be there"
            assert data == value(key), f"value of {key}"
            found += 1
    assert found == len(wanted), f"{found} entries, wanted {len(wanted)}"
print(count)
"""


def check(path, mode):
    return int(run_command(PYTHON, "-c", CHECKER, path, mode))


def killed_writers(path, mode):
    """What was committed before a kill is there; readers see whole transactions meanwhile."""
    count = 0
    for _ in range(KILLS):
        with started(PYTHON, "-c", WRITER, path, mode, stdout=subprocess.PIPE) as writer:
            before = int(writer.stdout.readline() or 0)
            expect(before == count + 1, f"{mode}: the writer began with {before}, not {count + 1}")
            seen = check(path, mode)
            expect(seen >= before, f"{mode}: a reader saw {seen} of {before} transactions")
            committed = int(kill_after(writer, COMMITS_BEFORE_KILL)[-1])
        count = check(path, mode)
        # The last commit may have been made without its line having been printed.
        expect(committed <= count <= committed + 1,
               f"{mode}: {committed} transactions were committed, {count} are there")
    return count


def dumped(path):
    data = run_command("mdb_dump", path).partition("HEADER=END")[2]
    return hashlib.sha256(data.encode()).hexdigest()


def run(folder, say):
    for mode in ("pwrite", "write_map"):
        path, copy = folder / mode, folder / f"{mode}-copy"
        count = killed_writers(path, mode)
        copy.mkdir()
        run_command("mdb_copy", "-c", path, copy)
        expect_equal(check(copy, mode), count, f"{mode}: transactions in the compacted copy")
        expect_equal(dumped(copy), dumped(path), f"{mode}: dump of the compacted copy")
        say(f"{mode}: {count} transactions kept through {KILLS} kills, compacted copy equal")
