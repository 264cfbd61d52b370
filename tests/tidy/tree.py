# SPDX-License-Identifier: BSD-3-Clause
"""The repository as the rules see it: paths relative to the root and their text."""

import os
import pathlib
import subprocess

GENERATED_FOLDERS = ("build", ".git", "__pycache__", ".cache")
DATA_FOLDERS = ("tests/fuzz/corpus/", "tests/golden/images/")  # bytes, also where they look like text


class Tree:
    """Maps a path (with slashes, relative to the root) to the file's text; binary files are None."""

    def __init__(self, files):
        self.files = dict(files)

    @classmethod
    def load(cls, root):
        root = pathlib.Path(root)
        return cls({path: None if path.startswith(DATA_FOLDERS) else read_text(root / path)
                    for path in list_paths(root)})

    def text_files(self):
        return ((path, text) for path, text in sorted(self.files.items()) if text is not None)

    def under(self, *folders, suffixes=None):
        for path, text in self.text_files():
            if any(path.startswith(folder + "/") for folder in folders):
                if suffixes is None or path.endswith(suffixes):
                    yield path, text

    def get(self, path, default=None):
        return self.files.get(path, default)


def list_paths(root):
    """What git would commit from here; every file if this is not a checkout."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False) if has_git(root) else None
    if listed is not None and listed.returncode == 0:
        paths = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
        return [path for path in paths if (root / path).is_file()]
    return list(walk(root))


def has_git(root):
    return (root / ".git").exists() and any(
        os.access(os.path.join(folder, "git"), os.X_OK) for folder in os.get_exec_path())


def walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(GENERATED_FOLDERS)]
        for name in names:
            yield str(pathlib.Path(folder, name).relative_to(root))


def read_text(path):
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
