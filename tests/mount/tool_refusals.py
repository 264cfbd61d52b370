#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the tools refuse or pass over, names that are no text, output that cannot be written."""

import fcntl
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

from harness import (MIB, Volume, case, expect, expect_equal, program, require_root, run,
                     run_command)

FS_IOC_FSGETXATTR = 0x801c581f
SMALL = {"size": 64 * MIB}


def daxpin(*arguments, status=0, **options):
    return run_command(program("daxpin"), *arguments, status=status, **options)


def align_hint(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        answer = fcntl.ioctl(fd, FS_IOC_FSGETXATTR, bytes(28))
    finally:
        os.close(fd)
    return struct.unpack("IIIII8s", answer)[1]


@case("hint --align: set for a directory, inherited by its files, and taken back")
def align(_, folder):
    daxpin("hint", "--align", "2M", folder)
    expect_equal(align_hint(folder), 2 * MIB, "the directory's hint")
    (folder / "file").touch()
    expect_equal(align_hint(folder / "file"), 2 * MIB, "the file's hint")
    daxpin("hint", "--align", "0", folder, folder / "file")
    expect_equal([align_hint(folder), align_hint(folder / "file")], [0, 0], "hints")


@case("hint --align: what is no power of two from 4 KiB to 1 GiB is named with what is allowed")
def wrong_align(_, folder):
    (folder / "file").touch()
    for size in ("2G", "3M", "512", "1"):
        said = daxpin("hint", "--align", size, folder / "file", status=2)
        expect("4 KiB to 1 GiB" in said, said)
    daxpin("hint", "--align", "1G", folder / "file")


@case("pins: refused where no daxpin filesystem is, --list and --restore")
def pins_of_nothing(volume, _):
    said = daxpin("pins", "--list", volume.folder, status=1)
    expect(str(volume.folder) in said, said)
    daxpin("pins", "--restore", volume.folder, status=1, input="")
    daxpin("pins", volume.folder / "missing", status=1)


@case("--json: names that are no UTF-8")
def names(_, folder):
    path = os.fsencode(folder) + b"/\xff\xfe"
    with open(path, "wb") as file:
        file.write(b"x" * 4096)
    for command in ("status", "extents", "hint"):
        said = daxpin(command, "--json", os.fsdecode(path))
        expect("path" in json.loads(said), said)


@case("--json: one document, an array if there are several paths; what failed is left out")
def several(volume, folder):
    paths = [folder / name for name in ("one", "two")]
    for path in paths:
        path.write_bytes(b"x" * 4096)
    for command in ("status", "extents", "hint"):
        found = json.loads(daxpin(command, "--json", *paths))
        expect_equal([entry["path"] for entry in found], [str(path) for path in paths], command)
    for command in (["info"], ["info", "--bad"], ["leases"], ["pins"]):
        found = json.loads(daxpin(*command, "--json", volume.mountpoint, volume.mountpoint))
        expect_equal(len(found), 2, command)
    done = subprocess.run([program("daxpin"), "status", "--json", paths[0], folder / "missing"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    expect_equal(done.returncode, 1, "exit status")
    expect_equal(len(json.loads(done.stdout)), 1, "files shown")


@case("a FIFO is refused, not waited for")
def fifo(_, folder):
    path = folder / "fifo"
    os.mkfifo(path)
    for command in ("status", "info", "hint", "leases", "pin", "unpin"):
        said = daxpin(command, path, status=1, timeout=10)
        expect(str(path) in said and "file" in said, said)


@case("extents follows a symbolic link as status does")
def link(_, folder):
    (folder / "file").write_bytes(b"x" * 8192)
    (folder / "link").symlink_to("file")
    expect_equal(daxpin("extents", folder / "link"), daxpin("extents", folder / "file"), "extents")


@case("pins --restore: a wrong line is named, the others are done, and the exit status is 1")
def wrong_lines(volume, folder):
    path = folder / "file"
    path.write_bytes(b"x" * 8192)
    name = path.relative_to(volume.mountpoint)
    for wrong in (f"whole {name}\\9zz", f"whole {name}\\777", f"whole {name}\\1", "whole",
                  f"0 4096x {name}", f"-4096 4096 {name}", f"0 4096 {name} more", "0"):
        said = daxpin("pins", "--restore", volume.mountpoint, status=1,
                      input=f"{wrong}\nwhole {name}\n")
        expect("not a line" in said and "1 pin could not" in said, said)
        expect_equal(os.getxattr(path, "user.daxpin.pin"), b"1", f"pin after {wrong!r}")
        daxpin("unpin", path)


@case("pins --restore: neither a symbolic link nor a path out of the mount is followed")
def strange_paths(volume, folder):
    victim = folder / "victim"
    victim.write_bytes(b"x" * 8192)
    (folder / "link").symlink_to("victim")
    (folder / "way").symlink_to(".")
    below = folder.relative_to(volume.mountpoint)
    for path in (f"{below}/link", f"{below}/way/victim", victim, f"../{volume.mountpoint.name}/"
                 f"{below}/victim"):
        said = daxpin("pins", "--restore", volume.mountpoint, status=1, input=f"whole {path}\n")
        expect("symbolic link or out of the mount" in said, said)
        expect_equal(os.getxattr(victim, "user.daxpin.pin"), b"0", f"pin after {path}")
    daxpin("pins", "--restore", volume.mountpoint, input=f"whole {below}/victim\n")
    daxpin("unpin", victim)


@case("pin and unpin: --offset without --length is no range")
def offset_alone(_, folder):
    path = folder / "file"
    path.write_bytes(b"x" * 8192)
    for command in ("pin", "unpin"):
        said = daxpin(command, "--offset", "4096", path, status=2)
        expect("--length" in said, said)


@case("pins as a user: a directory that he may not read is named, the pins elsewhere are shown",
      **SMALL)
def unreadable(volume):
    require_root("to be another user")
    for name in ("open", "closed"):
        volume.path(name).mkdir()
        (volume.path(name) / "file").write_bytes(b"x" * 4096)
        daxpin("pin", "-q", volume.path(name) / "file")
    volume.path("closed").chmod(0o700)
    tool = os.open(program("daxpin"), os.O_PATH)  # the user may not reach the build folder
    said = daxpin("pins", volume.mountpoint, status=1, executable=f"/proc/self/fd/{tool}",
                  pass_fds=[tool], user=65534, group=65534, extra_groups=[])
    os.close(tool)
    expect("whole open/file" in said, said)
    expect(str(volume.path("closed")) in said, said)


@case("dump: an inode that is not there is an error, for directory and extents too", bare=True)
def no_inode():
    with Volume(size=64 * MIB) as volume:
        for command in ("inode", "directory", "extents"):
            run_command(program("dump.daxpinfs"), command, volume.devices[0], "1")
            said = run_command(program("dump.daxpinfs"), command, volume.devices[0], "12345",
                               status=1)
            expect(said.strip() == "dump.daxpinfs: there is no inode 12345", said)


def completions(name, *words):
    """What bash offers for the last of these words."""
    script = (f'source "$1"; shift; COMP_WORDS=({name} "$@"); COMP_CWORD=$#; _{name}; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    folder = pathlib.Path(__file__).resolve().parents[2] / "scripts/completions"
    return run_command("bash", "-c", script, "bash", folder / name, *words, cwd="/").split()


@case("completion: a process number, also one that is whole already", bare=True)
def complete_process():
    whole = str(os.getpid())
    expect(whole in completions("daxpin", "map-info", whole), "the whole number is not offered")
    expect(whole in completions("daxpin", "map-info", whole[:-1]), "nor is it for its beginning")
    expect(all(word.isdigit() for word in completions("daxpin", "map-info", "")), "other names")


@case("completion: the options of daxpinfs --help, and what is passed on", bare=True)
def complete_options():
    script = pathlib.Path(__file__).resolve().parents[2] / "scripts/completions/daxpinfs"
    offered = script.read_text().split()
    said = run_command(program("daxpinfs"), "--help").partition("Options after -o:")[2]
    valued = re.findall(r"^  ([a-z_]+=)[A-Z]", said, re.MULTILINE)
    expect(len(valued) > 8, f"options of --help: {valued}")
    for word in (*valued, "foreground", "debug", "sloppy", "sync", "subtype=", "auto_unmount"):
        expect(word in offered or f"words='{word}" in offered, f"{word} is not offered")


def expect_lost_output(status, *command):
    """The program says so in one line, where what it prints cannot be written."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(list(map(str, command)), stdout=full, stderr=subprocess.PIPE,
                              text=True, check=False, timeout=60)
    expect_equal(done.returncode, status, f"exit status of {command}")
    expect("standard output" in done.stderr and done.stderr.count("\n") == 1, done.stderr)


@case("output that cannot be written: daxpin says so and exits with 1")
def full_output(volume, folder):
    path = folder / "file"
    path.write_bytes(b"x" * 4096)
    daxpin("pin", "-q", path)
    for command in (["info", volume.mountpoint], ["pins", volume.mountpoint],
                    ["pins", "--json", volume.mountpoint], ["status", path], ["extents", path]):
        expect_lost_output(1, program("daxpin"), *command)


@case("output that cannot be written: fsck exits with 8, dump with 1, daxpinfs --help with 2",
      bare=True)
def full_output_of_tools():
    with Volume(size=64 * MIB) as volume:
        device = volume.devices[0]
        expect_lost_output(8, program("fsck.daxpinfs"), "-n", device)
        expect_lost_output(8, program("fsck.daxpinfs"), "-n", "--json", device)
        expect_lost_output(1, program("dump.daxpinfs"), "superblock", device)
        expect_lost_output(2, program("daxpinfs"), "--help")
        expect_lost_output(1, program("mkfs.daxpinfs"), "--force", "--json", device)


if __name__ == "__main__":
    sys.exit(run())
