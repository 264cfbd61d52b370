#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Programs in C and C++ are built against an installed tree by what pkg-config says, and run.

usage: check_installed.py ROOT BUILD
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT, BUILD = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
FLAGS = {"c": ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"],
         "c++": ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]}
COMPILERS = {"c": "cc", "c++": "c++"}
SOURCES = {"c": "user.c", "c++": "user.cc"}


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout


def pkg_config(tree, *arguments):
    folder = next(tree.rglob("libdaxpin.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder),
                   "PKG_CONFIG_SYSROOT_DIR": str(tree)}
    return run("pkg-config", *arguments, "libdaxpin", env=environment).split()


def build_and_run(tree, language, folder):
    program = folder / f"user-{language}"
    run(COMPILERS[language], *FLAGS[language], ROOT / "tests/abi" / SOURCES[language], "-o", program,
        *pkg_config(tree, "--cflags", "--libs"))
    library = next(tree.rglob("libdaxpin.so.1")).parent
    run(program, env={**os.environ, "LD_LIBRARY_PATH": str(library)})


def version(tree):
    said = pkg_config(tree, "--modversion")
    if said != [run("meson", "introspect", "--projectinfo", BUILD).split('"version": "')[1]
                .split('"')[0]]:
        raise AssertionError(f"version {said}")


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        tree = folder / "tree"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", tree)
        checks = {f"a program in {language} builds against the installed tree and runs":
                  lambda language=language: build_and_run(tree, language, folder)
                  for language in FLAGS}
        checks["pkg-config tells the project's version"] = lambda: version(tree)
        for rule, check in checks.items():
            try:
                check()
                print("ok -", rule)
            except (AssertionError, StopIteration) as error:
                failed += 1
                print(f"not ok - {rule}\n{error}")
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
