# SPDX-License-Identifier: BSD-3-Clause
"""One request by several interfaces: ioctl, attribute, the tool `daxpin`; and what a refusal must
leave."""

import errno
import mmap
import os
import subprocess

from files import make_file, make_pinned, opened
from harness import MIB, expect, expect_equal, expect_errno, program
from pinning import BLOCK
from syscalls import as_user

USER = 12345  # neither root nor the owner of anything here
PIN, EXTENTS = "user.daxpin.pin", "user.daxpin.extents"

# Why an interface cannot ask.
ALWAYS_PREPARES = "it prepares always"
NO_ALIGN = "it has no alignment to ask for, and where 4 KiB are mapped nothing has to move for it"
NO_LEASES = "leases are taken by ioctl alone"
NO_NEED = "no request of its own comes to it"


def not_by(interface, reason):
    print(f"# not by {interface}: {reason}", flush=True)


def state(path):
    """What a refused request leaves as it was."""
    info = os.stat(path)
    return (info.st_size, info.st_blocks, info.st_mtime_ns, info.st_ctime_ns, info.st_mode,
            info.st_nlink, os.getxattr(path, "user.daxpin.status"))


def refuses(wanted, path, *requests):
    before = state(path)
    for number, request in enumerate(requests):
        try:
            with expect_errno(wanted):
                request()
            expect_equal(state(path), before, "the file after a refusal")
        except AssertionError as failure:
            raise AssertionError(f"request {number} of {len(requests)}: {failure}") from failure


def daxpin(*words, **options):
    return subprocess.run([str(word) for word in ("daxpin", *words)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300, **options)


def by_tool(*words, uid=None):
    """Runs the tool; its refusal, one line that names the last word and the error, becomes
    OSError. The user may not reach the build folder, hence the way through a descriptor."""
    tool = os.open(program("daxpin"), os.O_PATH)
    try:
        user = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        done = daxpin(*words, executable=f"/proc/self/fd/{tool}", pass_fds=[tool], **user)
    finally:
        os.close(tool)
    if done.returncode == 0:
        return
    expect_equal(done.returncode, 1, f"exit status ({done.stdout})")
    begin = f"daxpin: {words[-1]}: "
    expect(done.stdout.startswith(begin) and done.stdout.count("\n") == 1, f"it says {done.stdout}")
    for number in errno.errorcode:
        if done.stdout[len(begin):].rstrip("\n").split(" (")[0] == os.strerror(number):
            raise OSError(number, done.stdout)
    raise AssertionError(f"it says {done.stdout}")


def by_user(request, uid=USER):
    """The request of somebody else; its errno becomes OSError."""
    number = as_user(uid, request)
    if number != 0:
        raise OSError(number, os.strerror(number))


def with_fd(path, request, flags=os.O_RDWR):
    """A request that opens the file itself."""
    def do():
        with opened(path, flags) as fd:
            request(fd)
    return do


def refuses_to_disarm(wanted, folder, *flags):
    """Refuses what an ordinary user does to a pinned program with setuid, which keeps that: he opens
    it with these flags, and writes if he can."""
    if os.geteuid() != 0:
        return
    path = make_pinned(folder, "program")
    os.chmod(path, 0o4777)
    data = mmap.mmap(-1, BLOCK)  # aligned, as direct I/O may ask

    def request(how):
        return lambda: by_user(lambda: os.write(os.open(path, how), data))
    refuses(wanted, path, *map(request, flags), lambda: by_user(lambda: os.truncate(path, 0)))


def set_pin(path):
    os.setxattr(path, PIN, b"1")


def clear_pin(path):
    os.setxattr(path, PIN, b"0")


def make_unsuitable(folder, name="file"):
    """A file that cannot be mapped in units of 2 MiB as it lies."""
    for number in range(4):
        path = make_file(folder, f"{name}-{number}")
        first = os.getxattr(path, EXTENTS).split()
        if int(first[3]) % (2 * MIB) != 0:
            return path
    raise AssertionError("four files in a row begin at multiples of 2 MiB")
