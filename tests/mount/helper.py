#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""mount(8), fstab, remount and fsck(8) reach us as any filesystem, after `meson install`.

The installed tree is staged in a scratch folder and shown to mount(8) under the system's paths in
a private mount namespace, so nothing is installed here.
"""

import contextlib
import errno
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from harness import (MIB, Skip, Volume, build_folder, case, enter_mount_namespace, expect,
                     expect_equal, expect_errno, mount_line, program, require_root, run, run_command,
                     test_dir, wait_until)


def stage(folder):
    run_command("meson", "install", "-C", build_folder(), "--no-rebuild", "--destdir", folder)
    return pathlib.Path(folder)


@case("install: everything is where Debian would put it", bare=True)
def installed_files():
    with tempfile.TemporaryDirectory() as folder:
        root = stage(folder)
        names = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
        for pattern in (r".*bin/daxpinfs", r".*sbin/mkfs\.daxpinfs", r".*sbin/fsck\.daxpinfs",
                        r".*sbin/fsck\.fuse\.daxpinfs", r".*sbin/mount\.fuse\.daxpinfs",
                        r".*sbin/dump\.daxpinfs", r".*bin/daxpin", r".*/libdaxpin\.so\.\d+",
                        r".*/pkgconfig/.*daxpin\.pc", r".*include/daxpin/daxpin\.h",
                        r".*include/daxpin/ioctl\.h", r".*/systemd/system/.*daxpin.*@\.service",
                        r".*/udev/rules\.d/60-daxpin\.rules",
                        r".*/bash-completion/completions/daxpin"):
            expect(any(re.fullmatch(pattern, name) for name in names),
                   f"nothing installed matches {pattern}: {sorted(names)}")


def start_unit(volume):
    """What systemd would run to start the unit on the volume's mount point; the last status."""
    unit = (build_folder() / "src/fusefs/daxpinfs@.service").read_text()
    options = ",".join(["rw", *volume.domain_options])
    for line in unit.splitlines():
        if not line.startswith(("ExecStartPre=", "ExecStart=")):
            continue
        words = [word.replace("${DEVICE}", str(volume.devices[0])).replace("${OPTIONS}", options)
                 .replace("%f", str(volume.mountpoint)).replace("$$", "$")
                 for word in shlex.split(line.partition("=")[2])]
        if words[0].endswith("/daxpinfs"):
            words[0] = program("daxpinfs")
        status = subprocess.run(words, env={**os.environ, "DEVICE": str(volume.devices[0])},
                                check=False).returncode
        if status != 0:
            return status
    return 0


def kill_daemon_of(volume):
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"daxpinfs") and bytes(volume.devices[0]) in words:
                os.kill(int(process.name), signal.SIGKILL)


@case("the unit: what is mounted stays, a dead mount goes, a late device is waited for", bare=True)
def unit():
    def action(volume):
        device, late = volume.devices[0], volume.folder / "late"
        device.rename(late)
        appears = threading.Timer(0.5, lambda: late.rename(device))
        appears.start()
        expect_equal(start_unit(volume), 0, "status with a device that comes late")
        appears.join()
        volume.path("file").write_bytes(b"1")
        with volume.path("file").open("rb") as opened:
            expect(start_unit(volume) != 0, "a second start was let through")
            expect_equal(opened.read(), b"1", "what is read of a file opened before")
        kill_daemon_of(volume)
        wait_until(lambda: is_dead(volume.mountpoint), "a mount that answers ENOTCONN")
        expect_equal(start_unit(volume), 0, "status over a dead mount")
        expect_equal(volume.path("file").read_bytes(), b"1", "the file after the restart")
        unmounted_and_free(volume)
    in_namespace(action)


def is_dead(mountpoint):
    try:
        mountpoint.stat()
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def show_as_installed(root, scratch):
    """Overlays a folder of links to both the system's and our programs on each bin folder."""
    for system in ("/usr/sbin", "/usr/bin"):
        ours = [path for path in root.rglob("*") if path.is_file() or path.is_symlink()
                if os.path.basename(system) == path.parent.name]
        if not ours:
            continue
        kept, shown = scratch / ("kept" + system), scratch / ("shown" + system)
        kept.mkdir(parents=True)
        shown.mkdir(parents=True)
        run_command("mount", "--bind", system, kept)
        for entry in os.scandir(kept):
            (shown / entry.name).symlink_to(kept / entry.name)
        for path in ours:
            target = shown / path.name
            target.unlink(missing_ok=True)
            shutil.copy(path, target, follow_symlinks=True)
        run_command("mount", "--bind", shown, system)


def in_namespace(action):
    """Runs action(volume) in a child with our programs installed, and passes its failure on."""
    require_root("mount(8)")
    with Volume(size=64 * MIB) as volume, tempfile.TemporaryDirectory(dir=test_dir()) as folder:
        root = stage(pathlib.Path(folder, "root"))
        child = os.fork()
        if child == 0:
            os._exit(run_child(action, volume, root, pathlib.Path(folder)))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 77:
            raise Skip("no private mount namespace here")
        expect_equal(status, 0, "exit status of the child; its failure is printed above")


def run_child(action, volume, root, folder):
    import traceback
    try:
        enter_mount_namespace("programs are shown as installed")
        show_as_installed(root, folder)
        # Libraries come from the build folder: staged ones are not on the linker's path.
        libraries = {str(path.parent) for path in root.rglob("libdaxpin.so*")}
        os.environ["LD_LIBRARY_PATH"] = ":".join(libraries)
        action(volume)
        return 0
    except Skip as reason:
        print(f"skip: {reason}")
        return 77
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        if mount_line(volume.mountpoint):
            subprocess.run(["umount", "-l", str(volume.mountpoint)], check=False)


def options_of(volume, *more):
    words = [*volume.domain_options, *more]
    return ["-o", ",".join(words)] if words else []


def unmounted_and_free(volume):
    """umount returns before the daemon has ended; the next mount needs the device."""
    run_command("umount", volume.mountpoint)
    wait_until(lambda: subprocess.run([program("fsck.daxpinfs"), "-n", str(volume.devices[0])],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      check=False).returncode == 0, "a clean volume, not in use")


@case("mount -t fuse.daxpinfs, then remount read-only and writable", bare=True)
def mount_and_remount():
    def action(volume):
        run_command("mount", "-t", "fuse.daxpinfs", volume.devices[0], volume.mountpoint,
                    *options_of(volume))
        expect("fuse.daxpinfs" in mount_line(volume.mountpoint), "the type in mountinfo")
        volume.path("file").write_bytes(b"1")
        run_command("mount", "-o", "remount,ro", volume.mountpoint)
        with expect_errno(errno.EROFS):
            volume.path("file").write_bytes(b"2")
        with expect_errno(errno.EROFS):
            os.setxattr(volume.path("file"), "user.daxpin.pin", b"1")
        expect_equal(volume.path("file").read_bytes(), b"1", "what a read-only mount shows")
        run_command("mount", "-o", "remount,rw", volume.mountpoint)
        volume.path("file").write_bytes(b"3")
        unmounted_and_free(volume)
    in_namespace(action)


@case("fstab: mount by its mount point, and fsck -A's helper", bare=True)
def fstab():
    def action(volume):
        table = volume.folder / "fstab"
        words = ",".join(["noauto", "nofail", *volume.domain_options])
        table.write_text(f"{volume.devices[0]} {volume.mountpoint} fuse.daxpinfs {words} 0 2\n")
        run_command("mount", "--fstab", table, volume.mountpoint)
        volume.path("file").write_bytes(b"1")
        unmounted_and_free(volume)
        run_command("fsck", "-t", "fuse.daxpinfs", volume.devices[0], "--", "-n")
    in_namespace(action)


@case("fstab: a volume is mounted by its label, and named so", bare=True)
def by_label():
    def action(volume):
        device = volume.devices[0]
        run_command("mkfs", "-t", "daxpinfs", "--force", "--label", "shop", device)
        table = volume.folder / "fstab"
        words = ",".join([f"device={device}", *volume.domain_options])
        table.write_text(f"volume:shop {volume.mountpoint} fuse.daxpinfs {words} 0 0\n")
        for _ in range(2):  # the second time it stands already
            run_command("mount", "--fstab", table, "-a")
        expect("fuse.daxpinfs volume:shop" in mount_line(volume.mountpoint), "another source")
        unmounted_and_free(volume)
        expect(mount_line(volume.mountpoint) is None, "mounted twice")
        done = subprocess.run([program("daxpinfs"), "volume:shop", volume.mountpoint],
                              capture_output=True, text=True, check=False)
        expect_equal(done.returncode, 32, "status where no device is of that name")
        expect("volume:shop: no device DAX" in done.stderr, done.stderr)
    in_namespace(action)


@case("mkfs -t daxpinfs reaches mkfs.daxpinfs", bare=True)
def mkfs_front_end():
    def action(volume):
        run_command("mkfs", "-t", "daxpinfs", "--force", volume.devices[0])
        volume.fsck()
    in_namespace(action)


if __name__ == "__main__":
    sys.exit(run())
