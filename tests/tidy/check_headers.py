#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every header compiles alone: what it needs it includes.

usage: check_headers.py ROOT COMPILER [COMPILER-ARGUMENT]...
A header that its own source includes before anything else is shown by the build, and not compiled
once more here.
The public headers are compiled as C too, and include/daxpin/ioctl.h for 32-bit programs if the
compiler can: its layout must not depend on the word size.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

PACKAGES = ("fuse3", "libpmem2", "fmt", "uuid", "libsodium")


def package_flags():
    flags = subprocess.run(["pkg-config", "--cflags", *PACKAGES], stdout=subprocess.PIPE, text=True,
                           check=True)
    return flags.stdout.split()


def compile_alone(compiler, language, arguments, include):
    """An empty source that includes the header twice: guarded and self-contained."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "alone." + ("c" if language == "c" else "cc"))
        source.write_text(f'#include "{include}"\n#include "{include}"\n')
        done = subprocess.run([*compiler, "-x", language, "-fsyntax-only", *arguments, str(source)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return None if done.returncode == 0 else done.stdout


def is_first_in_its_source(header):
    source = header.with_suffix(".cc")
    if not source.exists() or "#pragma once" not in header.read_text(encoding="utf-8"):
        return False
    included = re.search(r'^#include\s+"(?:.*/)?([^/"]+)"|^#include\s+<', source.read_text("utf-8"),
                         re.MULTILINE)
    return included is not None and included.group(1) == header.name


def jobs(root, compiler):
    cxx = ["-std=c++20", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-DFUSE_USE_VERSION=314",
           *(f"-I{root / folder}" for folder in ("src", "include", "tests")), *package_flags()]
    c = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{root / 'include'}"]
    for folder in ("src", "include", "tests"):
        for path in sorted((root / folder).rglob("*.h*")):
            wanted = path.suffix in (".h", ".hpp") and path.name != "catch.h"
            if wanted and not is_first_in_its_source(path):
                yield "C++", path, ("c++", cxx, str(path))
    for path in sorted((root / "include").rglob("*.h")):
        yield "C", path, ("c", c, str(path))
    # -m32 needs no 32-bit libc here: the header may include linux/ headers alone.
    if compile_alone(compiler, "c", ["-m32"], "linux/types.h") is None:
        yield "C, 32 bit", root / "include/daxpin/ioctl.h", (
            "c", [*c, "-m32"], str(root / "include/daxpin/ioctl.h"))


def main():
    root, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    work = list(jobs(root, compiler))
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        outputs = list(pool.map(lambda job: compile_alone(compiler, *job[2]), work))
    failed = 0
    for (language, path, _), output in zip(work, outputs):
        if output is not None:
            failed += 1
            print(f"not ok - {path.relative_to(root)} compiles alone as {language}\n{output[:4000]}")
    print(f"{len(work) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
