# SPDX-License-Identifier: BSD-3-Clause
"""O_APPEND: every write goes to the end, whoever else writes."""

import errno
import fcntl
import os

from .framework.at_rules import opened
from .framework.checks import Skip, changes, check, equal
from .framework.files import make, read, write
from .framework.registry import case

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
RWF_NOAPPEND = 0x20


def records_by(number, count, size):
    """What one process appends: records that say whose they are and which."""
    with opened("file", FLAGS) as descriptor:
        for index in range(count):
            record = f"{number:03} {index:06} ".encode()
            record += b"%c" % (97 + number % 26) * (size - len(record) - 1) + b"\n"
            if os.write(descriptor, record) != size:
                os._exit(1)


@case("append/{processes}-processes-{size}-bytes/regular", processes=(2, 8, 24),
      size=(20, 100, 4096, 6000))
def processes_append(processes, size):
    """No record is lost, torn or out of its writer's order."""
    count = max(4, 2000 // processes // (size // 1000 + 1))
    make("regular", "file")
    pids = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            records_by(number, count, size)
            os._exit(0)
        pids.append(pid)
    statuses = {os.waitpid(pid, 0)[1] for pid in pids}
    equal(statuses, {0}, "exit statuses")
    data = read("file")
    equal(len(data), processes * count * size, "size")
    following = [0] * processes
    for start in range(0, len(data), size):
        record = data[start:start + size]
        number, index = int(record[:3]), int(record[4:10])
        check(record[11:-1] == b"%c" % (97 + number % 26) * (size - 12), f"torn at {start}")
        equal(index, following[number], f"record of process {number} at {start}")
        following[number] += 1
    equal(set(following), {count}, "records of each process")


def append_each(number, count, anew):
    """Records of 16 bytes; `anew`: the file is opened for each, as a shell's >> does."""
    descriptor = os.open("file", FLAGS)
    for index in range(count):
        if anew:
            os.close(descriptor)
            descriptor = os.open("file", FLAGS)
        os.write(descriptor, b"%06d %07d\n\n" % (number, index))


def empty_it(number, count):
    del number
    for _ in range(count):
        os.close(os.open("file", os.O_WRONLY | os.O_TRUNC))


@case("append/beside-O_TRUNC-{how}/regular", how=("kept-open", "opened-anew"))
def beside_truncation(how):
    """Whatever comes after a truncation is whole, in order, and leaves no gap."""
    writers, records = 3, 60
    for _ in range(40):
        make("regular", "file")
        pids = []
        for number in range(writers + 1):
            pid = os.fork()
            if pid == 0:
                if number < writers:
                    append_each(number, records, how == "opened-anew")
                else:
                    empty_it(number, records // 4)
                os._exit(0)
            pids.append(pid)
        equal({os.waitpid(pid, 0)[1] for pid in pids}, {0}, "exit statuses")
        data = read("file")
        equal(os.stat("file").st_size, len(data), "size")
        left = {}
        for start in range(0, len(data), 16):
            record = data[start:start + 16]
            check(record[6:7] == b" " and record[14:] == b"\n\n", f"at {start}: {record!r}")
            left.setdefault(int(record[:6]), []).append(int(record[7:14]))
        for number, indices in left.items():
            equal(indices, list(range(indices[0], records)), f"what is left of writer {number}'s")
        os.unlink("file")


@case("append/two-descriptors-of-one-process/regular")
def two_descriptors():
    with opened("file", FLAGS) as first, opened("file", FLAGS) as second:
        for _ in range(3):
            os.write(first, b"a")
            os.write(second, b"b")
    equal(read("file"), b"ababab", "contents")


@case("append/ignores-the-offset/regular")
def ignores_offset():
    write("file", b"head")
    with opened("file", FLAGS) as descriptor:
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, b"tail")
        equal(os.lseek(descriptor, 0, os.SEEK_CUR), 8, "offset")
    equal(read("file"), b"headtail", "contents")


@case("append/pwrite-appends-too/regular")
def pwrite_appends():
    """As Linux does and says it does, against POSIX."""
    write("file", b"head")
    with opened("file", FLAGS) as descriptor:
        os.pwrite(descriptor, b"tail", 0)
    equal(read("file"), b"headtail", "contents")


@case("append/after-truncate/regular")
def after_truncate():
    write("file", b"contents")
    with opened("file", FLAGS) as descriptor:
        os.write(descriptor, b"1")
        os.truncate("file", 3)
        os.write(descriptor, b"2")
        os.truncate("file", 6)
        os.write(descriptor, b"3")
    equal(read("file"), b"con2\0\0003", "contents")


@case("append/after-others-write/regular")
def after_others():
    write("file", b"head")
    with opened("file", FLAGS) as descriptor, opened("file", os.O_WRONLY) as other:
        os.pwrite(other, b"x", 9)
        os.write(descriptor, b"tail")
    equal(read("file"), b"head\0\0\0\0\0xtail", "contents")


@case("append/flag-set-later/regular")
def set_later():
    write("file", b"head")
    with opened("file", os.O_WRONLY) as descriptor:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
        os.write(descriptor, b"tail")
        fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
        os.pwrite(descriptor, b"H", 0)
    equal(read("file"), b"Headtail", "contents")


@case("append/RWF_NOAPPEND-writes-at-the-offset/regular")
def no_append():
    write("file", b"head")
    with opened("file", FLAGS) as descriptor:
        try:
            os.pwritev(descriptor, [b"H"], 0, RWF_NOAPPEND)
        except OSError as error:
            equal(error.errno, errno.EOPNOTSUPP, "errno")
            raise Skip("this kernel has no RWF_NOAPPEND (Linux 6.9)") from error
        os.write(descriptor, b"tail")
    equal(read("file"), b"Headtail", "contents")


@case("append/updates-times/regular")
def times():
    write("file", b"head")
    with opened("file", FLAGS) as descriptor, changes("file", "mtime", "ctime"):
        os.write(descriptor, b"tail")


@case("append/far-away/regular")
def far():
    make("regular", "file")
    os.truncate("file", 1 << 33)
    with opened("file", FLAGS) as descriptor:
        os.write(descriptor, b"tail")
    equal(os.stat("file").st_size, (1 << 33) + 4, "size")
    with opened("file", os.O_RDONLY) as descriptor:
        equal(os.pread(descriptor, 8, 1 << 33), b"tail", "contents")


@case("append/large-writes-stay-whole/regular")
def large():
    """Two processes, each write larger than a page but not larger than a request."""
    make("regular", "file")
    pids = []
    for letter in b"ab":
        pid = os.fork()
        if pid == 0:
            with opened("file", FLAGS) as descriptor:
                for _ in range(6):
                    os.write(descriptor, bytes([letter]) * 200_000)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    data = read("file")
    equal(len(data), 12 * 200_000, "size")
    for start in range(0, len(data), 200_000):
        check(len(set(data[start:start + 200_000])) == 1, f"torn at {start}")
