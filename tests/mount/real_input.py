#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real programs on the mount: git, tar, rsync and SQLite; after each, unmount, fsck, mount,
compare."""

import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from apps.trees import set_old_times  # noqa: E402
from harness import (MIB, case, expect, expect_equal, expect_same, require_program, run,  # noqa: E402
                     run_command, snapshot)

SIZE = 768 * MIB
GIT = ["git", "-c", "user.name=daxpin", "-c", "user.email=daxpin@example.org",
       "-c", "init.defaultBranch=main", "-c", "gc.auto=0", "-c", "safe.directory=*"]


def make_source_tree(folder, files):
    """A tree like a project's: folders of small text files, a few large ones."""
    generator = random.Random(files)
    words = ["store", "flush", "drain", "pin", "extent", "journal", "block", "inode", "lease"]
    for number in range(files):
        path = folder / f"part{number % 37}" / f"unit{number % 11}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = 2000 if number % 500 == 0 else generator.randrange(1, 120)
        path.write_text("\n".join(" ".join(generator.choices(words, k=9)) for _ in range(lines)))


@case("git: 2,500 files added, committed, changed, checked out; git fsck is clean", size=SIZE)
def git(volume):
    require_program("git")
    repository = volume.path("repository")
    repository.mkdir()
    make_source_tree(repository, 2500)

    def run_git(*arguments):
        return run_command(*GIT, "-C", repository, *arguments)
    run_git("init", "-q")
    run_git("add", ".")
    run_git("commit", "-q", "-m", "all")
    expect(int(run_git("ls-files").count("\n")) >= 2500, "fewer than 2,500 files")
    run_git("checkout", "-q", "-b", "other")
    for path in list(repository.glob("part1/unit*/*.txt")):
        path.write_text("changed\n")
    run_git("commit", "-q", "-a", "-m", "change")
    run_git("checkout", "-q", "main")
    run_git("repack", "-q", "-a", "-d")
    run_git("fsck", "--full", "--strict")
    volume.check_and_remount()
    run_git("fsck", "--full", "--strict")
    expect_equal(run_git("status", "--porcelain"), "", "git status")


@case("tar: /usr/include packed onto the mount, unpacked there, compared", size=SIZE)
def tar(volume):
    require_program("tar")
    archive = volume.path("include.tar")
    run_command("tar", "-C", "/usr", "-cf", archive, "include")
    run_command("tar", "-C", volume.mountpoint, "-xpf", archive)
    run_command("tar", "-C", volume.mountpoint, "--compare", "-f", archive)
    run_command("diff", "-r", "--no-dereference", "/usr/include", volume.path("include"))
    volume.check_and_remount()
    run_command("tar", "-C", volume.mountpoint, "--compare", "-f", archive)
    run_command("diff", "-r", "--no-dereference", "/usr/include", volume.path("include"))


def make_special_tree(folder):
    """What rsync -aHAX must carry: links, modes, owners, times, xattrs, sparse files, odd names."""
    make_source_tree(folder / "tree", 600)
    os.link(folder / "tree/part0/unit0/file0.txt", folder / "hard link")
    os.symlink("tree/part1", folder / "symbolic")
    os.symlink("dangling/nowhere", folder / "dangling")
    (folder / "empty").touch()
    (folder / b"\xff\xfe".decode("utf-8", "surrogateescape")).write_bytes(b"odd name")
    with open(folder / "sparse", "wb") as file:
        os.pwrite(file.fileno(), b"end", 32 * MIB)
    for number, mode in enumerate((0o400, 0o755, 0o4711, 0o2750)):
        path = folder / f"mode{number}"
        path.write_bytes(os.urandom(number * 5000))
        if os.geteuid() == 0:
            os.chown(path, 1000 + number, 2000 + number)
        os.chmod(path, mode)
    os.setxattr(folder / "mode1", "user.colour", b"blue")
    os.setxattr(folder / "tree", "user.long", b"x" * 2000)
    # Of links and folders rsync compares the seconds only, and would leave a copy made within the
    # same second as it is.
    set_old_times(folder)


@case("rsync -aHAX: a copy equals its source, and a second run has nothing to do", size=SIZE)
def rsync(volume):
    require_program("rsync")
    with tempfile.TemporaryDirectory(dir=supports_xattrs()) as folder:
        source = pathlib.Path(folder)
        make_special_tree(source)
        options = "-aHAX"  # the source has no access control lists beyond its modes
        copy = volume.path("copy")
        run_command("rsync", options, f"{source}/", f"{copy}/")
        compare_copies(source, copy)
        again = run_command("rsync", options, "--itemize-changes", "--checksum", f"{source}/",
                            f"{copy}/")
        expect_equal(again, "", "what a second rsync would change")
        volume.check_and_remount()
        compare_copies(source, copy)


def compare_copies(source, copy):
    wanted, got = snapshot(source), snapshot(copy)
    for tree in (wanted, got):
        for entry in tree.values():
            entry.pop("links") if entry["mode"].startswith("0o4") else None  # of directories
        tree.pop(b".")
    expect_same(wanted, got)


def supports_xattrs():
    """A folder for the source whose filesystem keeps user.* attributes (tmpfs may not)."""
    for folder in ("/var/tmp", "/tmp", os.getcwd()):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            try:
                os.setxattr(file.name, "user.x", b"1")
                return folder
            except OSError:
                continue
    raise AssertionError("no folder with user.* attributes for the source")


WRITER = r"""
import sqlite3, sys
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(path, timeout=60, isolation_level=None)
for number in range(count):
    db.execute("begin immediate")
    db.execute("insert into log values (?, ?, randomblob(300))", (name, number))
    db.execute("update total set n = n + 1")
    db.execute("commit")
db.close()
"""


@case("SQLite: WAL under two writers loses no transaction, and the database is sound", size=SIZE)
def sqlite_wal(volume):
    path = volume.path("wal.db")
    database = sqlite3.connect(path)
    expect_equal(database.execute("pragma journal_mode=wal").fetchone()[0], "wal", "journal mode")
    database.executescript("create table log (name text, number int, data blob);"
                           "create index by_name on log (name, number);"
                           "create table total (n int); insert into total values (0);")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, name, "600"])
               for name in ("a", "b")]
    expect_equal([writer.wait(timeout=300) for writer in writers], [0, 0], "exit statuses")
    check_database(database)
    database.close()
    volume.check_and_remount()
    database = sqlite3.connect(path)
    check_database(database)
    database.close()


def check_database(database):
    expect_equal(database.execute("pragma integrity_check").fetchone()[0], "ok", "integrity")
    expect_equal(database.execute("select n from total").fetchone()[0], 1200, "total")
    expect_equal(database.execute("select name, count(*), max(number) from log group by name")
                 .fetchall(), [("a", 600, 599), ("b", 600, 599)], "rows")


@case("SQLite: rollback journal, a database of 20,000 rows, vacuumed", size=SIZE)
def sqlite_rollback(volume):
    path = volume.path("rollback.db")
    database = sqlite3.connect(path)
    database.execute("create table t (k integer primary key, v text)")
    with database:
        database.executemany("insert into t values (?, ?)",
                             ((k, f"value {k} " * 10) for k in range(20000)))
    with database:
        database.execute("delete from t where k % 3 = 0")
    database.execute("vacuum")
    total = database.execute("select count(*), sum(k) from t").fetchone()
    database.close()
    volume.check_and_remount()
    database = sqlite3.connect(path)
    expect_equal(database.execute("pragma integrity_check").fetchone()[0], "ok", "integrity")
    expect_equal(database.execute("select count(*), sum(k) from t").fetchone(), total, "rows")
    database.close()


if __name__ == "__main__":
    sys.exit(run())
