#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The table of errors of docs/pinning.md, in its order: a case for each row, named after it, by
every interface that can ask for it: ioctl, attribute, the tool `daxpin`, system calls. What an
interface cannot ask for is printed with the reason. tests/mount/mutants.toml takes the daemon's
rules away one by one; the row's case must fail then."""

import ctypes
import errno
import json
import mmap
import os
import pathlib
import sys
import threading
from errno import (EACCES, EBADF, EBUSY, EDQUOT, EINVAL, EIO, EISDIR, ENODEV, ENOLCK, ENOSPC,
                   EOPNOTSUPP, EPERM, EROFS, ESTALE, ETXTBSY)

import pinning
from asking import (ALWAYS_PREPARES, EXTENTS, NO_ALIGN, NO_LEASES, NO_NEED, PIN, USER, by_tool,
                    by_user, clear_pin, make_unsuitable, not_by, refuses, refuses_to_disarm, set_pin,
                    with_fd)
from files import (SIZE, changed_flag, free_blocks, is_pinned, leased, make_file, make_pinned,
                   opened)
from harness import (MIB, Skip, case, expect, expect_equal, expect_errno, program, require_root, run,
                     run_command, wait_until)
from pinning import BLOCK, LEASE_READ, LEASE_WRITE, PREPARE
from spoilt import spoilt
from syscalls import (COLLAPSE_RANGE, INSERT_RANGE, KEEP_SIZE, RENAME_EXCHANGE, ZERO_RANGE, fallocate,
                      punch, rename2)

TABLE = pathlib.Path(__file__).resolve().parents[2] / "docs/pinning.md"
ROWS = []


def row(situation, result, **volume_options):
    ROWS.append((situation, result))
    return case(f"{situation}: {result}", **volume_options)


@case("the cases are the rows of the table, in its order", bare=True)
def complete():
    text = TABLE.read_text(encoding="utf-8")
    lines = text[text.index("| situation | result |"):].split("\n\n")[0].splitlines()[2:]
    table = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
    for wanted, got in zip(table, ROWS):
        expect_equal(got, wanted, "row")
    expect_equal(len(ROWS), len(table), "rows")


@row("PIN, UNPIN or EXTEND on a descriptor that is not open for writing", "EBADF")
def not_writable(_, folder):
    require_root("several users")
    path = make_pinned(folder)
    with opened(path, os.O_RDONLY) as fd:
        refuses(EBADF, path, lambda: pinning.pin(fd), lambda: pinning.unpin(fd),
                lambda: pinning.extend(fd, 2 * SIZE))
    os.chown(path, USER, USER)
    os.chmod(path, 0o444)
    # There is no descriptor by attribute, and the tool cannot open the file: EACCES.
    refuses(EACCES, path, lambda: by_user(lambda: set_pin(path)),
            lambda: by_user(lambda: clear_pin(path)),
            lambda: by_user(lambda: os.removexattr(path, PIN)),
            lambda: by_tool("pin", "-q", path, uid=USER), lambda: by_tool("unpin", path, uid=USER))


@row("not a regular file, or one without a name; offset not a multiple of the block size; overflow; "
     "beyond the end of file; an empty file; align not a power of two, or below the block size",
     "EINVAL")
def invalid(_, folder):
    path = make_file(folder)
    bad_ranges = ((1, BLOCK), (BLOCK, 0), (SIZE, BLOCK), (2 * SIZE, BLOCK), (0, SIZE + BLOCK),
                  (BLOCK, (1 << 64) - 1), ((1 << 64) - BLOCK, 2 * BLOCK))
    with opened(path) as fd:
        for offset, length in bad_ranges:
            refuses(EINVAL, path, lambda: pinning.pin(fd, offset, length),
                    lambda: pinning.unpin(fd, offset, length),
                    lambda: pinning.lease(fd, LEASE_READ, offset, length),
                    lambda: by_tool("pin", "-q", "--offset", offset, "--length", length, path),
                    lambda: by_tool("unpin", "--offset", offset, "--length", length, path))
        for align in (3 * BLOCK, 512):
            refuses(EINVAL, path, lambda: pinning.pin(fd, align=align),
                    lambda: by_tool("pin", "-q", "--align", align, path))
        os.unlink(path)
        refuses(EINVAL, fd, lambda: pinning.pin(fd), lambda: pinning.unpin(fd),
                lambda: pinning.lease(fd, LEASE_READ), lambda: set_pin(fd), lambda: clear_pin(fd),
                lambda: by_tool("pin", "-q", f"/proc/{os.getpid()}/fd/{fd}"),
                lambda: by_tool("unpin", f"/proc/{os.getpid()}/fd/{fd}"))
    empty = make_file(folder, "empty", 0)
    with opened(empty) as fd:
        refuses(EINVAL, empty, lambda: pinning.pin(fd), lambda: pinning.unpin(fd),
                lambda: pinning.lease(fd, LEASE_READ), lambda: set_pin(empty),
                lambda: clear_pin(empty), lambda: by_tool("pin", "-q", empty),
                lambda: by_tool("unpin", empty))
    directory = os.open(folder, os.O_RDONLY)
    for request in (lambda: pinning.pin(directory), lambda: pinning.unpin(directory),
                    lambda: pinning.extend(directory, SIZE), lambda: set_pin(folder),
                    lambda: pinning.lease(directory, LEASE_READ), lambda: clear_pin(folder)):
        with expect_errno(EINVAL):
            request()
    os.close(directory)
    for word in ("pin", "unpin"):
        with expect_errno(EISDIR):  # it opens for writing, which the kernel refuses
            by_tool(word, folder)
    not_by("attribute", "it has no range; of a file without a name and a directory see above")


@row("the caller is neither the owner nor has CAP_FOWNER (mount option `pin=owner`, the default; "
     "`pin=cap`: needs CAP_LINUX_IMMUTABLE; `pin=off`: nobody)", "EPERM", size=64 * MIB)
def foreign(volume):
    require_root("several users")
    free, pinned = make_file(volume.mountpoint, "free"), make_pinned(volume.mountpoint, "pinned")
    for path in (free, pinned):
        os.chmod(path, 0o666)

    def requests(uid):
        pins = (with_fd(free, pinning.pin), lambda: set_pin(free))
        unpins = (with_fd(pinned, lambda fd: pinning.extend(fd, 2 * SIZE)), lambda: clear_pin(pinned),
                  with_fd(pinned, pinning.unpin), lambda: os.removexattr(pinned, PIN))
        for path, asked, tool in ((free, pins, ("pin", "-q")), (pinned, unpins, ("unpin",))):
            yield path, [lambda request=request: by_user(request, uid) for request in asked] + \
                [lambda: by_tool(*tool, path, uid=uid)]

    def all_refused(uid):
        for path, asked in requests(uid):
            refuses(EPERM, path, *asked)

    def all_done(uid):
        for path, asked in requests(uid):
            for request in asked:
                request()
            with opened(path) as fd:
                (pinning.pin if path == pinned else pinning.unpin)(fd)

    all_refused(USER)
    all_done(0)
    for path in (free, pinned):
        os.chown(path, USER, USER)
    all_done(0)
    with opened(free) as fd:
        by_user(lambda: pinning.pin(fd))
        by_user(lambda: pinning.unpin(fd))
    volume.unmount()
    volume.mount("pin=cap")
    all_refused(USER)
    all_done(0)
    volume.unmount()
    volume.mount("pin=off")
    all_refused(USER)
    all_refused(0)


@row("read-only mount", "EROFS", size=64 * MIB)
def read_only(volume):
    path = make_pinned(volume.mountpoint)
    volume.unmount()
    volume.mount("ro")
    with opened(path, os.O_RDONLY) as fd:
        refuses(EROFS, path, lambda: pinning.pin(fd), lambda: pinning.unpin(fd),
                lambda: pinning.extend(fd, 2 * SIZE),
                lambda: set_pin(path), lambda: clear_pin(path),  # the kernel's word, as the next
                lambda: by_tool("pin", "-q", path), lambda: by_tool("unpin", path))


@row("PIN or UNPIN of a +i or +a file", "EPERM")
def flagged(_, folder):
    require_root("chattr +i")
    for letter in "ia":
        free, pinned = make_file(folder, f"free-{letter}"), make_pinned(folder, f"pinned-{letter}")
        with opened(free) as fd, opened(pinned) as other, changed_flag(letter, free, pinned):
            refuses(EPERM, free, lambda: pinning.pin(fd), lambda: set_pin(free),
                    lambda: by_tool("pin", "-q", free))
            refuses(EPERM, pinned, lambda: pinning.unpin(other),
                    lambda: pinning.extend(other, 2 * SIZE), lambda: clear_pin(pinned),
                    lambda: os.removexattr(pinned, PIN), lambda: by_tool("unpin", pinned))


@row("a hole, an unwritten or an unsuitable extent, without PREPARE", "EINVAL")
def not_prepared(_, folder):
    hole, unwritten = make_file(folder, "hole"), make_file(folder, "unwritten")
    with opened(hole) as fd:
        punch(fd, 4 * BLOCK, 4 * BLOCK)
    with opened(unwritten) as fd:
        fallocate(fd, 0, SIZE, SIZE)
    for path in (hole, unwritten):
        with opened(path) as fd:
            refuses(EINVAL, path, lambda: pinning.pin(fd), lambda: pinning.lease(fd, LEASE_READ),
                    lambda: by_tool("pin", "-q", "--no-prepare", path))
    path = make_unsuitable(folder)
    with opened(path) as fd:
        refuses(EINVAL, path, lambda: pinning.pin(fd, align=2 * MIB),
                lambda: by_tool("pin", "-q", "--no-prepare", "--align", "2M", path))
    not_by("attribute", ALWAYS_PREPARES)


@row("PREPARE or EXTEND needs space that is not there", "ENOSPC", size=64 * MIB)
def no_space(volume):
    path, pinned = make_file(volume.mountpoint), make_pinned(volume.mountpoint, "pinned")
    with opened(path) as fd, opened(pinned) as other:
        os.ftruncate(fd, 1 << 40)
        refuses(ENOSPC, path, lambda: pinning.pin(fd, flags=PREPARE),
                lambda: pinning.lease(fd, LEASE_WRITE, flags=PREPARE),
                lambda: set_pin(path), lambda: by_tool("pin", "-q", path))
        refuses(ENOSPC, pinned, lambda: pinning.extend(other, 1 << 40))
        os.ftruncate(fd, SIZE)
    not_by("tool", "it does not extend")


@row("a handle of the file, the caller's own included, was opened in cached mode and is still open "
     "after a second's wait: open with O_DIRECT, as the tool and the library do", "EBUSY")
def cached(_, folder):
    path = make_file(folder)
    handle = os.open(path, os.O_RDWR)
    with opened(path) as fd:
        refuses(EBUSY, path, lambda: pinning.pin(handle), lambda: pinning.pin(fd),
                lambda: pinning.pin(fd, flags=PREPARE), lambda: pinning.lease(fd, LEASE_READ),
                lambda: set_pin(path), lambda: by_tool("pin", "-q", path))
        closing = threading.Timer(0.3, os.close, [handle])
        closing.start()
        pinning.pin(fd)
        closing.join()


@row("PREPARE would move blocks that somebody leases", "EBUSY")
def moves_leased(_, folder):
    path = make_unsuitable(folder)
    with leased(path, LEASE_READ), opened(path) as fd:
        refuses(EBUSY, path, lambda: pinning.pin(fd, align=2 * MIB, flags=PREPARE),
                lambda: by_tool("pin", "-q", "--align", "2M", path))
    not_by("attribute", NO_ALIGN)


@row("PREPARE meets a media error", "EIO", bare=True)
def media_error():
    with spoilt() as volume:
        path = make_unsuitable(volume.mountpoint)
        volume.spoil(path, 5 * BLOCK)

        def all_refused():
            with opened(path) as fd:
                refuses(EIO, path, lambda: pinning.pin(fd, align=2 * MIB, flags=PREPARE),
                        lambda: by_tool("pin", "-q", "--align", "2M", path))
        all_refused()
        volume.listed()
        volume.unmount()
        volume.mount()  # the page itself is whole again; its content is not believed
        all_refused()
    not_by("attribute", NO_ALIGN)


@row("UNPIN while another open file holds a write lease in the range", "EBUSY")
def unpin_leased(_, folder):
    path = make_pinned(folder)
    with leased(path, LEASE_WRITE, 0, 8 * BLOCK) as (holder, _), opened(path) as fd:
        refuses(EBUSY, path, lambda: pinning.unpin(fd), lambda: pinning.unpin(fd, 0, BLOCK),
                lambda: clear_pin(path), lambda: os.removexattr(path, PIN),
                lambda: by_tool("unpin", path),
                lambda: by_tool("unpin", "--offset", 0, "--length", BLOCK, path))
        pinning.unpin(fd, 8 * BLOCK, BLOCK)
        pinning.unpin(holder)
    with opened(path) as fd, leased(path, LEASE_READ):
        pinning.pin(fd)
        pinning.unpin(fd)


def map_changes(path, fd):
    """Of the first 32 blocks of the file."""
    return (lambda: os.truncate(path, 0), lambda: os.ftruncate(fd, 31 * BLOCK),
            lambda: punch(fd, 0, BLOCK), lambda: punch(fd, 31 * BLOCK, 2 * BLOCK),
            lambda: fallocate(fd, ZERO_RANGE, 0, BLOCK),
            lambda: fallocate(fd, ZERO_RANGE | KEEP_SIZE, 0, BLOCK),
            lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)))


@row("on a pinned or write-leased range: truncate that changes the map, fallocate to punch or zero, "
     "open with O_TRUNC, copy_file_range that grows into it, anything else that changes the map",
     "ETXTBSY")
def map_frozen(_, folder):
    path = make_file(folder, "leased")
    with leased(path, LEASE_WRITE, 0, 32 * BLOCK) as (fd, _):
        refuses(ETXTBSY, path, *map_changes(path, fd))
        punch(fd, 32 * BLOCK, BLOCK)
    path = make_unsuitable(folder, "part")
    with opened(path) as fd:
        pinning.pin(fd, 0, 32 * BLOCK)
        refuses(ETXTBSY, path, *map_changes(path, fd),
                lambda: pinning.pin(fd, align=2 * MIB, flags=PREPARE),
                lambda: by_tool("pin", "-q", "--align", "2M", path))
        punch(fd, 32 * BLOCK, BLOCK)
    path, other = make_pinned(folder, "whole"), make_file(folder, "other")
    with opened(path) as fd, opened(other) as source:
        refuses(ETXTBSY, path, *map_changes(path, fd),
                lambda: fallocate(fd, KEEP_SIZE, SIZE, BLOCK),
                lambda: os.copy_file_range(source, fd, BLOCK, 0, SIZE),
                lambda: os.copy_file_range(source, fd, 2 * BLOCK, 0, SIZE - BLOCK))
        expect_equal(os.pread(fd, 4, SIZE - BLOCK), bytes(range(4)), "what a refused copy leaves")
    refuses_to_disarm(ETXTBSY, folder, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC)
    not_by("attribute", "it changes no map")


@row("a write, truncate or fallocate that would change the size of a wholly pinned file", "ETXTBSY")
def size_frozen(_, folder):
    path = make_pinned(folder)
    with opened(path) as fd, open(path, "ab", buffering=0) as end:
        refuses(ETXTBSY, path, lambda: os.pwrite(fd, bytes(BLOCK), SIZE),
                lambda: os.pwrite(fd, bytes(2 * BLOCK), SIZE - BLOCK), lambda: end.write(b"x"),
                lambda: os.ftruncate(fd, SIZE + 1), lambda: os.truncate(path, 2 * SIZE),
                lambda: os.ftruncate(fd, SIZE - 1), lambda: os.truncate(path, SIZE - 1),
                lambda: fallocate(fd, 0, 0, SIZE + 1), lambda: fallocate(fd, 0, SIZE, BLOCK),
                lambda: fallocate(fd, ZERO_RANGE, SIZE, BLOCK))
        expect_equal(os.pread(fd, 4, SIZE - BLOCK), bytes(range(4)), "what a refused write leaves")
    refuses_to_disarm(ETXTBSY, folder, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_APPEND | os.O_DIRECT)
    not_by("attribute or tool", NO_NEED)


@row("truncate to the size it has; append beyond a partial pin; append inside the last block of a "
     "partial pin", "allowed")
def size_allowed(_, folder):
    whole = make_pinned(folder, "whole")
    with opened(whole) as fd:
        os.ftruncate(fd, SIZE)
    os.truncate(whole, SIZE)
    path = make_file(folder, size=4 * BLOCK)
    with open(path, "ab") as file:
        file.write(b"tail")
    with opened(path) as fd:
        pinning.pin(fd, 0, 4 * BLOCK + 4)
        expect_equal(pinning.status(fd).pinned_bytes, 5 * BLOCK, "pinned bytes")
    with open(path, "ab") as file:
        file.write(b"x" * 100)
    expect_equal(path.stat().st_size, 4 * BLOCK + 104, "size")
    with open(path, "ab") as file:
        file.write(b"y" * 10000)
    expect_equal(path.read_bytes()[4 * BLOCK:], b"tail" + b"x" * 100 + b"y" * 10000, "the end")
    os.truncate(path, 5 * BLOCK)
    not_by("attribute or tool", NO_NEED)


@row("fallocate over blocks that are there; read and write in place; copy_file_range in place; "
     "chmod, chown, utimens, xattrs, link, rename of the pinned file, RENAME_EXCHANGE", "allowed")
def in_place(_, folder):
    path, other = make_pinned(folder), make_file(folder, "other")
    with opened(path) as fd, opened(other) as source:
        fallocate(fd, 0, 0, SIZE)
        fallocate(fd, KEEP_SIZE, BLOCK, BLOCK)
        os.pwrite(fd, b"\x55" * BLOCK, BLOCK)
        expect_equal(os.pread(fd, 4, BLOCK), b"\x55" * 4)
        expect_equal(os.copy_file_range(source, fd, BLOCK, 0, 2 * BLOCK), BLOCK, "copied")
        os.chmod(path, 0o600)
        os.chown(path, os.geteuid(), os.getegid())
        os.utime(path, ns=(1, 2))
        os.setxattr(path, "user.x", b"1")
        os.removexattr(path, "user.x")
        os.rename(path, folder / "moved")
        rename2(folder / "moved", other, RENAME_EXCHANGE)
        expect(is_pinned(other), "the pin did not move with the file")
        rename2(folder / "moved", other, RENAME_EXCHANGE)
        expect(is_pinned(folder / "moved"), "the pin did not move back")
        os.link(folder / "moved", folder / "second")
    not_by("attribute or tool", NO_NEED)


@row("unlink of, or rename over, the last name of a pinned file", "EPERM")
def last_name(_, folder):
    other = make_file(folder, "other")
    whole, part = make_pinned(folder, "whole"), make_pinned(folder, "part", offset=0, length=BLOCK)
    for path in (whole, part):
        refuses(EPERM, path, lambda: os.unlink(path), lambda: os.rename(other, path))
        for words in (("rm", "-f", path), ("mv", "-f", other, path)):
            expect("Operation not permitted" in run_command(*words, status=1), f"{words[0]}")
    not_by("attribute or tool", NO_NEED)


@row("the same for one of several names", "allowed")
def one_name(_, folder):
    path, other = make_pinned(folder), make_file(folder, "other")
    os.link(path, folder / "second")
    os.link(path, folder / "third")
    os.unlink(path)
    os.rename(other, folder / "third")
    expect(is_pinned(folder / "second"), "the pin is gone")


def in_quarantine(volume, inode):
    shown = json.loads(run_command(program("daxpin"), "leases", "--json", volume.mountpoint))
    return sum(kept["bytes"] for kept in shown["quarantine"] if kept["inode"] == inode)


@row("unlink of, or rename over, a leased file that is not pinned",
     "allowed; its blocks are in quarantine until the last lease ends", size=64 * MIB)
def leased_name(volume):
    path, other = volume.path("file"), volume.path("other")
    for remove in (lambda: os.unlink(path), lambda: os.rename(other, path)):
        make_file(volume.mountpoint)
        make_file(volume.mountpoint, "other")
        free, inode = free_blocks(volume), os.stat(path).st_ino
        with leased(path, LEASE_READ) as (reader, _), leased(path, LEASE_WRITE) as (writer, lease):
            remove()
            pinning.release(writer, lease)
            expect(free_blocks(volume) <= free, "the blocks of a leased file are free")
            os.ftruncate(writer, 0)
            expect_equal(in_quarantine(volume, inode), SIZE, "bytes in quarantine")
            expect(free_blocks(volume) <= free, "the blocks in quarantine are free")
        wait_until(lambda: free_blocks(volume) >= free + SIZE // BLOCK, "free blocks")
    not_by("attribute", NO_NEED)
    not_by("tool", "it shows the quarantine")


@row("a write lease on a descriptor that is not open for writing", "EBADF")
def lease_not_writable(_, folder):
    path = make_file(folder)
    with opened(path, os.O_RDONLY) as fd:
        refuses(EBADF, path, lambda: pinning.lease(fd, LEASE_WRITE),
                lambda: pinning.lease(fd, LEASE_READ, flags=PREPARE))
        pinning.lease(fd, LEASE_READ)
    not_by("attribute or tool", NO_LEASES)


@row("a write lease on a file that is +i without a pin, or +a", "EPERM")
def lease_flagged(_, folder):
    require_root("chattr +i")
    for letter in "ia":
        path = make_file(folder, letter)
        with opened(path) as fd, changed_flag(letter, path):
            refuses(EPERM, path, lambda: pinning.lease(fd, LEASE_WRITE),
                    lambda: pinning.lease(fd, LEASE_READ, flags=PREPARE))
    path = make_pinned(folder)
    with changed_flag("i", path), leased(path, LEASE_WRITE):
        pass
    not_by("attribute or tool", NO_LEASES)


@row("a lease on a read-only mount", "EROFS", size=64 * MIB)
def lease_read_only(volume):
    path = make_pinned(volume.mountpoint)
    volume.unmount()
    volume.mount("ro")
    with opened(path, os.O_RDONLY) as fd:
        refuses(EROFS, path, lambda: pinning.lease(fd, LEASE_READ),
                lambda: pinning.lease(fd, LEASE_WRITE))
    not_by("attribute or tool", NO_LEASES)


@row("a lease, or extents, under `dax=off`; a ticket without `dax=broker`", "EOPNOTSUPP",
     size=64 * MIB)
def not_offered(volume):
    path = make_file(volume.mountpoint)
    with leased(path) as (fd, lease):
        refuses(EOPNOTSUPP, path, lambda: pinning.ticket(fd, lease))
    volume.unmount()
    volume.mount("dax=off")
    with opened(path) as fd:
        refuses(EOPNOTSUPP, path, lambda: pinning.lease(fd, LEASE_READ),
                lambda: pinning.lease(fd, LEASE_WRITE), lambda: pinning.extents(fd),
                lambda: os.getxattr(path, EXTENTS))
    said = run_command(program("daxpin"), "extents", path, status=1)
    expect("dax=off" in said, f"the tool says {said}")


@row("a ticket for a lease that is not this open file's", "EINVAL", size=64 * MIB)
def foreign_ticket(volume):
    path = make_file(volume.mountpoint)
    volume.unmount()
    volume.mount("dax=broker", f"broker_socket={volume.folder / 'broker'}")
    with leased(path) as (fd, lease), leased(path, LEASE_READ) as (_, foreign_lease):
        pinning.ticket(fd, lease)
        refuses(EINVAL, path, *(lambda wrong=wrong: pinning.ticket(fd, wrong)
                                for wrong in (0, foreign_lease, lease + 100)))
        pinning.release(fd, lease)
        refuses(EINVAL, path, lambda: pinning.ticket(fd, lease))
    not_by("attribute or tool", NO_LEASES)


@row("EXTENTS without a lease over the range", "ENOLCK")
def not_leased(_, folder):
    path = make_pinned(folder)
    with leased(path, LEASE_READ, 0, 4 * BLOCK) as (fd, lease), opened(path) as other:
        pinning.extents(fd)
        refuses(ENOLCK, path, lambda: pinning.extents(fd, cursor=4 * BLOCK),
                lambda: pinning.extents(other))
        pinning.release(fd, lease)
        refuses(ENOLCK, path, lambda: pinning.extents(fd))
    not_by("attribute", "it shows extents to people, who map nothing by them")
    not_by("tool", "it shows the attribute")


@row("EXTENTS with a generation that has passed", "ESTALE")
def stale(_, folder):
    path = make_file(folder)
    with opened(path) as fd, leased(path, LEASE_READ):
        _, (mount, counter) = pinning.lease(fd, LEASE_READ)
        pinning.extents(fd, (mount, counter))
        refuses(ESTALE, path, lambda: pinning.extents(fd, (mount, counter + 1)),
                lambda: pinning.extents(fd, (mount + 1, counter)))
        for change in (lambda: punch(fd, 0, BLOCK), lambda: os.ftruncate(fd, BLOCK)):
            change()
            refuses(ESTALE, path, lambda: pinning.extents(fd, (mount, counter)))
            (mount, counter) = pinning.status(fd).generation
            pinning.extents(fd, (mount, counter))
    not_by("attribute or tool", NO_LEASES)


@row("BREAK by somebody who is neither the owner nor has CAP_FOWNER", "EPERM")
def break_foreign(_, folder):
    require_root("several users")
    path = make_file(folder)
    with leased(path):
        refuses(EPERM, path, lambda: by_user(with_fd(path, pinning.ask_back, os.O_RDONLY)),
                lambda: by_tool("leases", "--break", path, uid=USER))
        os.chown(path, USER, USER)
        by_tool("leases", "--break", path, uid=USER)
        by_tool("leases", "--break", path)
    not_by("attribute", NO_LEASES)


@row("a lease id that is unknown, released or another open file's", "EINVAL")
def wrong_lease(_, folder):
    path = make_file(folder)
    with leased(path) as (fd, lease), leased(path, LEASE_READ) as (other, _):
        refuses(EINVAL, path, lambda: pinning.release(fd, 0),
                lambda: pinning.release(fd, lease + 100), lambda: pinning.release(other, lease))
        expect_equal(pinning.status(fd).leases, 2, "leases")
        pinning.release(fd, lease)
        refuses(EINVAL, path, lambda: pinning.release(fd, lease))
    not_by("attribute or tool", NO_LEASES)


@row("a lease when the user has `-o max_leases=` of them, or `-o max_quarantine=` bytes in "
     "quarantine for his leases (root has no limit)",
     "EDQUOT; unlink and truncate never fail for it", size=64 * MIB)
def too_much(volume):
    require_root("another user asks")
    os.chmod(volume.mountpoint, 0o777)

    def fill(name, change):
        """A lease, what it leads to, and one more lease."""
        first, second = volume.path(name), volume.path(name + "-second")
        with leased(first, LEASE_READ), opened(second) as fd:
            change(first)
            try:
                pinning.lease(fd, LEASE_READ)
            finally:
                os.ftruncate(fd, 0)
                os.unlink(second)

    for option, change in (("max_leases=1", os.stat),
                           ("max_quarantine=1M", lambda path: os.truncate(path, 0))):
        volume.unmount()
        volume.mount(option)
        for uid in (USER, 0):
            for name in (f"{option}-{uid}", f"{option}-{uid}-second"):
                os.chown(make_file(volume.mountpoint, name, 2 * MIB), uid, uid)
        with expect_errno(EDQUOT):
            by_user(lambda: fill(f"{option}-{USER}", change))
        expect(not volume.path(f"{option}-{USER}-second").exists(), "the file is still there")
        fill(f"{option}-0", change)
    not_by("attribute or tool", NO_LEASES)


@row("fallocate to collapse or insert", "EOPNOTSUPP, by the kernel")
def not_implemented(_, folder):
    path = make_pinned(folder)
    with opened(path) as fd:
        refuses(EOPNOTSUPP, path, lambda: fallocate(fd, COLLAPSE_RANGE, 0, BLOCK),
                lambda: fallocate(fd, INSERT_RANGE, 0, BLOCK))


@row("a shared mapping of a pinned or leased file through FUSE", "ENODEV, by the kernel")
def shared_mapping(_, folder):
    def map_shared(path):
        with open(path, "r+b") as file:
            mmap.mmap(file.fileno(), BLOCK).close()

    pinned, path = make_pinned(folder, "pinned"), make_file(folder)
    refuses(ENODEV, pinned, lambda: map_shared(pinned))
    for access in (LEASE_READ, LEASE_WRITE):
        with leased(path, access):
            refuses(ENODEV, path, lambda: map_shared(path))
    wait_until(lambda: b"direct no" in os.getxattr(path, "user.daxpin.status"), "cached opens")
    map_shared(path)


@row("swapon of a file of ours", "EINVAL, by the kernel")
def swap(_, folder):
    require_root("swapon")
    path = folder / "swap"
    path.write_bytes(bytes(BLOCK - 10) + b"SWAPSPACE2" + bytes(MIB))
    os.chmod(path, 0o600)
    libc = ctypes.CDLL(None, use_errno=True)
    expect_equal(libc.swapon(os.fsencode(path), 0), -1, "swapon")
    if ctypes.get_errno() in (EPERM, errno.ENOSYS):
        raise Skip("swapon is forbidden here, or the kernel swaps not at all")
    expect_equal(ctypes.get_errno(), EINVAL, "errno of swapon")


if __name__ == "__main__":
    sys.exit(run())
