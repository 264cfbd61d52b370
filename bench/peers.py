# SPDX-License-Identifier: BSD-3-Clause
"""Filesystems that daxpin is compared with, each on memory and at its best options. A peer is a
context manager over a scratch folder on tmpfs; it yields where it is mounted."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGE = "2G"
EXAMPLE = pathlib.Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")


class Missing(Exception):
    """The peer cannot be had here; the text says what is missing."""


def run(*command, **options):
    try:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, **options)
    except FileNotFoundError as error:  # the program, or its working directory
        raise Missing(f"{error.filename}: {error.strerror}") from error
    if done.returncode != 0:
        raise Missing(f"{' '.join(map(str, command))}: {done.stdout.strip()[-300:]}")
    return done.stdout


def configure(build):
    """The programs as they are built for use (release.ini), and the benchmarks; a folder that is
    configured keeps its own way."""
    again = ["--reconfigure"] if (build / "build.ninja").exists() else \
        ["--native-file", "release.ini", "-Dtests=false"]
    run("meson", "setup", *again, "-Dbenchmarks=true", build, cwd=ROOT)


def need(program, package):
    if not shutil.which(program):
        raise Missing(f"{program} is not installed (package {package})")


def install(*packages):
    """Installs those that are missing, as far as they can be had."""
    if subprocess.run(["dpkg", "-s", *packages], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-q", *words], stdout=subprocess.DEVNULL, check=False)


def is_mounted(folder):
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return any(line.split()[4] == str(folder) for line in lines)


def end_those_of(folder):
    """A daemon in the background that has not mounted is ended by no umount; its words name the
    folder, which is of this run alone."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in (process / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


@contextlib.contextmanager
def mounted(folder, *command):
    """Runs a command that mounts there; unmounts at the end, and waits until nobody is busy."""
    folder.mkdir()
    run(*command)
    end = time.monotonic() + 10
    while not is_mounted(folder):
        if time.monotonic() > end:
            end_those_of(folder)
            raise Missing(f"{command[0]} did not mount")
        time.sleep(0.01)
    try:
        yield folder
    finally:
        end = time.monotonic() + 10
        while subprocess.run(["umount", str(folder)], check=False,
                             stderr=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > end:
                raise Missing(f"{folder} stays busy")
            time.sleep(0.1)


@contextlib.contextmanager
def medium_folder(small_pages=False):
    """A folder for media of the engine: files are mapped by pages of 2 MiB, as a device is, or of
    4 KiB."""
    with tempfile.TemporaryDirectory(prefix="daxpin-bench-", dir="/dev/shm") as scratch:
        scratch = pathlib.Path(scratch)
        if small_pages:
            yield scratch
            return
        with mounted(scratch / "medium", "mount", "-t", "tmpfs", "-o", "huge=always,size=90%",
                     "bench", scratch / "medium") as folder:
            yield folder


@contextlib.contextmanager
def tmpfs(scratch, _):
    """tmpfs: the kernel's, durable in nothing"""
    folder = scratch / "tmpfs"
    with mounted(folder, "mount", "-t", "tmpfs", "-o", f"size={IMAGE}", "bench", folder):
        yield folder


def on_image(scratch, name, package, make, mount):
    """A filesystem in a file on tmpfs: make is the words before the file's name, mount(file, folder)
    the whole command."""
    need(make[0], package)
    disk, folder = scratch / f"{name}.img", scratch / name
    run("truncate", "-s", IMAGE, disk)
    run(*make, disk)
    return mounted(folder, *mount(disk, folder))


def ext4(scratch, _):
    """ext4 on a loop device on tmpfs: noatime"""
    return on_image(scratch, "ext4", "e2fsprogs", ["mkfs.ext4", "-q"],
                    lambda disk, folder: ["mount", "-o", "loop,noatime", disk, folder])


def fuse2fs(scratch, _):
    """fuse2fs on a file on tmpfs: one thread, kernel_cache, big_writes, timeouts of a day"""
    need("fuse2fs", "fuse2fs")
    # Its own options come last and would have the kernel forget attributes at once.
    words = ",".join(["no_default_opts", "fakeroot", "kernel_cache", "use_ino", "big_writes",
                      "attr_timeout=86400", "entry_timeout=86400", "negative_timeout=86400"])
    return on_image(scratch, "fuse2fs", "e2fsprogs", ["mkfs.ext4", "-q"],
                    lambda disk, folder: ["fuse2fs", "-s", disk, folder, "-o", words])


def ntfs_3g(scratch, _):
    """ntfs-3g on a file on tmpfs: big_writes, noatime; attr_timeout=0 is built in"""
    return on_image(scratch, "ntfs-3g", "ntfs-3g", ["mkntfs", "-q", "-Q", "-F"],
                    lambda disk, folder: ["ntfs-3g", disk, folder, "-o", "big_writes,noatime"])


def on_example(scratch, name, *options):
    """libfuse's example, compiled here. One thread: faster for one caller."""
    need("gcc", "gcc")
    if not EXAMPLE.exists():
        raise Missing(f"{EXAMPLE} (package libfuse3-dev)")
    program, below = scratch / f"{name}_ll", scratch / f"{name}-below"
    flags = run("pkg-config", "--cflags", "--libs", "fuse3").split()
    run("gcc", "-O2", "-D_GNU_SOURCE", EXAMPLE, *flags, "-o", program)
    below.mkdir()
    words = ",".join([f"source={below}", "cache=always", "timeout=86400", *options])
    return mounted(scratch / name, program, "-s", "-o", words, scratch / name)


def passthrough(scratch, _):
    """passthrough_ll -s over tmpfs: cache=always, timeout=86400; neither durable nor checking"""
    return on_example(scratch, "passthrough")


def checking(scratch, _):
    """the same with default_permissions: the kernel checks permissions, as for daxpinfs"""
    return on_example(scratch, "checking", "default_permissions")


def on_volume(scratch, name, build, *options):
    disk, folder = scratch / f"{name}.img", scratch / name
    run(build / "src/tools/mkfs/mkfs.daxpinfs", "--size", IMAGE, disk)
    return mounted(folder, build / "src/fusefs/daxpinfs", disk, folder, "-o",
                   ",".join(["domain=cache_line", *options]))


def daxpin(scratch, build):
    """daxpinfs on a file on tmpfs: domain=cache_line, assumed; everything durable on return"""
    return on_volume(scratch, "daxpin", build)


def awake(scratch, build):
    """the same with spin_us=20: for processors that nobody else needs (--apart)"""
    return on_volume(scratch, "awake", build, "spin_us=20")


PEERS = {"passthrough": passthrough, "daxpin": daxpin, "awake": awake, "checking": checking,
         "tmpfs": tmpfs, "ext4": ext4, "fuse2fs": fuse2fs, "ntfs-3g": ntfs_3g}


def environment():
    """What a reader must know of the machine."""
    cpu = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
               if line.startswith("model name"))
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": os.uname().release,
            "date": time.strftime("%Y-%m-%d")}
