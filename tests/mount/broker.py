#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""dax=broker: the daemon opens devices for programs that hold a lease, and for nobody else.

The devices are root's alone; the clients are nobody's.
"""

import array
import contextlib
import ctypes
import errno
import mmap
import os
import pwd
import socket
import sys
import traceback

import libdaxpin
import pinning
from files import leased
from harness import (MIB, Volume, case, expect, expect_equal, expect_errno, limit_log,
                     require_fuse, require_root, run, wait_until)

NOBODY = pwd.getpwnam("nobody")
META, DATA = 0, 1  # device indices


@contextlib.contextmanager
def brokered(*options, prepare=limit_log):
    """A mounted volume of two devices that only root may open, and a file of nobody's in it."""
    require_fuse()
    require_root("the clients become another user")
    with Volume(separate=True) as volume:
        for device in volume.devices:
            os.chmod(device, 0o600)
        socket_path = volume.folder / "broker"
        volume.mount(*(options or ("dax=broker", f"broker_socket={socket_path}")), prepare=prepare)
        file = libdaxpin.pinned_file(volume.path("file"), MIB)
        os.chown(file, NOBODY.pw_uid, NOBODY.pw_gid)
        volume.file = file
        yield volume


def start_as_nobody(function, *arguments, uid=NOBODY.pw_uid):
    """Calls the function in a child that is another user; returns its pid."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(NOBODY.pw_gid, NOBODY.pw_gid, NOBODY.pw_gid)
            os.setresuid(uid, uid, uid)
            function(*arguments)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return child


def exit_status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def as_nobody(function, *arguments, **options):
    child = start_as_nobody(function, *arguments, **options)
    expect_equal(exit_status(child), 0, "exit status of the client")


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(20)
    connection.connect(path)
    return connection


def ask(path, message, *passed):
    """The broker's answer to a message: (errno, descriptor or None)."""
    with connect(path) as connection:
        socket.send_fds(connection, [message], passed) if passed else connection.send(message)
        data, ancillary, _, _ = connection.recvmsg(
            pinning.BROKER_REPLY.size, socket.CMSG_SPACE(ctypes.sizeof(ctypes.c_int)))
    found = array.array("i")
    for _, _, bytes_ in ancillary:
        found.frombytes(bytes_)
    return pinning.BROKER_REPLY.unpack(data)[0], found[0] if found else None


def redeem(ticket, path, device=DATA):
    return ask(path, pinning.BROKER_REQUEST.pack(ticket, device, 0, 0, 0))


def expect_refused(answer, wanted):
    expect_equal(answer, (wanted, None), "the broker's answer")


def descriptors_of(volume):
    """The daemon's sockets and descriptors of devices; what it reads in /proc comes and goes."""
    counted = ("socket:", *map(str, volume.devices))
    folder = f"/proc/{volume.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"{folder}/{name}").startswith(counted)
    return count


@case("a program that may not open the device maps its file all the same, and stores reach it",
      bare=True)
def library_maps():
    def client(volume):
        with expect_errno(errno.EACCES):
            os.open(volume.devices[DATA], os.O_RDONLY)
        with libdaxpin.mapped(volume.file) as mapping:
            mapping[8000:8006] = b"stored"
            mapping.persist(8000, 6)
            with libdaxpin.mapped(volume.file, access=os.O_RDONLY) as again:
                expect_equal(again[8000:8006], b"stored", "through a second mapping")

    with brokered() as volume:
        as_nobody(client, volume)
        with open(volume.file, "rb") as file:
            expect_equal(file.read()[8000:8006], b"stored", "through the mount")


@case("the descriptor is a new one with the lease's access; it cannot be made more", bare=True)
def access_of_descriptor():
    def client(volume):
        with leased(volume.file, pinning.LEASE_READ) as (fd, lease):
            error, device = redeem(*pinning.ticket(fd, lease))
            expect_equal(error, 0, "error")
            with expect_errno(errno.EBADF):
                os.pwrite(device, b"x", 0)
            with expect_errno(errno.EACCES):
                os.open(f"/proc/self/fd/{device}", os.O_RDWR)
            with expect_errno(errno.EACCES):
                mmap.mmap(device, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            libc = ctypes.CDLL(None, use_errno=True)
            libc.mmap.restype = ctypes.c_void_p
            address = libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED,
                                device, ctypes.c_long(0))
            failed = libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096),
                                   mmap.PROT_READ | mmap.PROT_WRITE)
            expect_equal((failed, ctypes.get_errno()), (-1, errno.EACCES), "mprotect")
            os.lseek(device, 4096, os.SEEK_SET)
            other = redeem(*pinning.ticket(fd, lease))[1]
            expect_equal(os.lseek(other, 0, os.SEEK_CUR), 0, "position of another descriptor")
        with leased(volume.file) as (fd, lease):
            error, device = redeem(*pinning.ticket(fd, lease))
            expect_equal(error, 0, "error")
            mmap.mmap(device, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()

    with brokered() as volume:
        as_nobody(client, volume)


@case("only a lease of the same open file gives a ticket", bare=True)
def tickets_need_leases():
    def client(volume):
        with leased(volume.file) as (fd, lease), leased(volume.file) as (other, foreign):
            for wrong in (0, lease + 100, foreign):
                with expect_errno(errno.EINVAL):
                    pinning.ticket(fd, wrong)
            with expect_errno(errno.EINVAL):
                pinning.ticket(fd, lease, flags=1)
            pinning.ticket(fd, lease)
            pinning.ticket(other, foreign)
        with expect_errno(errno.EINVAL):
            folder = os.open(volume.mountpoint, os.O_RDONLY | os.O_DIRECTORY)
            pinning.ticket(folder, 1)

    with brokered() as volume:
        as_nobody(client, volume)


@case("a ticket is good once, for its process and user, while its lease lives", bare=True)
def tickets_are_narrow():
    def stranger(ticket, path):
        expect_refused(redeem(ticket, path), errno.EACCES)

    def client(volume):
        with leased(volume.file) as (fd, lease):
            ticket, path = pinning.ticket(fd, lease)
            for at in range(0, 32, 5):
                wrong = ticket[:at] + bytes([ticket[at] ^ 1]) + ticket[at + 1:]
                expect_refused(redeem(wrong, path), errno.EACCES)
            child = os.fork()
            if child == 0:
                os._exit(redeem(ticket, path)[0])
            expect_equal(exit_status(child), errno.EACCES, "what the child gets for its parent's ticket")
            expect_equal(redeem(ticket, path)[0], 0, "error for the rightful one")
            expect_refused(redeem(ticket, path), errno.EACCES)
            replaced, _ = pinning.ticket(fd, lease)
            newer, _ = pinning.ticket(fd, lease)
            expect_refused(redeem(replaced, path), errno.EACCES)
            pinning.release(fd, lease)
            expect_refused(redeem(newer, path), errno.EACCES)

    with brokered() as volume:
        as_nobody(client, volume)
        with leased(volume.file) as (fd, lease):
            as_nobody(stranger, *pinning.ticket(fd, lease), uid=NOBODY.pw_uid - 1)


@case("the metadata device is not for clients, nor one that there is not", bare=True)
def devices_for_clients():
    def client(volume):
        with leased(volume.file) as (fd, lease):
            for device in (META, 2, 1 << 31):
                expect_refused(redeem(*pinning.ticket(fd, lease), device), errno.EINVAL)

    with brokered() as volume:
        as_nobody(client, volume)


@case("what is not exactly a request is refused; descriptors that come along are dropped", bare=True)
def malformed_messages():
    def client(volume, path):
        whole = pinning.BROKER_REQUEST.pack(bytes(32), DATA, 0, 0, 0)
        own = os.open("/dev/null", os.O_RDONLY)
        for message in (b"x", whole[:-1], whole + b"x", whole * 20, os.urandom(60000),
                        pinning.BROKER_REQUEST.pack(bytes(32), DATA, 0, 0, 1)):
            expect_refused(ask(path, message), errno.EINVAL)
            expect_refused(ask(path, message, *[own] * 100), errno.EINVAL)
        expect_refused(ask(path, whole, own), errno.EACCES)
        for _ in range(200):
            connect(path).close()
        with leased(volume.file) as (fd, lease):
            ticket, path = pinning.ticket(fd, lease)
            message = pinning.BROKER_REQUEST.pack(ticket, DATA, 0, 0, 0)
            expect_refused(ask(path, message[:40]), errno.EINVAL)
            expect_refused(ask(path, message[40:]), errno.EINVAL)
            expect_equal(redeem(ticket, path)[0], 0, "error after halves of it")

    with brokered() as volume:
        before = descriptors_of(volume)
        as_nobody(client, volume, str(volume.folder / "broker"))
        wait_until(lambda: descriptors_of(volume) == before, "descriptors to be closed")


@case("who connects and says nothing stands in nobody else's way, and is put off", bare=True)
def flood():
    def client(path, ready):
        silent = [connect(path) for _ in range(500)]
        os.write(ready, b"x")
        for connection in silent:
            wait_until(lambda: connection.recv(1) == b"", "the broker to lose patience")

    with brokered() as volume:
        before = descriptors_of(volume)
        path = str(volume.folder / "broker")
        waiting, ready = os.pipe()
        child = start_as_nobody(client, path, ready)
        os.read(waiting, 1)
        with leased(volume.file) as (fd, lease):
            expect_equal(redeem(*pinning.ticket(fd, lease))[0], 0, "error")
        # The broker takes connections in their order: it has seen all of them.
        expect(before < descriptors_of(volume) < before + 40, "the daemon keeps all that come")
        expect_equal(os.waitpid(child, os.WNOHANG), (0, 0),
                     "the request waited until the silent client was put off")
        expect_equal(exit_status(child), 0, "exit status of the silent client")
        wait_until(lambda: descriptors_of(volume) == before, "descriptors to be closed")


@case("everybody reaches the socket that is chosen if none is named, whatever the umask", bare=True)
def chosen_socket():
    def client(volume):
        with leased(volume.file) as (fd, lease):
            ticket, path = pinning.ticket(fd, lease)
            expect_equal(redeem(ticket, path)[0], 0, "error")

    def with_umask():
        limit_log()
        os.umask(0o077)

    folder = "/run/daxpin"
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    with brokered("dax=broker", prepare=with_umask) as volume:
        as_nobody(client, volume)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


@case("without the broker there are no tickets", bare=True)
def no_broker():
    with brokered("dax=open") as volume, leased(volume.file) as (fd, lease):
        with expect_errno(errno.EOPNOTSUPP):
            pinning.ticket(fd, lease)
        expect_equal(pinning.device(fd, DATA).flags & pinning.DEVICE_BROKER, 0, "flag")


@case("a client's descriptor does not keep the device in use; the broker comes back after a kill",
      bare=True)
def remount():
    def fetch(volume):
        with leased(volume.file) as (fd, lease):
            error, device = redeem(*pinning.ticket(fd, lease))
            expect_equal(error, 0, "error")
            return device

    with brokered() as volume:
        options = ("dax=broker", f"broker_socket={volume.folder / 'broker'}")
        kept = fetch(volume)
        volume.unmount()
        expect(not (volume.folder / "broker").exists(), "the socket is left behind")
        volume.mount(*options)
        volume.kill()
        volume.mount(*options)
        os.close(fetch(volume))
        os.close(kept)


if __name__ == "__main__":
    sys.exit(run())
