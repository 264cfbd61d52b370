#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Golden images: volumes that were made once and must open for ever.

    golden.py PROGRAM                 checks the images of this folder (run by the suite)
    golden.py PROGRAM --make FOLDER   makes images of all scenes there, to copy new ones from
"""

import lzma
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def check(program):
    with tempfile.TemporaryDirectory(prefix="daxpin-golden-") as name:
        folder = pathlib.Path(name)
        for text in HERE.glob("*.txt"):
            shutil.copy(text, folder)
        for image in HERE.glob("*.img.xz"):
            (folder / image.stem).write_bytes(lzma.decompress(image.read_bytes()))
        return subprocess.run([program, "check", folder], check=False).returncode


def make(program, folder):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([program, "make", folder], check=True)
    for image in folder.glob("*.img"):
        packed = lzma.compress(image.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
        image.with_suffix(".img.xz").write_bytes(packed)
        image.unlink()
    return 0


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2:3] == ["--make"]:
        return make(program, pathlib.Path(sys.argv[3]))
    return check(program)


if __name__ == "__main__":
    sys.exit(main())
