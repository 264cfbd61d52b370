# SPDX-License-Identifier: BSD-3-Clause
"""The guest's root as an initramfs: files of packages that the host has installed, the programs of
the build folder, the mount tests and the agent. Nothing is compiled or downloaded for it."""

import os
import pathlib
import re
import shutil
import subprocess

from machine import run_tool

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Whole packages, but for what only people read. Libraries come by way of those who need them.
PACKAGES = ("busybox-static", "coreutils", "util-linux", "mount", "kmod", "ndctl", "daxctl",
            "fuse3", "e2fsprogs", "xfsprogs", "attr", "acl", "dash", "bash", "procps", "sed",
            "grep", "tar", "rsync", "sqlite3", "python3-minimal", "python3.11-minimal",
            "libpython3.11-minimal", "libpython3.11-stdlib")
FOLDERS = ("bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "usr/libexec", "etc")
# xfs_scrub brings 36 MiB of character tables along.
LEFT_OUT = re.compile(r"/xfs_scrub|/(test|idlelib|lib2to3|ensurepip|tkinter|pydoc_data|terminfo)/"
                      r"|\.a$")
PROGRAMS = ("mkfs.daxpinfs", "daxpinfs", "fsck.daxpinfs", "dump.daxpinfs", "daxpin")
MODULES = ("libnvdimm", "nfit", "nd_e820", "nd_pmem", "dax_pmem", "device_dax", "fuse")
MODULES_LATER = ("kmem", "crc32c_intel", "ext4", "xfs")  # loaded when they are asked for
SOURCES = ("tests/mount", "tests/conformance", "tests/stress", "tests/guest", "tests/apps",
           "scripts")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def package_files(name):
    for line in run_tool("dpkg", "-L", name).splitlines():
        if line.lstrip("/").startswith(FOLDERS) and not LEFT_OUT.search(line):
            path = pathlib.Path(line)
            if path.is_symlink() or path.is_file():
                yield path
            # What the package's installation compiled saves the emulated processor the work.
            yield from path.parent.glob(f"__pycache__/{path.stem}.*.pyc")


def needed_libraries(path):
    """What the dynamic linker would map, by name and place; nothing for what is no such program."""
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return
    listed = subprocess.run(["ldd", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False)
    for found in re.finditer(r"(/\S+) \(0x", listed.stdout):
        yield pathlib.Path(found.group(1))


class Tree:
    """A folder that becomes the initramfs."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "proc", "sys", "dev", "run",
                     "tmp", "root", "mnt", "etc", "build", "guest"):
            (folder / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / name).symlink_to("usr/" + name)

    def place(self, path):
        """Where a file of the host goes; /bin and the like are links into /usr."""
        words = path.parts[1:]
        if words[0] in ("bin", "sbin", "lib", "lib64"):
            words = ("usr", *words)
        return self.folder.joinpath(*words)

    def add(self, path):
        """A file of the host, with what it links to and the libraries it needs."""
        target = self.place(path)
        if os.path.lexists(target):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(os.readlink(path))
            real = path.resolve()
            if real.is_file():
                self.add(real)
            return
        shutil.copy2(path, target)
        for library in needed_libraries(path):
            self.add(library)

    def add_program(self, path, name):
        """A program of ours, without its debug information."""
        target = self.folder / "build" / name
        run_tool("strip", "-o", target, path)
        for library in needed_libraries(path):
            if library.is_relative_to(path.parents[1]):
                shutil.copy2(library, self.folder / "usr/lib" / library.name)
            else:
                self.add(library)


def add_modules(tree, modules):
    """The drivers that the guest loads, and what they depend on."""
    base = modules.parents[2]
    chosen = {path for path in modules.glob("modules.*") if path.is_file()}
    for name in MODULES + MODULES_LATER:
        listed = run_tool("modprobe", "-C", "/dev/null", "-d", base, "-S", modules.name,
                          "--show-depends", name)
        chosen |= {pathlib.Path(found)
                   for found in re.findall(r"^insmod (\S+)", listed, re.MULTILINE)}
    for path in chosen:
        target = tree.place(pathlib.Path("/", path.relative_to(base)))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    (tree.folder / "guest/modules").write_text("\n".join(MODULES) + "\n", encoding="utf-8")


def make(folder, initramfs, build, modules):
    """Writes `initramfs`. modules: the folder lib/modules/RELEASE of the kernel that will run."""
    tree = Tree(folder)
    for package in PACKAGES:
        for path in package_files(package):
            tree.add(path)
    for name in PROGRAMS:
        found = [path for path in build.glob("src/**/" + name) if path.is_file()]
        tree.add_program(found[0], name)
    for library in build.glob("**/*.so"):
        if library.is_file() and ".p/" not in str(library):
            target = folder / "build" / library.relative_to(build)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, target)
    add_modules(tree, modules)
    for source in SOURCES:
        shutil.copytree(ROOT / source, folder / source,
                        ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("hosts", "127.0.0.1 localhost\n")):
        (folder / "etc" / name).write_text(text, encoding="utf-8")
    (folder / "etc/mtab").unlink(missing_ok=True)
    (folder / "etc/mtab").symlink_to("/proc/mounts")
    for name in ("init", "agent.py"):
        shutil.copy2(HERE / name, folder / ("init" if name == "init" else "guest/agent.py"))
    (folder / "init").chmod(0o755)
    with open(initramfs, "wb") as out:
        names = subprocess.run(["find", ".", "-print0"], cwd=folder, stdout=subprocess.PIPE,
                               check=True)
        subprocess.run(["cpio", "-o", "-H", "newc", "--null", "--quiet", "-R", "0:0"], cwd=folder,
                       input=names.stdout, stdout=out, check=True)
