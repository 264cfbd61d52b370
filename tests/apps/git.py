# SPDX-License-Identifier: BSD-3-Clause
"""git: thousands of files, a history, gc, fsck, clones."""

import os

from .framework import digest, expect_equal, expect_same_tree, run_command, tree
from .trees import expect_content, make_files

PACKAGES = ["git"]

FILES = 3000
COMMITS = 5
GIT = ["git", "-c", "user.name=someone", "-c", "user.email=someone@example.org",
       "-c", "init.defaultBranch=main", "-c", "gc.auto=0", "-c", "safe.directory=*",
       "-c", "protocol.file.allow=always"]
ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def git(folder, *words):
    return run_command(*GIT, "-C", folder, *words, env=ENVIRONMENT)


def worktree(folder):
    """What git keeps of a tree: names, bytes, symbolic links, the executable bit."""
    def kept(path):
        if path.is_symlink():
            return os.readlink(path)
        return None if path.is_dir() else (path.stat().st_mode & 0o100, digest(path))
    return {name: what for name, what in tree(folder, kept).items()
            if name != ".git" and not name.startswith(".git/")}


def change(folder, number):
    """One commit: files changed, moved, removed; an executable and a link added."""
    parts = sorted((folder / f"part{number}").rglob("*.txt"))
    for path in parts[:20]:
        path.write_text(f"changed in commit {number}\n" + path.read_text())
    for path in parts[20:40]:
        git(folder, "mv", path, path.with_suffix(".moved"))
    for path in parts[40:50]:
        path.unlink()
    script = folder / f"script{number}"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (folder / f"link{number}").symlink_to(f"script{number}")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"change {number}")
    expect_equal(git(folder, "status", "--porcelain"), "", "git status after a commit")


def run(folder, say):
    repository = folder / "repository"
    repository.mkdir()
    written = make_files(repository, FILES)
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "all")
    git(repository, "tag", "first")
    for number in range(COMMITS):
        change(repository, number)
    wanted = worktree(repository)
    git(repository, "gc", "-q", "--prune=now")
    git(repository, "fsck", "--full", "--strict")

    clone = folder / "clone"
    git(folder, "clone", "-q", repository.as_uri(), clone)
    git(clone, "fsck", "--full", "--strict")
    expect_same_tree(wanted, worktree(clone), "the clone")
    git(clone, "checkout", "-q", "first")
    expect_content(clone, written, "the first commit, checked out")
    expect_equal(len(git(clone, "ls-files").splitlines()), FILES, "files of the first commit")
    git(clone, "checkout", "-q", "main")
    expect_same_tree(wanted, worktree(clone), "the last commit, checked out")
    expect_equal(git(clone, "status", "--porcelain"), "", "git status of the clone")
    objects = len(git(clone, "rev-list", "--objects", "--all").splitlines())
    say(f"{FILES} files, {COMMITS + 1} commits, {objects} objects through gc and fsck; clone and "
        "two checkouts compared")
