# SPDX-License-Identifier: BSD-3-Clause
"""What the applications share: running programs, killing writers, comparing trees."""

import contextlib
import hashlib
import os
import pathlib
import re
import signal
import stat
import subprocess
import time

COMPLAINT = re.compile(r"error|fail|fatal|corrupt|cannot", re.IGNORECASE)


divisor = 1  # of all work: scripts/apps --small


def scaled(count):
    return max(1, count // divisor)


class Failed(Exception):
    """One line that names what is wrong; `output` is what the program in question printed."""

    def __init__(self, reason, output=""):
        super().__init__(reason)
        self.output = output


class Skipped(Exception):
    """This machine or this filesystem lacks what the application is about."""


def expect(condition, reason, output=""):
    if not condition:
        raise Failed(reason, output)


def expect_equal(got, wanted, what):
    expect(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


@contextlib.contextmanager
def started(*command, **options):
    """A program in a process group of its own, of which nothing is left behind at the end."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, start_new_session=True, text=True, errors="replace",
                          **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def complaint(output):
    """The line that says what went wrong, or else the last one."""
    lines = output.strip().splitlines() or ["it printed nothing"]
    return next(filter(COMPLAINT.search, lines), lines[-1]).strip()


def run_command(*command, status=0, timeout=300, **options):
    """Runs a program and returns what it printed, errors included; another exit status fails."""
    shown = " ".join(map(str, command)).splitlines()[0]
    shown = shown if len(shown) <= 120 else f"{shown[:40]} ... {shown[-70:]}"
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
               "stderr": subprocess.STDOUT, **options}
    with started(*command, **options) as process:
        try:
            output = process.communicate(timeout=timeout)[0] or ""
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{shown}: not done within {timeout} s") from late
    if process.returncode != status:
        raise Failed(f"{shown}: exit status {process.returncode}, wanted {status}: "
                     f"{complaint(output)}", output)
    return output


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.01)


def kill_after(process, lines):
    """SIGKILL for a program once it has printed so many lines; all that it printed, in lines.
    Each line stands for something that it was told is done. Its stdout is a pipe."""
    printed = []
    for line in process.stdout:
        printed.append(line.strip())
        if len(printed) == lines:
            process.kill()
    process.wait()
    expect(process.returncode == -signal.SIGKILL,
           f"the writer to be killed ended by itself, with {process.returncode}")
    return printed


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path):
    """What a copy of a file must have in common with it."""
    info = os.lstat(path)
    found = {"mode": oct(info.st_mode), "owner": (info.st_uid, info.st_gid)}
    if stat.S_ISLNK(info.st_mode):
        found["target"] = os.readlink(path)
        return found
    found["mtime"] = info.st_mtime_ns
    found["xattrs"] = {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))}
    if stat.S_ISREG(info.st_mode):
        found["links"] = info.st_nlink
        found["size"] = info.st_size
        found["sha256"] = digest(path)
    return found


def tree(root, describe=describe):
    """path -> describe(path) of everything below root."""
    return {str(path.relative_to(root)): describe(path) for path in pathlib.Path(root).rglob("*")}


def expect_same_tree(wanted, got, what):
    """Compares what tree() returned; what differs first is named."""
    for path in sorted(wanted.keys() | got.keys()):
        expect(wanted.get(path) == got.get(path),
               f"{what}: {path}: got {got.get(path)}, wanted {wanted.get(path)}")
