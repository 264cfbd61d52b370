#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/quickstart on the programs of the build folder: it shows what it promises, wherever it is
called, and leaves nothing behind."""

import os
import pathlib
import shutil
import sys

from harness import (build_folder, case, expect, expect_equal, require_program, run, run_command)
from refusals import scratch

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make_tree(folder):
    """A tree that is built and has its packages."""
    build, scripts, programs = (folder / name for name in ("build-quickstart", "scripts", "bin"))
    for made in (build, scripts, programs):
        made.mkdir()
    (build / "build.ninja").touch()
    for name in ("src", "examples"):
        (build / name).symlink_to(build_folder() / name)
    shutil.copy(ROOT / "scripts/quickstart", scripts)
    for nothing in (scripts / "setup", programs / "ninja"):
        nothing.write_text("#!/bin/sh\n", encoding="utf-8")
        nothing.chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


def show(*words):
    require_program("sqlite3")
    with scratch() as folder:
        tree, place = folder / "tree", folder / "some place"
        tree.mkdir()
        place.mkdir()
        environment = make_tree(tree)
        said = run_command("../tree/scripts/quickstart", *words, cwd=place, env=environment)
        expect("Done in" in said, said)
        expect_equal(os.listdir(place), [], "what is left")


@case("quickstart --disk: a folder is named from where the caller is", bare=True)
def relative_folder():
    show("--disk", "../some place")


@case("quickstart --separate: two devices", bare=True)
def separate():
    show("--separate")


if __name__ == "__main__":
    sys.exit(run())
