# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: what daxpin is to live on, made of the NVDIMMs.

    devices.py make KIND     namespaces and, where the kind says so, a DAX filesystem
    devices.py find KIND     the same after another boot

Prints one line of JSON: "devices", what holds the volume, metadata first, and "folder", where the
DAX filesystem is mounted that they are files of, or null."""

import glob
import json
import os
import subprocess
import sys

FOLDER = "/mnt/pmem"
FILE = FOLDER + "/volume"


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def make_namespace(region, *words):
    name = f"region{region}"
    run("ndctl", "disable-region", name)
    run("ndctl", "init-labels", "-f", f"nmem{region}")
    run("ndctl", "enable-region", name)
    run("ndctl", "create-namespace", "-f", "-r", name, *words)


def make_devdax(*alignments):
    for region, alignment in enumerate(alignments):
        make_namespace(region, "-m", "devdax", "-a", alignment)


def make_memmap():
    """There is no label area to keep a namespace in; it is in the memory itself."""
    run("ndctl", "create-namespace", "-f", "-e", "namespace0.0", "-m", "devdax", "-a", "2M",
        "--map=mem")


def find_devdax():
    devices = sorted(glob.glob("/dev/dax*"))
    for device in devices:  # as a udev rule would do for the group of the daemon's user
        os.chown(device, 0, 65534)
        os.chmod(device, 0o660)
    return {"devices": devices, "folder": None}


def make_fsdax(*mkfs):
    make_namespace(0, "-m", "fsdax", "--map=mem")
    run(*mkfs, "/dev/pmem0")


def find_fsdax(kind, options):
    os.makedirs(FOLDER, exist_ok=True)
    run("mount", "-t", kind, "-o", options, "/dev/pmem0", FOLDER)
    return {"devices": [FILE], "folder": FOLDER}


KINDS = {
    "devdax-2m": (lambda: make_devdax("2M"), find_devdax),
    "devdax-4k": (lambda: make_devdax("4K"), find_devdax),
    "devdax-1g": (lambda: make_devdax("1G"), find_devdax),
    "memmap": (make_memmap, find_devdax),
    "two": (lambda: make_devdax("4K", "2M"), find_devdax),
    "ext4-dax": (lambda: make_fsdax("mkfs.ext4", "-q", "-b", "4096"),
                 lambda: find_fsdax("ext4", "dax=always")),
    "xfs-dax": (lambda: make_fsdax("mkfs.xfs", "-q", "-f", "-m", "reflink=0"),
                lambda: find_fsdax("xfs", "dax=always")),
    "ext4": (lambda: make_fsdax("mkfs.ext4", "-q", "-b", "4096"),
             lambda: find_fsdax("ext4", "dax=never")),
}


def main():
    action, kind = sys.argv[1:]
    make, find = KINDS[kind]
    if action == "make":
        make()
    print(json.dumps(find()))


if __name__ == "__main__":
    main()
