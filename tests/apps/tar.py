# SPDX-License-Identifier: BSD-3-Clause
"""tar: a tree with everything that a file can have, packed, unpacked and compared."""

from .framework import expect, expect_equal, expect_same_tree, run_command, scaled, tree
from .trees import allocated, expect_content, hard_links, make_files, make_special, set_old_times

PACKAGES = ["tar"]

FILES = 3000
TAR = ["tar", "--xattrs", "--xattrs-include=*", "--acls", "--sparse", "--numeric-owner",
       "--format=posix"]


def run(folder, say):
    source, copy, archive = folder / "source", folder / "copy", folder / "source.tar"
    source.mkdir()
    copy.mkdir()
    written = make_files(source, scaled(FILES))
    lacks = make_special(source)
    set_old_times(source)
    wanted = tree(source)

    run_command(*TAR, "-C", source, "-cf", archive, ".")
    run_command(*TAR, "-C", copy, "-xpf", archive)
    expect_content(copy, written, "unpacked")
    expect_same_tree(wanted, tree(copy), "unpacked")
    expect_equal(hard_links(copy), hard_links(source), "hard links unpacked")
    if allocated(source / "sparse") < 2**20:
        expect(allocated(copy / "sparse") < 2**20, "sparse: its hole was unpacked as data")
    run_command(*TAR, "-C", copy, "--compare", "-f", archive)
    without = f", without {', '.join(lacks)}" if lacks else ""
    say(f"{len(wanted)} files, {archive.stat().st_size >> 20} MiB: content, modes, owners, times, "
        f"attributes, links and holes as before{without}")
