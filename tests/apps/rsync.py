# SPDX-License-Identifier: BSD-3-Clause
"""rsync: a copy of a tree with everything that a file can have, and the copy brought up to date."""

import os
import pathlib

from .framework import expect, expect_equal, expect_same_tree, run_command, scaled, tree
from .trees import allocated, expect_content, hard_links, make_files, make_special, set_old_times

PACKAGES = ["rsync"]

FILES = 3000


def compare(source, copy, what):
    expect_same_tree(tree(source), tree(copy), what)
    expect_equal(hard_links(copy), hard_links(source), f"{what}: hard links")


def run(folder, say):
    source, copy = folder / "source", folder / "copy"
    source.mkdir()
    written = make_files(source, scaled(FILES))
    lacks = make_special(source)
    set_old_times(source)
    options = ["-aHX" if "system.posix_acl_access" in lacks else "-aHAX", "--sparse",
               "--numeric-ids", "--delete"]

    run_command("rsync", *options, f"{source}/", f"{copy}/")
    expect_content(copy, written, "copied")
    compare(source, copy, "copied")
    if allocated(source / "sparse") < 2**20:
        expect(allocated(copy / "sparse") < 2**20, "sparse: its hole was copied as data")

    changed = sorted((source / "part3").rglob("*.txt"))
    for path in changed[:20]:
        path.write_bytes(path.read_bytes() + b"changed\n")
    for path in changed[20:40]:
        path.unlink()
    os.rename(source / "part5", source / "part5 moved")
    for path in filter(pathlib.Path.is_dir, source.rglob("*")):
        os.utime(path, (9 * 10**8, 9 * 10**8))  # of folders rsync compares the seconds only
    run_command("rsync", *options, f"{source}/", f"{copy}/")
    compare(source, copy, "brought up to date")
    again = run_command("rsync", *options, "--checksum", "--dry-run", "--itemize-changes",
                        f"{source}/", f"{copy}/")
    expect_equal(again, "", "what rsync --checksum would still change")
    without = f", without {', '.join(lacks)}" if lacks else ""
    say(f"{len(tree(copy))} files copied and brought up to date: content, modes, owners, times, "
        f"attributes, links and holes as in the source{without}; nothing left for --checksum")
