#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The reader of tests/format, written from docs/format.md alone, against what the mount shows.

What differs is an error in the document, in the reader or in the filesystem.
"""

import contextlib
import errno
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

from harness import (MIB, case, expect, expect_equal, expect_same, program, run, run_command,
                     snapshot, wait_until)
from syscalls import punch

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "format"
sys.path.insert(0, str(FOLDER))

import filling  # noqa: E402
import items  # noqa: E402
from check import check as check_media  # noqa: E402
from filling import attributes, depths, links, many, names  # noqa: E402
from media import BLOCK, Damage, Refused  # noqa: E402
from shown import cookies_of, describe, digest, media_tree, seen  # noqa: E402
from volume import Reader  # noqa: E402

UUID = "00112233-4455-6677-8899-aabbccddeeff"
SMALL = ("--journal-size", "128K")


def open_reader(volume):
    return Reader(*volume.devices)


def read_tool(volume, *arguments, status=0):
    others = [word for device in volume.devices[1:] for word in ("--device", device)]
    return run_command(sys.executable, FOLDER / "reader.py", *arguments, volume.devices[0],
                       *others, status=status)


@contextlib.contextmanager
def unchanged(volume):
    """Nothing in the block writes to the devices."""
    def state():
        return [(digest([path.read_bytes()]), path.stat().st_mtime_ns) for path in volume.devices]
    before = state()
    yield
    expect_equal(state(), before, "the devices after reading")


def fill(volume, makers=filling.MAKERS):
    for maker in makers:
        folder = volume.path(maker.__name__)
        folder.mkdir()
        maker(folder)


def remount(volume):
    """With noatime, so that the test may look at all of it."""
    volume.unmount()
    volume.mount("noatime")


@case("after an unmount: every inode, name, byte and attribute", size=128 * MIB)
def after_unmount(volume):
    remount(volume)
    fill(volume)
    volume.path("pins").mkdir()
    filling.pins(volume.path("pins"), program("daxpin"))
    shown = snapshot(volume.mountpoint, describe)
    volume.unmount()
    with unchanged(volume), open_reader(volume) as reader:
        expect_equal(len(reader.journal.records), 0, "records after an unmount")
        expect(len(shown) > 1600, f"only {len(shown)} paths")
        expect_same(shown, media_tree(reader))
        expect_equal(reader.unfinished(), [], "unfinished work")
        linked = {entry["ino"] for entry in shown.values()}
        expect_equal(check_media(reader), len(linked), "inodes on media")
        whole, part, hinted = (reader.lookup(b"pins/" + name)
                               for name in (b"whole", b"part", b"hinted"))
        expect_equal(reader.pins(whole.number), [(0, 15)], "the pin of a whole file")
        expect_equal(reader.pins(part.number), [(2, 3)], "the pin of a part")
        expect_equal([inode.flags for inode in (whole, part, hinted)],
                     [items.PINNED_WHOLE, 0, items.DAX], "flags")
        expect_equal(hinted.align_hint, 65536, "align_hint")


@case("one directory in full: order, cookies, inodes, and each name by its hash", size=128 * MIB)
def one_directory(volume):
    fill(volume, (many,))
    shown = cookies_of(volume.path("many"))
    volume.unmount()
    with open_reader(volume) as reader:
        folder = reader.lookup(b"/many")
        entries = reader.entries(folder.number)
        expect(len(shown) > 1000, f"only {len(shown)} entries")
        expect_equal([(entry.cookie, entry.inode, entry.name) for entry in entries], shown,
                     "the directory")
        for _, inode, name in shown:
            expect_equal(reader.lookup(b"many/" + name).number, inode, repr(name))
        expect_equal(reader.find(folder.number, b"entry-00007"), None, "a removed name")
        expect_equal(reader.lookup(b"/many/../many/.").number, folder.number, "by way of ..")


@case("the superblock and the root", size=128 * MIB, mkfs_options=("-L", "tëst", "-U", UUID))
def superblock(volume):
    remount(volume)
    info = json.loads(run_command(program("daxpin"), "info", "--json", volume.mountpoint))
    root = describe(volume.mountpoint)
    volume.unmount()
    dump = json.loads(run_command(program("dump.daxpinfs"), "--secrets", "--json", "superblock",
                                  volume.devices[0]))
    printed = read_tool(volume, "--superblock")
    expect(UUID in printed and "tëst" in printed, printed)
    with open_reader(volume) as reader:
        block = reader.superblock
        expect_equal(block.volume_uuid.hex(), info["volume_uuid"].replace("-", ""), "UUID")
        expect_equal(block.hash_key.hex(), dump["hash_key"], "hash_key")
        for name in ("ring_start", "ring_blocks", "tail_cell_a", "tail_cell_b", "root"):
            expect_equal(getattr(block, name), dump[name], name)
        expect_equal([(entry.device_uuid.hex(), entry.block_count * BLOCK, entry.mapping_unit)
                      for entry in block.devices],
                     [(device["uuid"].replace("-", ""), device["size"], device["mapping_unit"])
                      for device in info["devices"]], "devices")
        expect_equal(seen(reader, reader.inode(items.ROOT), {}), root, "the root")


# A daemon that is killed.

def act(generator, folder, number):
    """One change of a kind that chance picks, on one of a few names."""
    path, other = (folder / f"n{generator.randrange(30)}" for _ in range(2))
    action = generator.randrange(12)
    if action < 4:
        with open(path, "r+b" if path.exists() else "wb") as file:
            os.pwrite(file.fileno(), b"%d" % number * generator.randrange(1, 3000),
                      generator.randrange(200000))
    elif action == 4:
        os.truncate(path, generator.randrange(200000))
    elif action == 5:
        path.rename(other)
    elif action == 6:
        os.link(path, other)
    elif action == 7:
        path.unlink()
    elif action == 8:
        os.setxattr(path, "user.x", b"v" * generator.choice((10, 2000, 9000)))
    elif action == 9:
        (folder / f"d{number}" / "below").mkdir(parents=True)
    elif action == 10:
        os.symlink("s" * generator.choice((10, 3000)), folder / f"s{number}")
    else:
        with open(path, "r+b") as file:
            punch(file.fileno(), 0, generator.randrange(4096, 100000))


def work(folder, seed, gone):
    """Changes without end; they fail one and all once the daemon is gone."""
    generator, number = random.Random(seed), 0
    folder.mkdir(exist_ok=True)
    while not gone.is_set():
        number += 1
        try:
            act(generator, folder, number)
        except OSError as error:
            if error.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO):
                return


def kill_at_work(volume, seconds):
    """SIGKILL while four threads work and an unlinked file is held open."""
    gone = threading.Event()
    held = open(volume.path("held"), "wb", buffering=0)
    with held:
        held.write(b"h" * 20000)
        os.unlink(held.name)
        threads = [threading.Thread(target=work, args=(volume.path(f"work-{seed}"), seed, gone))
                   for seed in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        volume.kill()
        gone.set()
        for thread in threads:
            thread.join()
        with contextlib.suppress(OSError):
            held.close()


def compare_with_recovery(volume):
    """The reader first, on the image as it lies; then the daemon recovers it, and shows.
    Truncations that were under way are finished after the mount, maybe a little later. Returns
    the laps of the journal."""
    with unchanged(volume), open_reader(volume) as reader:
        expect(reader.journal.records, "the journal is empty: nothing to replay")
        check_media(reader)
        read = media_tree(reader)
        unfinished = reader.unfinished()
        laps = reader.journal.stop // reader.journal.size
    recoveries = count_recoveries(volume)
    volume.mount("noatime")
    wait_until(lambda: count_recoveries(volume) > recoveries, "the daemon's recovery")
    if unfinished:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: snapshot(volume.mountpoint, describe) == read, "", seconds=5)
    expect_same(snapshot(volume.mountpoint, describe), read)
    return laps


def count_recoveries(volume):
    return volume.log.read_text(errors="replace").count("recovery: ")


def kill_until(volume, wanted, seconds=0.15, tries=20):
    """Kills again until the image is what a case wants to see."""
    for _ in range(tries):
        kill_at_work(volume, seconds)
        with open_reader(volume) as reader:
            if wanted(reader):
                return
        volume.mount("noatime")
        volume.unmount()
        volume.mount("noatime")
    raise AssertionError(f"not in {tries} tries: an image of that kind")


def is_dirty(reader):
    return len(reader.journal.records) >= 3


@case("a killed daemon: the reader's replay is the daemon's", size=128 * MIB)
def killed(volume):
    remount(volume)
    fill(volume)
    kill_until(volume, is_dirty)
    compare_with_recovery(volume)


@case("a killed daemon, a ring of 128 KiB, many laps", size=64 * MIB, mkfs_options=SMALL)
def killed_often(volume):
    laps = turn = 0
    while laps < 4 or turn < 8:
        expect(turn < 60, f"only {laps} laps")
        kill_until(volume, is_dirty, seconds=0.05 + 0.03 * min(turn, 20))
        laps = compare_with_recovery(volume)
        turn += 1


def entries_of(reader):
    return [entry for record in reader.journal.records for entry in reader.journal.entries(record)]


def take_home_away(volume, entries, old=None):
    """Undoes what reached the home blocks: old bytes, or bytes that never were there."""
    with open(volume.devices[0], "r+b") as file:
        for entry in entries:
            at, length = entry.block * BLOCK + entry.offset, len(entry.data)
            os.pwrite(file.fileno(), old[at:at + length] if old else b"\xa5" * length, at)


def units_and_names(reader):
    """The blocks of all units of the volume, and the paths."""
    names_now = {path for path, _ in reader.walk()}
    check_media(reader)  # reaches every node
    units = set(reader.tree.nodes)
    for entry in reader.superblock.devices:
        units.update(range(entry.bitmap_start, entry.bitmap_start + entry.group_count))
    return units, names_now


def killed_with_old_homes(volume, wanted=lambda reader, units: True, seconds=0.1):
    """An image with no record at home: what the tail says was there before, and the journal.
    Returns the paths of before. wanted(reader, units of before) may ask for another image."""
    fill(volume, (names, links, attributes, depths))
    for attempt in range(40):
        volume.unmount()
        old = volume.devices[0].read_bytes()
        with open_reader(volume) as reader:
            stop = reader.journal.stop
            units, old_names = units_and_names(reader)
        volume.mount("noatime")
        kill_at_work(volume, seconds / 2 ** (attempt % 6))  # a fast machine fills the ring soon
        with open_reader(volume) as reader:
            if reader.journal.cell.tail == stop and is_dirty(reader) and wanted(reader, units):
                take_home_away(volume, entries_of(reader), old)
                return old_names
        volume.mount("noatime")
    raise AssertionError("not in 40 tries: a tail that has not moved")


@case("a killed daemon, no record at home: the journal alone knows", size=64 * MIB)
def killed_before_home(volume):
    old_names = killed_with_old_homes(volume)
    with open_reader(volume) as reader:
        expect({path for path, _ in reader.walk()} != old_names, "the journal changes no name")
    compare_with_recovery(volume)


@case("a killed daemon, each home torn where a record names it", size=64 * MIB)
def killed_torn_home(volume):
    fill(volume, (names, links))
    kill_until(volume, is_dirty)
    with open_reader(volume) as reader:
        entries = entries_of(reader)
    take_home_away(volume, random.Random(2).sample(entries, (len(entries) + 1) // 2))
    compare_with_recovery(volume)


# Damage.

@contextlib.contextmanager
def flipped(device, *places):
    """One bit is the other one at each of these bytes, inside the block."""
    def flip():
        with open(device, "r+b") as file:
            for place in places:
                byte = os.pread(file.fileno(), 1, place)[0]
                os.pwrite(file.fileno(), bytes([byte ^ 1 << place % 8]), place)
    flip()
    try:
        yield
    finally:
        flip()


def expect_damage(volume, text, tool=("--check",)):
    """The reader says what is damaged, and the program ends with 1 and one line."""
    try:
        with open_reader(volume) as reader:
            check_media(reader)
    except Damage as damage:
        expect(text in str(damage), f"other damage: {damage}")
    else:
        raise AssertionError(f"no damage seen, wanted: {text}")
    said = read_tool(volume, *tool, status=1)
    expect(said.startswith("reader: ") and said.count("\n") == 1, said)


@case("a flipped bit in a tree unit, a bitmap chunk or a blob is seen", size=64 * MIB)
def damaged_units(volume):
    fill(volume, (many, attributes))
    volume.unmount()
    meta = volume.devices[0]
    with open_reader(volume) as reader:
        check_media(reader)
        nodes = list(reader.tree.nodes)
        chunks = [entry.bitmap_start for entry in reader.superblock.devices]
        number = reader.lookup(b"attributes/file").number
        blocks = [block for blob, _ in reader.xattr_blobs(number) for block in blob.blocks]
        expect(len(nodes) > 20 and len(blocks) > 15, f"too small: {len(nodes)}, {len(blocks)}")
    for node in random.Random(3).sample(nodes[1:], 6):
        with flipped(meta, node * BLOCK + random.Random(node).randrange(BLOCK)):
            expect_damage(volume, f"node {node}: wrong checksum")
    with flipped(meta, nodes[0] * BLOCK + 40):
        expect_damage(volume, f"node {nodes[0]}: wrong checksum", tool=())
    for chunk in chunks:
        with flipped(meta, chunk * BLOCK + 2000):
            expect_damage(volume, "wrong checksum")
    with flipped(meta, blocks[0] * BLOCK + 7):
        expect_damage(volume, "wrong checksum")
    read_tool(volume, "--check")


@case("label, superblock, tail cell: one copy may be lost, not both", size=64 * MIB)
def damaged_copies(volume):
    fill(volume, (links,))
    volume.unmount()
    meta = volume.devices[0]
    with open_reader(volume) as reader:
        last = (reader.superblock.devices[0].block_count - 1) * BLOCK
        cells = [reader.superblock.tail_cell_a * BLOCK, reader.superblock.tail_cell_b * BLOCK]
        tree = media_tree(reader)
    for text, one, two in (("no valid device label", 100, last + 90),
                           ("no valid superblock", 1024 + 70, last + 1024 + 1100),
                           ("no valid tail cell", cells[0] + 17, cells[1] + 60)):
        for place in (one, two):
            with flipped(meta, place), open_reader(volume) as reader:
                expect_same(tree, media_tree(reader))
        with flipped(meta, one, two):
            expect_damage(volume, text, tool=("--superblock",))


def newest_is_of_old_units(reader, units):
    """Only then are the bytes of before, under the newest record, those of its homes: a unit that
    is new since was written at home first, which no record tells."""
    newest = reader.journal.records[-1]
    return {entry.block for entry in reader.journal.entries(newest)} <= units


@case("a flipped bit in a record: a lost one is damage, the newest one counts as torn",
      size=64 * MIB)
def damaged_records(volume):
    killed_with_old_homes(volume, newest_is_of_old_units, seconds=0.03)
    meta = volume.devices[0]
    with open_reader(volume) as reader:
        records, size = reader.journal.records, reader.journal.size
        start = reader.journal.start
    for record in random.Random(4).sample(records[:-1], min(5, len(records) - 1)):
        seat = start + record.sequence % size
        for place in (seat + 64 + 3, seat + record.length - 70, seat + 9):
            with flipped(meta, place):
                expect_damage(volume, "journal: damaged", tool=())
    newest = records[-1]
    with open(meta, "r+b") as file:
        at = start + newest.sequence % size + 64 + 20
        byte = os.pread(file.fileno(), 1, at)[0]
        os.pwrite(file.fileno(), bytes([byte ^ 4]), at)
    with open_reader(volume) as reader:
        expect_equal(reader.journal.records, records[:-1], "the records without the torn one")
    compare_with_recovery(volume)


@case("a volume with a device missing, doubled, of another volume or cut off is refused",
      size=64 * MIB)
def wrong_devices(volume):
    volume.unmount()
    devices = volume.devices
    with tempfile.TemporaryDirectory(dir=volume.folder) as folder:
        other, fresh = pathlib.Path(folder, "other.img"), pathlib.Path(folder, "fresh.img")
        shutil.copyfile(devices[-1], other)
        run_command(program("mkfs.daxpinfs"), "--size", "2M", "-q", fresh)
        expect_refused([*devices, other], Refused, "given twice")
        expect_refused([*devices, fresh], Refused, "of volume")
        expect_refused([volume.log], Damage, "")
        if len(devices) > 1:
            expect_refused(devices[:1], Refused, "missing")
            expect_refused(devices[1:], Refused, "missing")
        os.truncate(other, other.stat().st_size - BLOCK)
        expect_refused([*devices[:-1], other], Damage, "cut off")


def expect_refused(devices, kind, text):
    try:
        Reader(*devices).volume.close()
    except kind as error:
        expect(text in str(error), f"another reason: {error}")
        return
    raise AssertionError(f"read {devices}, wanted: {text}")


if __name__ == "__main__":
    sys.exit(run())
