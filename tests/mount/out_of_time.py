#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A test that is out of time: it is told by SIGTERM and soon killed, and leaves nothing behind."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from harness import case, detach, expect, mount_line, require_root, run, wait_until

HANGS = """
import os, signal, sys, time
from harness import MIB, case, run

@case("hangs", size=64 * MIB)
def hangs(volume):
    volume.process.send_signal(signal.SIGSTOP)
    print("hangs", volume.process.pid, volume.folder, flush=True)
    time.sleep(600)

sys.exit(run())
"""


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] != "Z"


@case("SIGTERM: the daemon that hangs is killed, not waited for; mount and folder are gone",
      bare=True)
def hanging_daemon():
    require_root("to unmount at once")
    with subprocess.Popen([sys.executable, "-B", "-c", HANGS], stdout=subprocess.PIPE, text=True,
                          cwd=pathlib.Path(__file__).resolve().parent,
                          start_new_session=True) as test:
        word, pid, folder = test.stdout.readline().split(maxsplit=2)
        folder = pathlib.Path(folder.rstrip("\n"))
        try:
            expect(word == "hangs" and mount_line(folder / "mnt"), "the test did not begin")
            os.killpg(test.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                test.wait(timeout=10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(test.pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "the daemon's end", 10)
            expect(not mount_line(folder / "mnt"), "the mount stays")
            expect(not folder.exists(), "the folder stays")
        finally:
            if is_alive(pid):
                os.kill(int(pid), signal.SIGKILL)
            if mount_line(folder / "mnt"):
                detach(folder / "mnt")
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run())
