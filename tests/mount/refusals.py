# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of bad input share: scratch folders, images, and commands that must be refused."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import expect, expect_equal, mount_line, test_dir


@contextlib.contextmanager
def scratch():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="daxpin-test-", dir=test_dir()))
    (folder / "mnt").mkdir()
    try:
        yield folder
    finally:
        if mount_line(folder / "mnt"):
            subprocess.run(["umount", "-l", folder / "mnt"], check=False)
        shutil.rmtree(folder)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_refused(command, status, *words, unchanged=()):
    """Runs a command that must be refused in one line that contains each of the words (any one of
    the alternatives of a tuple)."""
    before = {path: digest(path) for path in unchanged}
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    said = (done.stderr + done.stdout).strip()
    expect_equal(done.returncode, status, f"exit status ({said})")
    expect_equal(len(said.splitlines()), 1, f"lines in {said!r}")
    for word in words:
        alternatives = word if isinstance(word, tuple) else (word,)
        expect(any(str(a) in said for a in alternatives), f"none of {alternatives} in: {said}")
    for path, was in before.items():
        expect(digest(path) == was, f"{path} was changed")
    return said


def make_image(path, size, content=b""):
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        os.pwrite(file.fileno(), content, 0)
    return path
