# SPDX-License-Identifier: BSD-3-Clause
"""What the mount tests share: volumes on scratch files, mounting, and a runner that prints rules.

A test script declares cases with @case("rule that holds"), each given a Volume that is mounted,
and ends with sys.exit(run()). Everything made here is undone here, also after a failure: each
volume unmounts, ends the daemon it started and removes its scratch folder.

Environment: DAXPIN_BUILD, the build folder; DAXPIN_TEST_DIR, where volumes are made (default:
/dev/shm, with the persistence domain assumed to be cache_line); DAXPIN_TEST_DEVICES, real devices
joined by ":" that hold the volume instead, whatever is on them. They bear one volume at a time.
"""

import argparse
import contextlib
import ctypes
import hashlib
import os
import pathlib
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback

if "DAXPIN_BUILD" in os.environ:  # cases change the working directory
    os.environ["DAXPIN_BUILD"] = os.path.abspath(os.environ["DAXPIN_BUILD"])

SKIPPED_EXIT = 77
MIB = 1 << 20


class Skip(Exception):
    """This machine cannot show the rule; the text says what is missing."""


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def expect_equal(got, wanted, what="value"):
    expect(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


@contextlib.contextmanager
def expect_errno(*wanted):
    """The block fails with one of these errnos, and with no other."""
    try:
        yield
    except OSError as error:
        names = [os.strerror(number) for number in wanted]
        expect(error.errno in wanted, f"got {os.strerror(error.errno)!r}, wanted {names}")
        return
    raise AssertionError(f"succeeded, wanted {[os.strerror(number) for number in wanted]}")


def build_folder():
    default = pathlib.Path(__file__).resolve().parents[2] / "build"
    return pathlib.Path(os.environ.get("DAXPIN_BUILD", default))


def program(name):
    """A program of the build folder; its absence is a failure, not a reason to skip."""
    for path in sorted(build_folder().glob("**/" + name)):
        if path.is_file() and os.access(path, os.X_OK) and ".p/" not in str(path):
            return str(path)
    raise AssertionError(f"{name} is not in {build_folder()}; build it first")


def run_command(*command, status=0, **options):
    """Runs a program and returns what it said; any other exit status is a failure."""
    options.setdefault("timeout", 300)
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          **options)
    wanted = status if isinstance(status, tuple) else (status,)
    expect(done.returncode in wanted,
           f"{' '.join(map(str, command))}: exit status {done.returncode}, wanted {wanted}:\n"
           f"{done.stdout[-4000:]}")
    return done.stdout


def require_fuse():
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        raise Skip(f"/dev/fuse: {error.strerror}") from error
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        raise Skip("not root, and there is no fusermount3 (package fuse3)")


def require_root(reason):
    if os.geteuid() != 0:
        raise Skip(f"needs root: {reason}")


def require_program(name):
    if shutil.which(name) is None:
        raise Skip(f"{name} is not installed")


def enter_mount_namespace(reason):
    """Runs the rest of this process where its mounts are nobody else's."""
    clone_newns = 0x00020000
    if ctypes.CDLL(None).unshare(clone_newns) != 0:
        raise Skip(f"no private mount namespace here: {reason}")
    if subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        raise Skip("the root is no mount point (a plain chroot): its mounts cannot be made private")
    # Other people's daemons end when their last mount does, and the copies here are mounts, too.
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if " - fuse.daxpinfs " in line:
                subprocess.run(["umount", "-l", line.split()[4]], stderr=subprocess.DEVNULL,
                               check=False)


def is_readable(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def let_daemons_look_into_processes():
    """A daemon that may not look into some process cannot know that nobody maps what was leased
    before its mount. Process 1 of a sandbox may be one; it maps nothing of ours, so the daemons
    under test are not shown it."""
    if os.geteuid() != 0 or is_readable("/proc/1/maps"):
        return
    enter_mount_namespace("process 1 cannot be looked into")
    with tempfile.TemporaryDirectory(prefix="daxpin-test-") as empty:
        run_command("mount", "--bind", empty, "/proc/1")


def mount_line(mountpoint):
    """The mountinfo line of what is mounted there last, or None."""
    found = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if line.split()[4] == str(mountpoint):
                found = line
    return found


def mountpoints_below(folder):
    """The last that was mounted first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        found = [line.split()[4] for line in lines]
    return [path for path in reversed(found) if path.startswith(f"{folder}/")]


def detach(mountpoint):
    command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
    subprocess.run([*command, str(mountpoint)], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)


def wait_until(condition, what, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.005)


def limit_log():
    """A daemon that logs without end must not fill the machine: SIGXFSZ ends it. Its device is
    mapped, not written, so the limit is the log's alone."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * MIB, 64 * MIB))


def real_devices():
    return [pathlib.Path(path) for path in os.environ.get("DAXPIN_TEST_DEVICES", "").split(":")
            if path]


def take_devices(separate):
    """The real devices, if there are any: one volume has them at a time."""
    devices = real_devices()
    if not devices:
        return []
    if Volume.open_count > 0:
        raise Skip("the devices hold the volume that the cases share")
    if (len(devices) > 1) != separate:
        raise Skip(f"{len(devices)} device(s), and the volume is to be on "
                   f"{'two' if separate else 'one'}")
    return devices


class Volume:
    """A volume on ordinary files in a scratch folder of its own, and where it is mounted.

    separate: metadata on one file, data on another. on_files: even if there are real devices. The
    daemon runs in the foreground under this process, so that its pid and its log are known.
    """
    open_count = 0
    open_ones = []

    def __init__(self, size=256 * MIB, separate=False, mkfs_options=(), folder=None,
                 on_files=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="daxpin-test-", dir=folder or test_dir()))
        os.chmod(self.folder, 0o755)
        self.mountpoint = self.folder / "mnt"
        self.mountpoint.mkdir()
        self.log = self.folder / "daemon.log"
        self.process = None
        self.owner = os.getpid()
        Volume.open_ones.append(self)
        try:
            taken = [] if on_files else take_devices(separate)
            self.devices = taken or self.make_files(size, separate)
            self.is_real = bool(taken)
            data = [word for device in self.devices[1:] for word in ("--data", device)]
            force = ["--force"] if self.is_real else []
            run_command(program("mkfs.daxpinfs"), *force, *mkfs_options, *data, self.devices[0])
        except BaseException:
            self.drop()
            raise
        Volume.open_count += self.is_real

    def make_files(self, size, separate):
        sizes = {"vol.img": size}
        if separate:
            sizes = {"meta.img": max(size // 4, 64 * MIB), "data.img": size}
        for name, length in sizes.items():
            with open(self.folder / name, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, length)
        return [self.folder / name for name in sizes]

    @property
    def domain_options(self):
        """tmpfs is volatile: the domain must be assumed for the engine to persist at all."""
        if self.is_real:
            return []
        kind = run_command("stat", "-f", "-c", "%T", self.folder).strip()
        return ["domain=cache_line"] if kind == "tmpfs" else []

    def mount(self, *options, environment=None, prepare=limit_log):
        """Mounts and waits until the mount stands. prepare() is called in the daemon's process
        before its program."""
        words = ",".join([*self.domain_options, *options])
        arguments = [program("daxpinfs"), str(self.devices[0]), str(self.mountpoint), "-f"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                arguments + (["-o", words] if words else []), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=prepare, env=environment)
        wait_until(lambda: self.is_mounted() or self.process.poll() is not None, "the mount")
        expect(self.process.poll() is None,
               f"daxpinfs ended with {self.process.returncode}:\n{self.read_log()}")
        return self

    def is_mounted(self):
        return mount_line(self.mountpoint) is not None

    def read_log(self):
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def unmount(self):
        """Unmounts and waits for the daemon's clean end. Handles are released asynchronously, so
        a busy mount is tried again for a while."""
        command = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
        end = time.monotonic() + 10
        while True:
            done = subprocess.run([*command, str(self.mountpoint)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode == 0:
                break
            expect(time.monotonic() < end, f"umount: {done.stdout}")
            time.sleep(0.05)
        status = self.process.wait(timeout=120)
        self.process = None
        expect(status == 0, f"daxpinfs ended with {status} after umount:\n{self.read_log()}")

    def kill(self):
        """SIGKILL of the daemon, by its own pid; then the dead mount is taken away."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=60)
        self.process = None
        with expect_errno(107):  # ENOTCONN
            os.listdir(self.mountpoint)
        self.detach()

    def detach(self):
        detach(self.mountpoint)

    def fsck(self, status=0):
        return run_command(program("fsck.daxpinfs"), "-n", *self.devices, status=status,
                           timeout=900)

    def check_and_remount(self, *options):
        """Unmount, a clean fsck, mount; what was there before is there after."""
        before = snapshot(self.mountpoint)
        self.unmount()
        self.fsck()
        self.mount(*options)
        expect_same(before, snapshot(self.mountpoint))

    def path(self, *names):
        return self.mountpoint.joinpath(*names)

    def drop(self):
        """Ends and removes all of it, waiting for nothing and nobody, as often as one likes. The
        daemon's end is its parent's to wait for."""
        if self.process is not None:
            self.process.kill()
        for mountpoint in mountpoints_below(self.folder):
            detach(mountpoint)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(ValueError):
            Volume.open_ones.remove(self)

    def close(self):
        if self not in Volume.open_ones:
            return
        if self.is_mounted():
            self.detach()
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        expect(not self.is_mounted(), f"{self.mountpoint} is still mounted")
        shutil.rmtree(self.folder)
        Volume.open_ones.remove(self)
        Volume.open_count -= self.is_real

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def test_dir():
    return os.environ.get("DAXPIN_TEST_DIR", "/dev/shm")


def describe(path):
    """What must survive an unmount of one file: type, rights, owner, links, times, data, xattrs."""
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    entry = {"mode": oct(info.st_mode), "owner": (info.st_uid, info.st_gid),
             "links": info.st_nlink, "mtime": info.st_mtime_ns, "rdev": info.st_rdev}
    if kind == stat.S_IFLNK:
        entry["target"] = os.readlink(path)
    if kind == stat.S_IFREG:
        entry["size"] = info.st_size
        with open(path, "rb") as file:
            entry["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    entry["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False)
                       for name in sorted(os.listxattr(path, follow_symlinks=False))}
    return entry


def snapshot(root, describe=describe):
    """path -> describe(path) of a whole tree."""
    root = os.fsencode(root)
    found = {b".": describe(root)}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = describe(path)
    return found


def expect_same(before, after):
    for path in sorted(before.keys() | after.keys()):
        expect(before.get(path) == after.get(path),
               f"{path!r}: before {before.get(path)}, after {after.get(path)}")


CASES = []


def case(rule, **volume_options):
    """Registers a case. Cases without volume options share one mount and get a folder each."""
    def register(function):
        CASES.append((rule, function, volume_options))
        return function
    return register


def run_case(function, shared, options, arguments):
    if options.get("bare"):
        return function()
    if options:
        with Volume(separate=arguments.separate, **options) as volume:
            volume.mount()
            function(volume)
            if volume.is_mounted():
                volume.unmount()
            volume.fsck()
        return None
    folder = shared.path(function.__name__)
    folder.mkdir()
    return function(shared, folder)


def run_all(cases, shared, arguments, counts):
    for rule, function, options in cases:
        try:
            run_case(function, shared, options, arguments)
            outcome = "passed"
            print("ok -", rule, flush=True)
        except Skip as reason:
            outcome = "skipped"
            print(f"skip - {rule}: {reason}", flush=True)
        except Exception:  # whatever goes wrong in a case is that case's failure
            outcome = "failed"
            print(f"not ok - {rule}\n{traceback.format_exc()}", flush=True)
            if shared is not None:
                print(f"    the daemon's log: {shared.read_log()}", flush=True)
        counts[outcome] += 1


def end_at_once(*_):
    """For SIGTERM: a test that is out of time is killed half a second later, which a daemon that
    hangs does not outlive then, nor what it holds."""
    for volume in [volume for volume in Volume.open_ones if volume.owner == os.getpid()]:
        volume.drop()
    sys.exit(1)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--separate", action="store_true", help="metadata and data on two devices")
    parser.add_argument("--only", help="only the rules that contain this text")
    return parser.parse_args()


def run():
    """Runs the registered cases and returns the exit status: first those that share a volume, which
    is unmounted, checked, mounted and compared at the end, then those with volumes of their own."""
    arguments = parse_arguments()
    try:
        require_fuse()
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED_EXIT
    signal.signal(signal.SIGTERM, end_at_once)
    chosen = [entry for entry in CASES if not arguments.only or arguments.only in entry[0]]
    sharing = [entry for entry in chosen if not entry[2]]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    if sharing:
        with Volume(separate=arguments.separate) as shared:
            shared.mount()
            run_all(sharing, shared, arguments, counts)
            finish(shared, counts)
    run_all([entry for entry in chosen if entry[2]], None, arguments, counts)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def finish(shared, counts):
    rule = "everything is the same after unmount, fsck and mount"
    try:
        shared.check_and_remount()
        shared.unmount()
        shared.fsck()
        counts["passed"] += 1
        print("ok -", rule, flush=True)
    except Exception:
        counts["failed"] += 1
        print(f"not ok - {rule}\n{traceback.format_exc()}\n{shared.read_log()}", flush=True)
