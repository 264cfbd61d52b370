# SPDX-License-Identifier: BSD-3-Clause
"""fio: random writes with a checksum in each block, read back by the run that wrote them and again
by another one, through another way into the file."""

import json
import mmap
import os

from .framework import expect, run_command

PACKAGES = ["fio"]

MIB = 1 << 20
SIZE_MIB = 48  # of each file
JOBS = 2
COMMON = [f"--size={SIZE_MIB}M", f"--numjobs={JOBS}", "--rw=randwrite", "--verify=crc32c",
          "--verify_fatal=1", "--verify_state_save=0", "--randrepeat=1", "--allrandrepeat=1",
          "--group_reporting", "--output-format=json"]

# name -> (how it is written, whether that needs O_DIRECT)
WAYS = {
    "psync": (["--ioengine=psync", "--bs=4k", "--fsync=64"], False),
    "mmap": (["--ioengine=mmap", "--bs=4k"], False),
    "psync-direct": (["--ioengine=psync", "--bs=8k", "--direct=1"], True),
    "libaio-direct": (["--ioengine=libaio", "--iodepth=16", "--bs=16k", "--direct=1"], True),
}


def has_direct(folder):
    """A read of one page with O_DIRECT works; some filesystems refuse only then."""
    path = folder / "direct"
    path.write_bytes(b"x" * 4096)
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
        with mmap.mmap(-1, 4096) as page, os.fdopen(file, "rb", buffering=0) as whole:
            return whole.readinto(page) == 4096
    except OSError:
        return False


def fio(name, folder, *words):
    """(MiB written, MiB read) of a run whose jobs all ended well."""
    output = run_command("fio", f"--name={name}", f"--directory={folder}", *COMMON, *words,
                         cwd=folder)
    jobs = json.loads(output[output.index("{"):])["jobs"]
    expect(jobs and all(job["error"] == 0 for job in jobs), f"{name}: a job had an error", output)
    return tuple(sum(job[way]["io_bytes"] for job in jobs) // MIB for way in ("write", "read"))


def run(folder, say):
    direct = has_direct(folder)
    whole = SIZE_MIB * JOBS
    for name, (words, needs_direct) in WAYS.items():
        if needs_direct and not direct:
            say(f"no {name}: the filesystem has no O_DIRECT")
            continue
        written, read = fio(name, folder, *words)
        expect((written, read) == (whole, whole),
               f"{name}: wrote {written} MiB and read back {read} MiB, wanted {whole} of each")
        size = next(word for word in words if word.startswith("--bs="))
        _, again = fio(name, folder, "--ioengine=psync", size, "--verify_only=1")
        expect(again == whole, f"{name}: a second run read {again} MiB, wanted {whole}")
        say(f"{name}: {written} MiB written, read back twice")
