#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A daemon with few descriptors, or few threads: it works with what it gets, or says in one line
what is missing and leaves no mount behind."""

import os
import resource
import sys
import threading

from harness import MIB, Skip, Volume, case, expect, expect_equal, limit_log, run, snapshot
from ordinary_user import USER, run_as_ordinary_user

THREADS = 8


def set_limit(which, count):
    def prepare():
        limit_log()
        resource.setrlimit(which, (count, count))
    return prepare


def work(volume):
    """Many files by many threads at once; each has what was written."""
    wrong = []

    def one(thread):
        for number in range(20):
            path = volume.path(f"{thread}-{number}")
            data = f"{thread} {number} ".encode() * 1000
            path.write_bytes(data)
            os.setxattr(path, "user.name", data[:50])
            if path.read_bytes() != data or os.getxattr(path, "user.name") != data[:50]:
                wrong.append(path)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not wrong, f"wrong: {wrong[:5]}")
    expect_equal(len(os.listdir(volume.mountpoint)), THREADS * 20, "files")


def try_limit(which, count):
    """True if the daemon could mount; then everything works."""
    with Volume(size=16 * MIB) as volume:
        try:
            volume.mount(prepare=set_limit(which, count))
        except AssertionError:
            check_refusal(volume)
            return False
        work(volume)
        before = snapshot(volume.mountpoint)
        volume.unmount()
        volume.fsck()
        volume.mount()
        expect_equal(snapshot(volume.mountpoint), before, "files after a mount without limits")
        volume.unmount()
        return True


def check_refusal(volume):
    expect(not volume.is_mounted(), "a mount without a daemon was left behind")
    expect(volume.process.returncode > 0, f"it ended with {volume.process.returncode}")
    lines = volume.read_log().splitlines()
    expect(lines and lines[-1].startswith("daxpinfs: "), f"no reason: {volume.read_log()}")
    volume.process = None


def sweep(which, counts):
    mounted = [count for count in counts if try_limit(which, count)]
    print(f"# mounted with {mounted} of {list(counts)}", flush=True)
    expect(mounted, "mounted with none of the limits")
    expect(mounted == [count for count in counts if count >= mounted[0]],
           f"more is not enough: {mounted}")
    expect(mounted[0] != counts[0], "the least limit refused nothing: it shows no refusal")


@case("few descriptors: the daemon works, or says what is missing", bare=True)
def descriptors():
    sweep(resource.RLIMIT_NOFILE, (4, 6, 8, 10, 12, 16, 24, 32))


def threads_of_user():
    """The limit counts every thread of the user, also other programs' ones."""
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == USER.pw_uid:
                count += len(os.listdir(f"/proc/{pid}/task"))
        except FileNotFoundError:
            pass
    return count


@case("few threads: the daemon works, or says what is missing", bare=True)
def processes():
    if os.geteuid() == 0:
        raise Skip("the limit does not hold for root")
    already = threads_of_user()
    sweep(resource.RLIMIT_NPROC, (already, already + 16))


if __name__ == "__main__":
    if "--user" in sys.argv:
        sys.argv.remove("--user")
        sys.exit(run_as_ordinary_user(lambda _: run()))
    sys.exit(run())
