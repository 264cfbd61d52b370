# SPDX-License-Identifier: BSD-3-Clause
"""SQLite, with a rollback journal and with a write-ahead log: writers that meet, writers killed."""

import contextlib
import hashlib
import sqlite3
import subprocess
import sys

from .framework import expect, expect_equal, kill_after, run_command, scaled, started

PACKAGES = ["sqlite3"]

MODES = ("delete", "wal")
WRITERS = 3
TRANSACTIONS = 300
KILLS = 5
ROWS_BEFORE_KILL = 60
SPILLED_ROWS = 2000

# Each line printed is a transaction that is committed. At the end, if asked to, one that is not,
# whose pages have left the cache for the files of the database.
WRITER = r"""
import hashlib, sqlite3, sys, time
path, name, count, spilled = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
database = sqlite3.connect(path, timeout=120, isolation_level=None)
database.execute("pragma synchronous = full")
database.execute("pragma cache_size = 10")

def insert(number):
    data = hashlib.shake_128(f"{name} {number}".encode()).digest(100 + number % 7 * 700)
    database.execute("insert into log values (?, ?, ?)", (name, number, data))
    database.execute("update total set n = n + 1")

for number in range(count):
    database.execute("begin immediate")
    insert(number)
    database.execute("commit")
    print(number, flush=True)
if spilled:
    database.execute("begin immediate")
    database.execute("update log set data = zeroblob(length(data))")
    for number in range(spilled):
        insert(count + number)
    print("spilled", flush=True)
    time.sleep(600)
"""


def start_writer(path, name, count, spilled=0):
    return started(sys.executable, "-c", WRITER, path, name, count, spilled,
                   stdout=subprocess.PIPE)


def create(path, mode):
    database = sqlite3.connect(path)
    expect_equal(database.execute(f"pragma journal_mode = {mode}").fetchone()[0], mode,
                 "journal mode")
    database.executescript("create table log (name text, number int, data blob);"
                           "create index by_name on log (name, number);"
                           "create table total (n int); insert into total values (0);")
    database.close()


def check(path, wanted):
    """The database is sound, as another program sees it, and each writer's rows are exactly those
    of its transactions: `wanted` maps its name to their number. Returns the number of rows."""
    expect_equal(run_command("sqlite3", path, "pragma integrity_check").strip(), "ok",
                 f"integrity_check of {path.name}")
    database = sqlite3.connect(path)
    rows = database.execute("select name, number, data from log order by name, number").fetchall()
    total = database.execute("select n from total").fetchone()[0]
    database.close()
    numbers = [(name, number) for name, number, _ in rows]
    expect(numbers == [(name, number) for name in sorted(wanted) for number in range(wanted[name])],
           f"{path.name}: not the rows that were committed, which are {wanted}")
    expect_equal(total, len(rows), f"{path.name}: the counter, against its rows")
    for name, number, data in rows:
        whole = hashlib.shake_128(f"{name} {number}".encode())
        expect(data == whole.digest(100 + number % 7 * 700),
               f"{path.name}: content of row {number} of {name}")
    return len(rows)


def several_writers(path, mode):
    create(path, mode)
    names = [f"writer{number}" for number in range(WRITERS)]
    count = scaled(TRANSACTIONS)
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(start_writer(path, name, count)) for name in names]
        for process in processes:
            process.communicate(timeout=300)
    expect_equal([process.returncode for process in processes], [0] * WRITERS, "exit statuses")
    return check(path, dict.fromkeys(names, count))


def killed_writers(path, mode):
    """What was committed before a kill is there, and nothing of what was not."""
    create(path, mode)
    wanted = {}
    for number in range(KILLS):
        name = f"killed{number}"
        with start_writer(path, name, 10**6) as process:
            committed = len(kill_after(process, scaled(ROWS_BEFORE_KILL)))
        database = sqlite3.connect(path)
        found = database.execute("select count(*) from log where name = ?", (name,)).fetchone()[0]
        database.close()
        # The last commit may have been made without its line having been printed.
        expect(committed <= found <= committed + 1,
               f"{path.name}: {committed} transactions were committed, {found} are there")
        wanted[name] = found
        check(path, wanted)
    with start_writer(path, "spilled", 10, SPILLED_ROWS) as process:
        kill_after(process, 11)
    wanted["spilled"] = 10
    journal = path.with_name(path.name + ("-wal" if mode == "wal" else "-journal"))
    expect(journal.exists() and journal.stat().st_size > 10**5,
           f"{journal.name}: the killed writer left no transaction to undo")
    return check(path, wanted)


def run(folder, say):
    for mode in MODES:
        rows = several_writers(folder / f"several-{mode}.db", mode)
        kept = killed_writers(folder / f"killed-{mode}.db", mode)
        say(f"{mode}: {rows} rows by {WRITERS} writers, {kept} rows kept through {KILLS + 1} kills")
