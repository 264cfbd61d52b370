# SPDX-License-Identifier: BSD-3-Clause
"""A program on the filesystem under test that can be run: ETXTBSY."""

import os
import shutil
import subprocess

from .checks import Skip


def program(path):
    """A program of the test directory's own that runs until it is stopped."""
    shutil.copy(shutil.which("sleep"), path)
    os.chmod(path, 0o755)
    return path


def start(path):
    try:
        return subprocess.Popen(["sleep", "60"], executable=os.path.abspath(path))
    except PermissionError:
        raise Skip("mounted noexec") from None
