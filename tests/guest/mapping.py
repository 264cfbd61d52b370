#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: what the kernel makes of a client's mapping of a real device.

DAXPIN_TEST_KIND says what the volume lies on, DAXPIN_TEST_DOMAIN what its persistence domain must
be. Prints faults and pages of each mapping, for whoever reads the log."""

import ctypes
import json
import mmap
import os
import re
import resource
import sys

import libdaxpin
import pinning
from harness import MIB, Skip, case, expect, expect_equal, program, run, run_command
from libdaxpin import mapped

KIND = os.environ["DAXPIN_TEST_KIND"]
DOMAIN = os.environ["DAXPIN_TEST_DOMAIN"]
LENGTH = 64 * MIB
HUGE = 2 * MIB
FSDAX = KIND in ("ext4-dax", "xfs-dax")


def smaps_of(address):
    """The entry of /proc/self/smaps that holds an address, as name -> value."""
    with open("/proc/self/smaps", encoding="utf-8") as file:
        text = file.read()
    for entry in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", text):
        start, end = (int(word, 16) for word in entry.split(" ", 1)[0].split("-"))
        if start <= address < end:
            lines = (line.split(":", 1) for line in entry.splitlines()[1:])
            return {name: value.strip() for name, value in lines}
    raise AssertionError(f"nothing is mapped at {address:x}")


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def touch(mapping, step=4096):
    """How many page faults it takes to store into each page of a mapping."""
    byte = ctypes.c_char
    before = faults()
    for offset in range(0, len(mapping), step):
        byte.from_address(mapping.address + offset).value = b"x"
    return faults() - before


def prepared_file(folder, align):
    path = folder / "file"
    fd = pinning.open_direct(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, LENGTH)
    pinning.pin(fd, align=align, flags=pinning.PREPARE)
    os.close(fd)
    return path


@case("the persistence domain is what the platform says")
def domain(volume, _):
    known = json.loads(run_command(program("daxpin"), "info", "--json", volume.mountpoint))
    expect(DOMAIN in json.dumps(known), f"no {DOMAIN} in {known}")
    print(f"# {KIND}: domain {DOMAIN}")


@case("a mapping of a pinned file: page sizes and faults")
def pages(volume, folder):
    path = prepared_file(folder, HUGE)
    with mapped(path) as mapping:
        count = touch(mapping)
        entry = smaps_of(mapping.address)
        print(f"# {KIND}: {count} faults for {LENGTH >> 20} MiB, "
              f"KernelPageSize {entry['KernelPageSize']}, VmFlags {entry['VmFlags']}")
        huge = LENGTH // HUGE
        if KIND in ("devdax-2m", "two", "memmap"):
            expect_equal(entry["KernelPageSize"], f"{HUGE >> 10} kB", "page size")
        if KIND in ("devdax-2m", "two", "memmap", *(("ext4-dax",) if FSDAX else ())):
            expect(count <= 2 * huge, f"{count} faults for {huge} pages of 2 MiB")
        if KIND == "devdax-1g":
            expect_equal(entry["KernelPageSize"], f"{1 << 20} kB", "page size")
            expect(count <= huge, f"{count} faults for one page of 1 GiB")
        if KIND == "devdax-4k":
            expect(count >= LENGTH // 4096, f"{count} faults for {LENGTH // 4096} pages of 4 KiB")
        if FSDAX:
            expect("sf" in entry["VmFlags"].split(), "no synchronous faults (MAP_SYNC)")
        mapping.persist()


@case("map-info: device, domain and DAX are those of the mapping")
def map_info(volume, folder):
    path = prepared_file(folder, HUGE)
    with mapped(path, offset=2 * MIB, length=4 * MIB) as mapping:
        said = json.loads(run_command(program("daxpin"), "map-info", "--json", os.getpid(),
                                      hex(mapping.address)))
        text = json.dumps(said)
        print(f"# {KIND}: map-info {text}")
        for wanted in (str(volume.devices[-1]), DOMAIN):
            expect(wanted in text, f"no {wanted!r} in {text}")
        entry = said["mappings"][0]
        expect_equal((entry["dax"], entry["no_fsync"]), (KIND != "ext4",) * 2, "DAX, no fsync")


@case("stores through the map are read through the mount, at once and after a new mount")
def stores(volume, folder):
    path = prepared_file(folder, 0)
    with mapped(path) as mapping:
        for offset in (0, 63, 4090, 5 * MIB + 1, LENGTH - 9):
            data = f"at {offset}".encode()[:9].ljust(9, b".")
            mapping[offset:offset + 9] = data
            mapping.persist(offset, 9)
            with open(path, "rb") as file:
                file.seek(offset)
                expect_equal(file.read(9), data, f"bytes at {offset}")


@case("a lease of one byte shows zeros up to the end of what is mapped, and no neighbour")
def neighbours(volume, folder):
    other, path = folder / "other", folder / "file"
    with open(other, "wb") as file:
        file.write(b"secret" * 1000)
        os.fsync(file.fileno())
        path.write_bytes(b"1")
        file.write(b"secret" * 1000)
    with mapped(path, flags=libdaxpin.MAP_PREPARE) as mapping:
        page = int(smaps_of(mapping.address)["KernelPageSize"].split()[0]) << 10
        start = mapping.address // page * page
        seen = ctypes.string_at(start, page)
        at = mapping.address - start
        expect_equal(seen[at:at + 1], b"1", "the byte")
        rest = seen[:at] + seen[at + 1:]
        print(f"# {KIND}: {page >> 10} KiB are mapped for a file of 1 byte")
        expect(rest.strip(b"\0") == b"", f"{len(rest.replace(bytes(1), b''))} bytes of others")
    expect(mmap.PAGESIZE == 4096, "page size of the machine")


if __name__ == "__main__":
    if not KIND:
        raise Skip("only in the guest")
    sys.exit(run())
