#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/databases.md, "Pinning": what happens to databases and disk images whose files are pinned."""

import contextlib
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from apps import mariadb, postgresql, redis  # noqa: E402
from apps.framework import Failed, Skipped  # noqa: E402
from harness import (MIB, Skip, case, expect, expect_equal, program, require_program, run,  # noqa: E402
                     run_command, wait_until)

SIZE = 512 * MIB
SYSTEM_PYTHON = "/usr/bin/python3"  # for which Debian's modules are


def pin(*paths):
    run_command(program("daxpin"), "pin", "--quiet", *paths)


def unpin(*paths):
    run_command(program("daxpin"), "unpin", *paths)


@contextlib.contextmanager
def database(module, volume):
    """A new database, its server stopped."""
    try:
        server = module.Server(volume.path("data"))
    except Skipped as reason:
        raise Skip(str(reason)) from reason
    with contextlib.closing(server):
        server.create()
        server.stop()
        yield server


def sqlite(path, text, status=0):
    require_program("sqlite3")
    return run_command("sqlite3", path, text, status=status)


def make_sqlite(volume, journal):
    path = volume.path("a.db")
    sqlite(path, f"pragma journal_mode={journal}; create table t (k integer primary key, v text);"
                 "insert into t select value, hex(randomblob(50)) from generate_series(1, 1000);")
    return path


GROW = "insert into t select null, hex(randomblob(500)) from generate_series(1, 1000);"
DISK_IO_ERROR = 10  # sqlite3's exit status


@case("SQLite: a pinned database is changed in place, does not grow or shrink, and stays sound",
      size=SIZE)
def sqlite_pinned(volume):
    path = make_sqlite(volume, "delete")
    pin(path)
    expect_equal(sqlite(path, "update t set v = 'x' where k = 5; select v from t where k = 5"),
                 "x\n", "what was changed")
    expect("disk I/O error" in sqlite(path, GROW, DISK_IO_ERROR), "grew")
    expect("disk I/O error" in sqlite(path, "delete from t where k > 500; vacuum", DISK_IO_ERROR),
           "shrank")
    expect_equal(sqlite(path, "pragma integrity_check; pragma mmap_size = 1048576;"
                              "select count(*) from t"), "ok\n1048576\n500\n", "what is there")


@case("SQLite: the WAL keeps what a pinned database has no room for, until it is unpinned",
      size=SIZE)
def sqlite_wal(volume):
    path = make_sqlite(volume, "wal")
    pin(path)
    sqlite(path, GROW)
    expect("disk I/O error" in sqlite(path, "pragma wal_checkpoint", DISK_IO_ERROR), "it fitted")
    expect_equal(sqlite(path, "select count(*) from t"), "2000\n", "rows")
    unpin(path)
    sqlite(path, "pragma wal_checkpoint")
    expect_equal(sqlite(path, "pragma integrity_check; select count(*) from t"), "ok\n2000\n", "all")


DYING = """import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("insert into t values (null, 'last')")
database.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


@case("SQLite: nothing opens a database whose -shm file is pinned, nor writes to a pinned WAL",
      size=SIZE)
def sqlite_beside(volume):
    path = make_sqlite(volume, "wal")
    for suffix, text in (("-shm", "select count(*) from t"), ("-wal", GROW)):
        run_command(sys.executable, "-c", DYING, path, status=-signal.SIGKILL)
        beside = path.with_name(path.name + suffix)
        pin(beside)
        expect("disk I/O error" in sqlite(path, text, DISK_IO_ERROR), f"{suffix} does not matter")
        unpin(beside)
    with contextlib.closing(sqlite3.connect(path)) as found:
        expect_equal(found.execute("select count(*) from t where v = 'last'").fetchone()[0], 2,
                     "what the killed programs had committed")


LMDB = """import lmdb, sys
with lmdb.open(sys.argv[1], map_size=1 << 24).begin(write=True) as transaction:
    transaction.put(b"key", b"value")
"""


@case("LMDB: an environment with a pinned data or lock file cannot be opened", size=SIZE)
def lmdb(volume):
    if subprocess.run([SYSTEM_PYTHON, "-c", "import lmdb"], stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        raise Skip("there is no module lmdb (package python3-lmdb)")
    folder = volume.path("environment")
    for file in (folder / "data.mdb", folder / "lock.mdb"):
        run_command(SYSTEM_PYTHON, "-c", LMDB, folder)
        pin(file)
        expect("No such device" in run_command(SYSTEM_PYTHON, "-c", LMDB, folder, status=1),
               f"{file.name} does not matter")
        unpin(file)
    run_command(SYSTEM_PYTHON, "-c", LMDB, folder)


@case("RocksDB: a pinned table file is read, not mapped, and left behind by compaction", size=SIZE)
def rocksdb(volume):
    require_program("db_bench")
    folder = volume.path("rocks")

    def bench(names, *words, status=0):
        return run_command("db_bench", f"--db={folder}", f"--benchmarks={names}", "--num=20000",
                           "--compression_type=none", *words, status=status)
    bench("fillrandom,flush")
    tables = list(folder.glob("*.sst"))
    pin(*tables)
    expect(" found)" in bench("readrandom", "--use_existing_db"), "it cannot be read")
    expect("No such device" in bench("readrandom", "--use_existing_db", "--mmap_read", status=1),
           "it can be mapped")
    bench("compact", "--use_existing_db")
    expect(all(path.exists() for path in tables), "a pinned file is gone")
    expect("Operation not permitted" in (folder / "LOG").read_text(), "nothing is said of it")
    unpin(*tables)
    bench("readrandom", "--use_existing_db")
    expect(not any(path.exists() for path in tables), "not removed after the unpin")


@case("PostgreSQL: pinned segments of the log are overwritten, recycled, and recovered from",
      size=SIZE)
def postgresql_log(volume):
    with database(postgresql, volume) as server:
        log = server.data / "pg_wal"
        first = [path for path in log.iterdir() if path.is_file()]
        pin(*first)
        server.start()
        names = {path.name for path in first}

        def recycled():
            return [path for path in run_command(program("daxpin"), "pins", "--list",
                                                 volume.mountpoint).splitlines()
                    if path.split("/")[-1] not in names]
        load = postgresql.Load(server)
        load.start()
        wait_until(recycled, "a pinned segment to be recycled", 120)
        server.crash()
        load.wait()
        server.start()
        load.verify()
        server.check_running()
        expect(recycled(), "the recycled segment is not pinned any more")
        server.stop()
        server.check()


@case("PostgreSQL: a pinned table cannot grow; that is an error of the transaction", size=SIZE)
def postgresql_table(volume):
    with database(postgresql, volume) as server:
        server.start()
        path = server.run(*server.client("--command",
                                         "select pg_relation_filepath('pgbench_accounts')")).strip()
        server.stop()
        pin(server.data / path)
        server.start()
        server.run(*server.client("--command", "update pgbench_accounts set abalance = 1 "
                                               "where aid = 1", "--command", "checkpoint"))
        with refused("could not extend file"):
            server.run(*server.client("--command", "update pgbench_accounts set abalance = 2"))
        server.check_running()
        server.stop()
        server.check()


@contextlib.contextmanager
def refused(text):
    try:
        yield
    except Failed as failure:
        expect(text in failure.output, failure.output)
        return
    raise AssertionError(f"succeeded, wanted {text!r}")


@case("MariaDB: a pinned redo log is recovered from; a pinned table is full", size=SIZE)
def mariadb_pinned(volume):
    with database(mariadb, volume) as server:
        pin(server.data / "ib_logfile0")
        server.start()
        load = mariadb.Load(server)
        load.start()
        time.sleep(3)
        server.crash()
        load.wait()
        server.start()
        load.verify()
        server.check_running()
        server.stop()
        pin(server.data / "books/ledger.ibd")
        server.start()
        load.start()
        load.wait()
        expect("is full" in load.output(1).read_text(), load.output(1).read_text()[-500:])
        load.verify()
        server.stop()
        server.check()


@case("Redis: a pinned append-only file ends the server at the first write", size=SIZE)
def redis_pinned(volume):
    with database(redis, volume) as server:
        server.start()
        with contextlib.closing(server.connect()) as connection:
            connection.call(["SET", "a", "b"])
        server.stop()
        file, = server.data.glob("appendonlydir/*.incr.aof")
        pin(file)
        server.start()
        with contextlib.closing(server.connect()) as connection:
            with contextlib.suppress(ConnectionError):
                raise AssertionError(connection.call(["SET", "a", "c"]))
        expect_equal(server.end(signal.SIGTERM), 1, "exit status")
        unpin(file)
        server.start()
        with contextlib.closing(server.connect()) as connection:
            expect_equal(connection.call(["GET", "a"]), b"b", "value")
        server.stop()
        server.check()


def qemu_io(path, kind, *commands, options=(), status=0):
    words = [word for command in commands for word in ("-c", command)]
    return run_command("qemu-io", "-t", "none", "-f", kind, *options, *words, path, status=status)


@case("QEMU: a pinned raw image is written in place; zeroing, discard=unmap and resize are refused",
      size=SIZE)
def qemu_raw(volume):
    require_program("qemu-io")
    path = volume.path("raw.img")
    run_command("qemu-img", "create", "-f", "raw", "-o", "preallocation=falloc", path, "16M")
    pin(path)
    qemu_io(path, "raw", "write -P 7 1M 2M", "read -P 7 1M 2M")
    qemu_io(path, "raw", "write -P 8 1M 2M", "read -P 8 1M 2M", options=("-n",))
    qemu_io(path, "raw", "discard 1M 64k", options=("-d", "ignore"))
    for command in ("write -z 1M 64k", "discard 1M 64k"):
        expect("Text file busy" in qemu_io(path, "raw", command, status=1), command)
    run_command("qemu-img", "resize", "-f", "raw", path, "32M", status=1)
    qemu_io(path, "raw", "read -P 8 1M 2M")


@case("QEMU: a pinned qcow2 image works if wholly allocated, and takes no snapshot", size=SIZE)
def qemu_qcow2(volume):
    require_program("qemu-io")
    for allocation, status in (("off", 1), ("full", 0)):
        path = volume.path(f"{allocation}.qcow2")
        run_command("qemu-img", "create", "-f", "qcow2", "-o", f"preallocation={allocation}", path,
                    "16M")
        pin(path)
        qemu_io(path, "qcow2", "write -P 7 1M 2M", status=status)
    run_command("qemu-img", "snapshot", "-c", "first", path, status=1)
    qemu_io(path, "qcow2", "read -P 7 1M 2M")
    run_command("qemu-img", "check", path)


if __name__ == "__main__":
    sys.exit(run())
