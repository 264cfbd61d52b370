# SPDX-License-Identifier: BSD-3-Clause
"""A virtual machine with NVDIMMs under a stock Debian kernel: what it is made of, and how programs
are run in it. QEMU emulates the processor in software unless KVM works."""

import functools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import time

MIB = 1 << 20
LABEL_BYTES = 2 * MIB
KERNELS = {"cloud": "linux-image-cloud-amd64", "full": "linux-image-amd64"}
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "ndctl": "ndctl",
         "daxctl": "daxctl", "mkfs.xfs": "xfsprogs", "mkfs.ext4": "e2fsprogs",
         "busybox": "busybox-static", "modprobe": "kmod", "lz4": "lz4"}
LZ4_LEGACY = bytes.fromhex("02214c18")
BOOT_SECONDS = 180
CONSOLE_LINES = 40
os.environ["PATH"] += ":/usr/sbin:/sbin"  # an ordinary user's lacks them


class Missing(Exception):
    """What the machine cannot be made without; the text names it."""


class Died(Exception):
    """The guest ended or went silent."""


class NotUp(Died):
    """It did before anything was run in it."""


def check_tools():
    missing = sorted({package for name, package in TOOLS.items()
                      if not shutil.which(name)})
    if missing:
        raise Missing(f"not installed: {' '.join(missing)} ('scripts/setup guest' does it)")


def run_tool(*command, cwd=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"{' '.join(map(str, command))}: {done.stdout.strip()[-400:]}")
    return done.stdout


def unpacked(image):
    """The kernel without the shell that unpacks it, which takes the emulator seconds; the image
    itself if it is packed in another way than Debian's."""
    data = image.read_bytes()
    setup_bytes = (data[0x1f1] + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[setup_bytes + offset:setup_bytes + offset + length - 4]
    if not payload.startswith(LZ4_LEGACY):
        return image
    target = image.with_name("vmlinux")
    if not target.exists():
        packed = image.with_name("payload")
        packed.write_bytes(payload)
        run_tool("lz4", "-d", "-q", "-f", packed, target)
        packed.unlink()
    return target


class Kernel:
    """Debian's kernel, unpacked and not installed. flavour: "cloud" (27 MB) or "full" (71 MB)."""

    def __init__(self, cache, flavour):
        depends = run_tool("apt-cache", "depends", "--important", KERNELS[flavour])
        package = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
        folder = cache / package
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            run_tool("apt-get", "download", package, cwd=folder)
            archive = next(folder.glob("*.deb"))
            run_tool("dpkg", "-x", archive, folder)
            archive.unlink()
            release = next((folder / "lib/modules").iterdir())
            run_tool("depmod", "-b", folder, release.name)
            (folder / "complete").touch()
        self.image = unpacked(next((folder / "boot").glob("vmlinuz-*")))
        self.modules = next((folder / "lib/modules").iterdir())


@functools.cache
def kvm_works():
    """A /dev/kvm may be there and not run anything, inside another machine."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    probe = subprocess.Popen(["qemu-system-x86_64", "-accel", "kvm", "-machine", "pc", "-display",
                              "none", "-nodefaults", "-S"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    try:
        probe.wait(timeout=1)
        return False
    except subprocess.TimeoutExpired:
        return not select.select([probe.stderr], [], [], 0)[0]
    finally:
        probe.kill()
        probe.wait()


class Nvdimm:
    """The file behind an NVDIMM; it outlives the machine. data_mib: its size without the label
    area, a multiple of 16."""

    def __init__(self, path, data_mib=512):
        self.path = path
        self.data_mib = data_mib
        with open(path, "wb") as file:
            file.truncate(data_mib * MIB + LABEL_BYTES)


def command_line(kernel, initramfs, nvdimms, *, persistence, memory_mib, parameters, kvm, qmp,
                 console):
    """persistence: "mem-ctrl" (ADR: caches are lost) or "cpu" (eADR: they are not). parameters: of
    the kernel, besides those that make it start fast."""
    slots = len(nvdimms) + 1
    words = ["qemu-system-x86_64", "-machine", f"pc,nvdimm=on,nvdimm-persistence={persistence}",
             "-m", f"{memory_mib}M,slots={slots},maxmem=16G", "-smp", "2"]
    words += ["-accel", "kvm", "-cpu", "host"] if kvm else \
        ["-accel", "tcg,thread=multi", "-cpu", "max"]
    for index, nvdimm in enumerate(nvdimms):
        words += ["-object", f"memory-backend-file,id=m{index},share=on,mem-path={nvdimm.path},"
                  f"size={nvdimm.data_mib * MIB + LABEL_BYTES},pmem=off,align=2M",
                  "-device", f"nvdimm,id=nv{index},memdev=m{index},label-size={LABEL_BYTES}"]
    words += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
              "-serial", f"file:{console}", "-serial", "stdio",
              "-qmp", f"unix:{qmp},server=on,wait=off",
              "-kernel", kernel.image, "-initrd", initramfs, "-append",
              f"console=ttyS0 quiet panic=-1 nokaslr mitigations=off random.trust_cpu=on "
              f"{parameters}"]
    return [str(word) for word in words]


class Machine:
    """A machine that runs. Ends by cut(), as by a power failure, or as its guest dies."""

    def __init__(self, kernel, initramfs, nvdimms, folder, *, persistence="mem-ctrl",
                 memory_mib=2048, parameters="", kvm=False):
        self.console = folder / "console.log"
        self.instructions = folder / "instructions.log"
        self.qmp_path = folder / "qmp"
        self.qmp_path.unlink(missing_ok=True)
        self.pending = b""
        self.process = subprocess.Popen(
            command_line(kernel, initramfs, nvdimms, persistence=persistence,
                         memory_mib=memory_mib, parameters=parameters, kvm=kvm,
                         qmp=self.qmp_path, console=self.console) +
            ["-D", str(self.instructions)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=open(folder / "qemu.log", "wb"))
        started = time.monotonic()
        try:
            self.release = self.receive(BOOT_SECONDS)["ready"]
        except Died as reason:
            raise NotUp(str(reason)) from None
        except BaseException:  # nobody has it yet who could end it
            self.cut()
            raise
        self.boot_seconds = time.monotonic() - started

    def receive(self, seconds):
        """The next message of the agent."""
        end = time.monotonic() + seconds
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self.cut()
                raise Died(f"the guest said nothing for {seconds} s:\n{self.last_words()}")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                self.cut()
                raise Died(f"the machine stopped:\n{self.last_words()}")
            self.pending += piece
        line, _, self.pending = self.pending.partition(b"\n")
        return json.loads(line)

    def last_words(self):
        if not self.console.exists():
            return ""
        lines = self.console.read_text(errors="replace").splitlines()
        return "\n".join(lines[-CONSOLE_LINES:])

    def start(self, *command, **environment):
        request = {"run": [str(word) for word in command], "env": environment}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def lines(self, seconds):
        """What the started program prints; returns its exit status at the end. seconds: how long
        it may be silent."""
        while True:
            message = self.receive(seconds)
            if "status" in message:
                return message["status"]
            yield message["line"]

    def run(self, *command, seconds=600, **environment):
        """(exit status, its lines) of a program of the guest."""
        self.start(*command, **environment)
        said = []
        lines = self.lines(seconds)
        while True:
            try:
                said.append(next(lines))
            except StopIteration as end:
                return end.value, said

    def qmp(self, *commands):
        """Runs commands of QEMU's machine protocol one after the other: a name, or (name,
        arguments)."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.qmp_path))
            with link.makefile("rw", encoding="utf-8") as stream:
                stream.readline()
                for command in ("qmp_capabilities", *commands):
                    name, arguments = command if isinstance(command, tuple) else (command, {})
                    stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                    stream.flush()
                    while "return" not in json.loads(stream.readline()):
                        pass

    def log_instructions(self, wanted):
        """From now on each piece of code is written to self.instructions when it is run first; or
        no longer. Not under KVM."""
        line = "log in_asm" if wanted else "log none"
        self.qmp(("human-monitor-command", {"command-line": line}))

    def copy_nvdimms(self, nvdimms, targets):
        """Crash images: the machine stands still while they are copied."""
        self.qmp("stop")
        for nvdimm, target in zip(nvdimms, targets):
            run_tool("cp", "--sparse=always", nvdimm.path, target)
        self.qmp("cont")

    def cut(self):
        """The power goes. The emulator has no processor cache, so every store stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
