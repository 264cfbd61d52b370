# SPDX-License-Identifier: BSD-3-Clause
"""RocksDB under db_bench: filled in order and at random, compacted, killed while it writes; every
key found again and every checksum verified."""

import hashlib
import re
import subprocess

from .fio import has_direct
from .framework import expect, expect_equal, kill_after, run_command, started

PACKAGES = ["rocksdb-tools"]

KEYS = 50_000
SYNCED = 5_000  # writes that are synchronous, one by one
KILLS = 3
LINES_BEFORE_KILL = 50  # of db_bench's output; most of them are 100 writes
PROGRESS = re.compile(r"thread 0: \(\d+,(\d+)\) ops")
FOUND = re.compile(r"\((\d+) of (\d+) found\)")
SETTINGS = ["--compression_type=none", "--value_size=400", "--write_buffer_size=4194304",
            "--target_file_size_base=4194304", "--seed=1"]
DIRECT = ["--use_direct_reads", "--use_direct_io_for_flush_and_compaction"]


def bench(database, benchmarks, *words, keys=KEYS):
    output = run_command("db_bench", f"--db={database}", f"--benchmarks={benchmarks}",
                         f"--num={keys}", *SETTINGS, *words)
    expect("Corruption" not in output and "error:" not in output,
           f"db_bench {benchmarks}: it reports an error", output)
    return output


def verify(database):
    """Checksums of every block, by two programs; returns the number of table files."""
    bench(database, "verifychecksum", "--use_existing_db")
    run_command("ldb", f"--db={database}", "checkconsistency")
    output = run_command("sst_dump", f"--file={database}", "--command=verify")
    files = len(list(database.glob("*.sst")))
    expect_equal(output.count("The file is ok"), files, "table files that sst_dump verified")
    return files


def read_all(database, *words):
    """Reads as many random keys as there are; each must be there."""
    found = FOUND.search(bench(database, "readrandom", "--use_existing_db", *words))
    expect(found and found.groups() == (str(KEYS), str(KEYS)),
           f"readrandom {' '.join(words)}: {found and found.group()}, wanted all of {KEYS}")


def entries(database):
    """Keys as numbers, and a digest of every key and value."""
    output = run_command("ldb", f"--db={database}", "scan", "--hex")
    keys = [int(line[2:18], 16) for line in output.splitlines()]
    return keys, hashlib.sha256(output.encode()).hexdigest()


def killed(database):
    """Killed while it writes keys in order, synchronously; returns how many are there."""
    with started("db_bench", f"--db={database}", "--benchmarks=fillseq", "--sync",
                 "--num=10000000", "--stats_interval=100", *SETTINGS,
                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        progress = PROGRESS.findall("\n".join(kill_after(process, LINES_BEFORE_KILL)))
    expect(progress, "db_bench: it was killed before it had written anything")
    verify(database)
    keys, _ = entries(database)
    expect(keys == list(range(len(keys))), f"{database.name}: keys are missing between others")
    expect(len(keys) >= int(progress[-1]),
           f"{database.name}: {progress[-1]} keys were written, {len(keys)} are there")
    return len(keys)


def run(folder, say):
    ordered, random = folder / "ordered", folder / "random"
    bench(ordered, "fillseq")
    files = verify(ordered)
    keys, before = entries(ordered)
    expect_equal(len(keys), KEYS, "entries that ldb scan shows")
    bench(ordered, "compact", "--use_existing_db")
    expect_equal(entries(ordered)[1], before, "content after compaction")
    direct = DIRECT if has_direct(folder) else []
    for words in ([], ["--mmap_read"], direct):
        read_all(ordered, *words)
    say(f"{KEYS} keys in {files} files: checksums, compaction, read with pread, mmap"
        f"{' and O_DIRECT' if direct else ''}")

    bench(random, "fillrandom", "--sync", *direct, keys=SYNCED)
    verify(random)
    kept = [killed(folder / f"killed{number}") for number in range(KILLS)]
    say(f"{SYNCED} synchronous writes; {sum(kept)} more kept through {KILLS} kills")
