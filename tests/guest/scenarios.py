# SPDX-License-Identifier: BSD-3-Clause
"""What is done with the virtual machine. A scenario is a function of a Bed; it returns (passed,
failed, skipped) and prints a line for each rule."""

import json
import mmap
import os
import random
import re
import subprocess
import time

import machine

MIB = 1 << 20
MOUNTPOINT = "/mnt/daxpin"
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
# What a volume lies on, and the sizes of the NVDIMMs for it in MiB. On a filesystem there must be
# room for several volumes. "memmap" is ordinary memory that the kernel was told to take for pmem.
KINDS = {"devdax-2m": (512,), "devdax-4k": (512,), "devdax-1g": (4096,), "two": (512, 512),
         "ext4-dax": (1024,), "xfs-dax": (1024,), "ext4": (1024,), "memmap": ()}
PARAMETERS = {"memmap": "memmap=512M!1G"}
PAGES = {"devdax-2m": 2 * MIB, "two": 2 * MIB}  # others: BLOCK
DEVDAX = ("devdax-2m", "devdax-4k", "two")
FSDAX = {"ext4-dax": "ext4", "xfs-dax": "xfs"}  # the filesystem's name
SUITE = ("tour", "pins", "flags", "restart", "leases", "conformance")
APPS = ("tar", "rsync", "sqlite")
CLIENTS = 2
BOOTS = 3  # are tried
SILENT_SECONDS = 1800  # of a test script; the conformance suite tells at its end
BLOCK = 4096
LABEL_MAGIC = b"DXPINLB1"
FLUSH = re.compile(r"0x([0-9a-f]+):.*\b((?:clwb|clflushopt|clflush)\b.*?)\s*$")
KERNEL_START = 1 << 63


class Failed(Exception):
    """A rule does not hold; the text says which, and what was seen."""


class Bed:
    """The NVDIMMs of one kind, and the machines that run on them one after the other."""

    def __init__(self, kind, kernel, initramfs, folder, programs, *, seed, persistence="mem-ctrl"):
        self.kind, self.kernel, self.initramfs, self.folder = kind, kernel, initramfs, folder
        self.programs, self.seed, self.persistence = programs, seed, persistence
        folder.mkdir(parents=True, exist_ok=True)
        self.nvdimms = [machine.Nvdimm(folder / f"nvdimm{index}", size)
                        for index, size in enumerate(KINDS[kind])]
        self.made = False
        self.found = None

    def boot(self, emulated=False):
        """A machine whose devices are there; made at the first boot, found at each later one.
        emulated: KVM is not used, though it may work."""
        guest = self.power_on(emulated)
        try:
            lines = succeed(guest, "python3", "/tests/guest/devices.py",
                            "find" if self.made else "make", self.kind)
        except BaseException:
            guest.cut()
            raise
        self.made = True
        self.found = json.loads(lines[-1])
        return guest

    def power_on(self, emulated):
        """Again if the kernel does not come up: on a busy host an emulated processor may find
        itself locked up. Nothing of daxpin has run by then."""
        for left in range(BOOTS - 1, -1, -1):
            try:
                return machine.Machine(self.kernel, self.initramfs, self.nvdimms, self.folder,
                                       persistence=self.persistence,
                                       parameters=PARAMETERS.get(self.kind, ""),
                                       kvm=not emulated and machine.kvm_works())
            except machine.NotUp as reason:
                if left == 0:
                    raise
                print(f"    the kernel did not come up, again: {reason}", flush=True)

    @property
    def domain(self):
        if self.kind == "ext4":
            return "page"
        return "cache_line" if self.persistence == "mem-ctrl" else "byte"

    def environment(self):
        """Of the mount tests."""
        place = {"DAXPIN_TEST_DIR": self.found["folder"]} if self.found["folder"] else \
            {"DAXPIN_TEST_DEVICES": ":".join(self.found["devices"])}
        return {"DAXPIN_BUILD": "/build", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH":
                "/tests/mount", "DAXPIN_TEST_KIND": self.kind, "DAXPIN_TEST_DOMAIN": self.domain,
                "DAXPIN_TEST_PAGE": str(PAGES.get(self.kind, BLOCK)), **place}

    def mkfs(self, guest):
        first, *data = self.found["devices"]
        if self.found["folder"]:
            succeed(guest, "fallocate", "-l", "256M", first)
        succeed(guest, "/build/mkfs.daxpinfs", "--force",
                *[word for device in data for word in ("--data", device)], first)

    def mount(self, guest):
        succeed(guest, "mkdir", "-p", MOUNTPOINT)
        succeed(guest, "/build/daxpinfs", self.found["devices"][0], MOUNTPOINT)

    def fsck(self, guest):
        succeed(guest, "/build/fsck.daxpinfs", "-n", *self.found["devices"])


def succeed(guest, *command, **environment):
    status, lines = guest.run(*command, **environment)
    if status != 0:
        text = "\n".join(lines[-20:])
        raise Failed(f"{' '.join(map(str, command))}: exit status {status}\n{text}")
    return lines


def run_script(guest, bed, *command):
    """A test script that ends with its counts; its output is shown as it comes."""
    counts, lines = None, guest.lines(SILENT_SECONDS)
    guest.start("python3", *command, **bed.environment())
    while True:
        try:
            line = next(lines)
        except StopIteration as end:
            status = end.value
            break
        print(f"    {line}", flush=True)
        counts = CLOSING.match(line) or counts
    if counts is None:
        return (0, 0, 1) if status == 77 else (0, 1, 0)
    passed, failed, skipped = map(int, counts.groups())
    return passed, failed or int(status != 0), skipped


def add(one, other):
    return tuple(a + b for a, b in zip(one, other))


def layout(bed):
    return ["--separate"] if len(bed.nvdimms) > 1 else []


def suite(bed):
    """mkfs, mount, the mount suite's scripts, unmount, fsck; as root, and device DAX by its group
    as an ordinary user, too."""
    counts = (0, 0, 0)
    with bed.boot() as guest:
        for name in (*SUITE, *(["user"] if bed.kind in DEVDAX else [])):
            print(f"  {name}", flush=True)
            counts = add(counts, run_script(guest, bed, f"/tests/mount/{name}.py", *layout(bed)))
    return counts


def apps(bed):
    """Real applications in small, unmount, fsck."""
    with bed.boot() as guest:
        bed.mkfs(guest)
        bed.mount(guest)
        only = [word for name in APPS for word in ("--only", name)]
        counts = run_script(guest, bed, "/scripts/apps", "--small", *only, MOUNTPOINT)
        succeed(guest, "umount", MOUNTPOINT)
        bed.fsck(guest)
    return counts


def mapping(bed):
    """Page sizes, faults, MAP_SYNC, the domain, map-info, neighbours."""
    # In units of 1 GiB there is room for one file.
    words = ["--only", "page sizes"] if bed.kind == "devdax-1g" else layout(bed)
    with bed.boot() as guest:
        return run_script(guest, bed, "/tests/guest/mapping.py", *words)


def wrong_devices(bed):
    """Modes of a namespace that cannot be used, sizes and names that have changed."""
    with bed.boot() as guest:
        return run_script(guest, bed, "/tests/guest/wrong_devices.py")


def poison(bed):
    """Pages of data, of metadata and of a client's map are taken away by the kernel."""
    with bed.boot() as guest:
        return run_script(guest, bed, "/tests/guest/poison.py", *layout(bed))


def flushes(bed):
    """Daemon and library run flush instructions where caches are lost (domain cache_line), and none
    where they survive (byte)."""
    counts = (0, 0, 0)
    for persistence in ("mem-ctrl", "cpu"):
        other = Bed(bed.kind, bed.kernel, bed.initramfs, bed.folder / persistence, bed.programs,
                    seed=bed.seed, persistence=persistence)
        found, tests = flush_instructions(other)
        good = bool(found) == (persistence == "mem-ctrl")
        print(f"    {'ok' if good else 'not ok'} - domain {other.domain}: {len(found)} places of "
              f"flush instructions were run: {', '.join(sorted(found.values())[:6])}", flush=True)
        counts = add(counts, add(tests, (int(good), int(not good), 0)))
    return counts


def flush_instructions(bed):
    """Address -> instruction of those that were run in user space, and what the tests counted."""
    with bed.boot(emulated=True) as guest:
        guest.log_instructions(True)
        tests = run_script(guest, bed, "/tests/guest/mapping.py", *layout(bed))
        guest.log_instructions(False)
        found = {}
        with open(guest.instructions, encoding="utf-8", errors="replace") as log:
            for line in log:
                match = FLUSH.match(line)
                if match and int(match.group(1), 16) < KERNEL_START:
                    found[match.group(1)] = match.group(2)
    return found, tests


def collect(guest, counts, seconds):
    """Counts acknowledgements of the load for a while, from when each client has had one; a load
    that ends has failed."""
    end = None
    lines = guest.lines(120)
    while end is None or time.monotonic() < end:
        try:
            line = next(lines)
        except StopIteration as stopped:
            raise Failed(f"the load ended with {stopped.value}") from None
        if not line.isdigit():
            raise Failed("the load: " + "\n".join([line, *lines]))
        counts[int(line)] += 1
        if end is None and all(counts):
            end = time.monotonic() + seconds


def check_after_cut(bed, guest, seed, counts):
    bed.fsck(guest)
    bed.mount(guest)
    return succeed(guest, "python3", "-B", "/tests/guest/load.py", "verify", MOUNTPOINT, seed,
                   *counts)


def power_cut(bed, cuts=5):
    """The power goes at a random moment under load; what was acknowledged is there afterwards."""
    moments = random.Random(bed.seed)
    total = 0
    guest = bed.boot()
    try:
        bed.mkfs(guest)
        bed.mount(guest)
        for number in range(1, cuts + 1):
            seed, counts = f"{bed.seed}.{number}", [0] * CLIENTS
            guest.start("python3", "-B", "/tests/guest/load.py", "run", MOUNTPOINT, seed, CLIENTS)
            seconds = moments.uniform(1, 6)
            collect(guest, counts, seconds)
            guest.cut()
            guest = bed.boot()
            lines = check_after_cut(bed, guest, seed, counts)
            total += sum(counts)
            succeed(guest, "python3", "-B", "/tests/guest/load.py", "clean", MOUNTPOINT, seed,
                    CLIENTS)
            print(f"    ok - cut {number} after {seconds:.1f} s: {'; '.join(lines)}", flush=True)
    finally:
        guest.cut()
    print(f"  {cuts} power cuts, {total} acknowledged operations, none lost (seed {bed.seed})")
    return cuts, 0, 0


def read_word(path, offset):
    with open(path, "rb") as file:
        file.seek(offset)
        return int.from_bytes(file.read(8), "little")


def volume_in_filesystem(image, volume, kind):
    """Copies the volume out of the filesystem on an NVDIMM's image; the host's kernel recovers
    that filesystem first."""
    # Where the namespace's memory begins: dataoff of its info block, struct nd_pfn_sb of Linux.
    offset = read_word(image, 4096 + 56)
    options = f"loop,offset={offset}" + (",nouuid" if kind == "xfs" else "")
    folder = volume.with_name("recovered")
    folder.mkdir(exist_ok=True)
    try:
        machine.run_tool("mount", "-t", kind, "-o", options, image, folder)
    except machine.Missing as reason:
        raise Failed(f"the filesystem below is not recovered: {reason}") from None
    try:
        machine.run_tool("cp", "--sparse=always", folder / "volume", volume)
    finally:
        machine.run_tool("umount", folder)


def volume_on_device(image, volume):
    """Copies a device out of an NVDIMM's image: it begins with its label, behind what the kernel
    keeps for the namespace."""
    with open(image, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(LABEL_MAGIC)
        while at % BLOCK and at > 0:
            at = data.find(LABEL_MAGIC, at + 1)
    if at < 0:
        raise Failed(f"{image}: no label")
    machine.run_tool("dd", f"if={image}", f"of={volume}", f"bs={BLOCK}", f"skip={at // BLOCK}",
                     "conv=sparse", "status=none")


def check_loop_mounts(kind):
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        raise machine.Missing("a mount of a copy on the host: needs root and loop devices")
    with open("/proc/filesystems", encoding="utf-8") as known:
        if kind not in known.read().split():
            raise machine.Missing(f"a mount of a copy on the host: its kernel has no {kind}")


def images(bed, count=40):
    """The NVDIMMs as a power failure would leave them at any moment of a load: fsck on the host
    finds nothing, and dump can read them."""
    if bed.kind in FSDAX:
        check_loop_mounts(FSDAX[bed.kind])
    copies = [(bed.folder / f"image{i}", bed.folder / f"volume{i}")
              for i in range(len(bed.nvdimms))]
    moments = random.Random(bed.seed)
    with bed.boot() as guest:
        bed.mkfs(guest)
        bed.mount(guest)
        guest.start("python3", "-B", "/tests/guest/load.py", "run", MOUNTPOINT, bed.seed, CLIENTS)
        counts = [0] * CLIENTS
        for number in range(1, count + 1):
            collect(guest, counts, moments.uniform(0.05, 0.4))
            guest.copy_nvdimms(bed.nvdimms, [image for image, _ in copies])
            for image, volume in copies:
                if bed.kind in FSDAX:
                    volume_in_filesystem(image, volume, FSDAX[bed.kind])
                else:
                    volume_on_device(image, volume)
            volumes = [volume for _, volume in copies]
            check_image(bed, number, volumes)
    print(f"    ok - {count} crash images, fsck clean (seed {bed.seed})", flush=True)
    return count, 0, 0


def check_image(bed, number, volumes):
    for command in (["fsck.daxpinfs", "-n", *volumes],
                    ["dump.daxpinfs", "superblock", volumes[0]]):
        done = subprocess.run([bed.programs / command[0], *command[1:]], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Failed(f"crash image {number}: {command[0]}: {done.stdout[-2000:]}")


def wait_for(condition, what_else, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(what_else())
        time.sleep(0.5)


def reboot_with_leases(bed):
    """Leases and quarantine do not outlive a boot, and the space comes back exactly."""
    guest = bed.boot()
    try:
        bed.mkfs(guest)
        bed.mount(guest)
        before = succeed(guest, "stat", "-f", "-c", "%f", MOUNTPOINT)[-1]
        guest.start("python3", "-B", "/tests/guest/leases.py", MOUNTPOINT,
                    **bed.environment())
        lines = guest.lines(120)
        for line in lines:
            print(f"    {line}")
            if line == "holding":
                break
        else:
            raise Failed("no lease was taken")
        guest.cut()
        guest = bed.boot()
        bed.mount(guest)

        def held():
            said = json.loads("\n".join(succeed(guest, "/build/daxpin", "leases", "--json",
                                                MOUNTPOINT)))
            return said["leases"] + said["quarantine"]

        wait_for(lambda: not held(), lambda: f"after the new boot: {held()}")
        succeed(guest, "rm", "-r", MOUNTPOINT + "/leased")

        def free():
            return succeed(guest, "stat", "-f", "-c", "%f", MOUNTPOINT)[-1]

        wait_for(lambda: free() == before,
                 lambda: f"{before} blocks were free before, {free()} after the new boot")
        succeed(guest, "umount", MOUNTPOINT)
        bed.fsck(guest)
    finally:
        guest.cut()
    print("    ok - leases and quarantine end with the boot; the space is exact")
    return 1, 0, 0
