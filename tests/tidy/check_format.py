#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every C and C++ file is as clang-format leaves it.

usage: check_format.py ROOT
Exit status 77 if clang-format 14 is not installed: other versions break lines elsewhere.
"""

import pathlib
import shutil
import subprocess
import sys

FOLDERS = ("src", "include", "examples", "bench", "tests")
SUFFIXES = (".c", ".cc", ".h")


def main():
    root = pathlib.Path(sys.argv[1])
    program = shutil.which("clang-format-14")
    if program is None:
        print("SKIP: clang-format-14 is not installed")
        return 77
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))
             if path.suffix in SUFFIXES]
    failed = 0
    for path in files:
        done = subprocess.run([program, "--dry-run", "-Werror", path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            failed += 1
            print(f"{path.relative_to(root)}: run clang-format -i\n{done.stdout[:500]}")
    print(f"{len(files) - failed} passed, {failed} failed, 0 skipped")
    return int(failed > 0 or not files)


if __name__ == "__main__":
    sys.exit(main())
