# SPDX-License-Identifier: BSD-3-Clause
"""Steps in a process of their own: under other credentials, below a read-only mount, under a
limit. The child really changes itself; what it finds comes back to the parent.

    ALICE.fails(errno.EACCES, os.chmod, "file", 0o644)
    ALICE.does(os.mkdir, "dir")
    ALICE.runs(several_steps)
"""

import os
import pickle
import resource
import signal
import sys
import traceback
from dataclasses import dataclass

from . import libc
from .checks import Failure, Skip, Tally, error_name, verdict


TOOLS = ("apart.py", "checks.py", "contextlib.py", "libc.py")


def place(error):
    """file:line of the innermost frame that belongs to a case."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if os.path.basename(frame.filename) not in TOOLS] or frames
    return f"{os.path.basename(outside[-1].filename)}:{outside[-1].lineno}"


def describe(error):
    """(kind, text, errno) of an exception, fit to cross a pipe."""
    if isinstance(error, Skip):
        return "skip", str(error), 0
    if isinstance(error, Failure):
        return "failed", f"{error} ({place(error)})", 0
    if isinstance(error, OSError) and error.errno:
        return "errno", f"{error} ({place(error)})", error.errno
    return "failed", f"{type(error).__name__}: {error} ({place(error)})", 0


def child_main(pipe, prepare, function):
    before = Tally.made
    try:
        prepare()
        answer = ("ok", function(), 0)
    except BaseException as error:  # whatever it is, the parent must hear of it
        answer = describe(error)
    with os.fdopen(pipe, "wb") as out:
        out.write(pickle.dumps((*answer, Tally.made - before)))


def run_forked(prepare, function):
    """Runs prepare and function in a child: (kind, value or text, errno)."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            child_main(writer, prepare, function)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as source:
        data = source.read()
    _, status = os.waitpid(pid, 0)
    if not data:
        number = os.waitstatus_to_exitcode(status)
        name = signal.Signals(-number).name if number < 0 else f"status {number}"
        return "died", f"the child died of {name}", 0
    kind, what, number, made = pickle.loads(data)
    Tally.made += made
    return kind, what, number


class Apart:
    """Something a step runs in; prepare() is called in the child."""

    def prepare(self):
        raise NotImplementedError

    def run(self, function):
        return run_forked(self.prepare, function)

    def runs(self, function):
        kind, what, _ = self.run(function)
        if kind == "skip":
            raise Skip(what)
        if kind != "ok":
            raise Failure(f"as {self}: {what}")
        return what

    def does(self, function, *arguments, **options):
        return self.runs(lambda: function(*arguments, **options))

    def succeeds(self, function, *arguments, **options):
        """As does(), and that it succeeds is what is checked."""
        result = self.does(function, *arguments, **options)
        Tally.made += 1
        return result

    def fails(self, expected, function, *arguments, **options):
        kind, what, number = self.run(lambda: (function(*arguments, **options), None)[1])
        if kind == "skip":
            raise Skip(what)
        if kind not in ("ok", "errno"):
            raise Failure(f"as {self}: {what}")
        try:
            verdict(expected, number, function)
        except Failure as failure:
            raise Failure(f"as {self}: {failure}") from None


@dataclass(frozen=True)
class User(Apart):
    """An ordinary user: no capability is left."""
    name: str
    uid: int
    gid: int
    groups: tuple = ()

    def __str__(self):
        return self.name

    def prepare(self):
        if os.geteuid() != 0:
            raise Skip("needs root: changes its credentials")
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)

    def owns(self, path, mode=None):
        """Gives the file to the user, and then the mode: chown may take bits away."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if mode is not None:
            os.chmod(path, mode)


ALICE = User("alice", 64101, 64201)
BOB = User("bob", 64102, 64202)
FRIEND = User("friend", 64103, 64203, (64201,))   # in the group of alice
MEMBER = User("member", 64101, 64201, (64301,))   # alice, with one more group
EXTRA_GROUP = 64301


@dataclass(frozen=True)
class ReadOnly(Apart):
    """Below `tree` nothing may be written: a read-only bind mount in a private namespace."""
    tree: str

    def __str__(self):
        return "root below a read-only mount"

    def prepare(self):
        if os.geteuid() != 0:
            raise Skip("needs root: mounts read-only")
        try:
            libc.unshare(libc.CLONE_NEWNS)
            libc.mount(None, "/", None, libc.MS_REC | libc.MS_SLAVE)
            libc.mount(self.tree, self.tree, None, libc.MS_BIND)
            libc.mount(None, self.tree, None, libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY)
        except PermissionError as error:
            raise Skip(f"no read-only bind mount: {error_name(error.errno)}") from None


@dataclass(frozen=True)
class Limited(Apart):
    """No file may grow beyond so many bytes (RLIMIT_FSIZE), and SIGXFSZ is ignored."""
    bytes: int

    def __str__(self):
        return f"a process limited to files of {self.bytes} bytes"

    def prepare(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.bytes, resource.RLIM_INFINITY))


class Process(Apart):
    """Another process, nothing else."""

    def __str__(self):
        return "another process"

    def prepare(self):
        pass


ANOTHER = Process()
