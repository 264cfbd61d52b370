#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Metadata on one device, data on another: dump.daxpinfs and the raw bytes prove it."""

import json
import os
import sys

import pinning
from harness import MIB, Volume, case, expect, expect_equal, program, run, run_command
from lease_client import Mapping
from syscalls import punch

MARK = b"only-in-file-data:"


def dump(*arguments):
    return json.loads(run_command(program("dump.daxpinfs"), "--json", *arguments))


def fill(volume):
    for number in range(200):
        (volume.path(f"name-{number:04d}-of-a-file")).write_bytes(MARK * (number * 13 + 1))
    with open(volume.path("large"), "wb") as file:
        file.write(MARK * 200000)
    with open(volume.path("large"), "r+b") as file:
        for hole in range(0, 3 * MIB, 65536):
            punch(file.fileno(), hole, 8192)


@case("no data on the metadata device, no names on the data device", bare=True)
def separation():
    with Volume(size=64 * MIB, separate=True) as volume:
        meta, data = volume.devices
        volume.mount()
        fill(volume)
        volume.check_and_remount()
        volume.unmount()
        volume.fsck()
        expect(MARK not in meta.read_bytes(), "file data on the metadata device")
        expect(MARK in data.read_bytes(), "no file data on the data device")
        expect(b"name-0042-of-a-file" in meta.read_bytes(), "no names on the metadata device")
        expect(b"name-0042-of-a-file" not in data.read_bytes(), "names on the data device")


@case("dump: every extent lies on the data device, and no block on the wrong one", bare=True)
def dump_proves_it():
    with Volume(size=64 * MIB, separate=True) as volume:
        meta, _ = volume.devices
        volume.mount()
        fill(volume)
        large = os.stat(volume.path("large")).st_ino
        volume.unmount()
        devices = {extent["device"] for extent in dump("extents", meta, str(large))["extents"]}
        expect_equal(devices, {1}, "devices of the extents")
        owners = dump("owners", meta)
        expect_equal(owners["data_blocks_on_metadata_devices"], 0, "data on the metadata device")
        expect_equal(owners["metadata_blocks_on_data_devices"], 0, "metadata on the data device")
        metadata, data = owners["devices"]
        expect(metadata["metadata"] > 0 and data["data"] > 0, f"nothing counted: {owners}")


@case("leases name the data device, and stores through it are the file's bytes", bare=True)
def extents_name_the_data_device():
    with Volume(size=64 * MIB, separate=True) as volume:
        volume.mount()
        path = volume.path("file")
        path.write_bytes(bytes(MIB))
        fd = pinning.open_direct(path)
        pinning.pin(fd, flags=pinning.PREPARE)
        os.close(fd)
        mapping = Mapping(path, volume.devices, write=True)
        for extent, piece in zip(mapping.extents, mapping.pieces, strict=True):
            expect_equal(extent.device, 1, "device")
            expect(os.path.samefile(pinning.device(mapping.fd, extent.device).path,
                                    volume.devices[1]), "the path of device 1")
            for at in range(0, extent.length, 8):
                piece[at:at + 8] = (extent.file_offset + at).to_bytes(8, "little")
        stored = b"".join(at.to_bytes(8, "little") for at in range(0, MIB, 8))
        expect(path.read_bytes() == stored, "read() does not see the stores")
        mapping.close()
        volume.check_and_remount()
        expect(path.read_bytes() == stored, "the stores are not there after a remount")
        volume.unmount()


if __name__ == "__main__":
    sys.exit(run())
