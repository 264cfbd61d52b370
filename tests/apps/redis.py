# SPDX-License-Identifier: BSD-3-Clause
"""Redis with an append-only file: killed under load, and every acknowledged transaction there."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import threading

from . import servers
from .framework import Skipped, expect, expect_equal, wait_until

PACKAGES = ["redis-server"]

WRITERS = 4
SETTINGS = {"port": 0, "daemonize": "no", "save": "", "appendonly": "yes", "appendfsync": "always",
            "auto-aof-rewrite-percentage": 30, "auto-aof-rewrite-min-size": "2mb"}


class Refused(Exception):
    """An error reply."""


class Connection:
    """As much of the protocol as the load needs."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.replies = self.socket.makefile("rb")

    def call(self, *commands):
        """Sends commands, each a list of words, in one go; returns the last one's reply."""
        self.socket.sendall(b"".join(map(encode, commands)))
        return [self.reply() for _ in commands][-1]

    def reply(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]

    def close(self):
        self.replies.close()
        self.socket.close()


def encode(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                             for word in words)


def value(writer, number):
    """Most are shorter than a page, a few are much longer than one."""
    digest = hashlib.sha256(b"%d %d" % (writer, number)).hexdigest()
    return digest.encode() * (2000 if number % 500 == 0 else 1 + number % 20)


class Server(servers.Server):
    def __init__(self, data):
        if shutil.which("redis-server") is None:
            raise Skipped("there is no redis-server (package redis-server)")
        super().__init__(data, "redis")
        self.socket = self.sockets / "redis.sock"

    def create(self):
        self.make_folder(self.data)
        self.start()

    def start(self):
        words = [word for name, setting in SETTINGS.items() for word in (f"--{name}", setting)]
        self.launch("redis-server", "--dir", self.data, "--unixsocket", self.socket, *words)

    def answers(self):
        """Not while it loads the file."""
        try:
            with contextlib.closing(self.connect()) as connection:
                return connection.call(["PING"]) == b"PONG"
        except (OSError, Refused):
            return False

    def connect(self):
        return Connection(self.socket)

    def stop(self):
        expect_equal(self.end(signal.SIGTERM), 0, "the server's exit status")

    def crash(self):
        """kill -9, of a child that rewrites the file, too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.end(signal.SIGKILL)

    def check(self):
        """Of a stopped server: returns what was checked."""
        output = self.run("redis-check-aof", self.data / "appendonlydir/appendonly.aof.manifest")
        expect("All AOF files and manifest are valid" in output, "redis-check-aof", output)
        return "redis-check-aof finds nothing"

    def check_running(self):
        """Redis cuts off a record that is not there wholly; what it says of it."""
        cut = "loaded anyway" in self.read_log()
        return "the last record was cut off" if cut else "the append-only file is whole"


class Load:
    """Clients of a server; what it acknowledged to them is recorded here."""

    def __init__(self, server):
        self.server = server
        self.numbers = [0] * WRITERS  # acknowledged so far
        self.found = [0] * WRITERS  # when last verified
        self.errors = []
        self.threads = []

    def start(self):
        """Returns when every client is at work."""
        self.errors = []
        self.threads = [threading.Thread(target=self.write, args=(writer,), daemon=True)
                        for writer in range(WRITERS)]
        for thread in self.threads:
            thread.start()
        wait_until(lambda: all(map(int.__gt__, self.numbers, self.found)),
                   "all clients are at work")

    def write(self, writer):
        """One transaction after the other, until the server is gone."""
        try:
            with contextlib.closing(self.server.connect()) as connection:
                while True:
                    number = self.numbers[writer] + 1
                    done = connection.call(
                        ["MULTI"], ["SET", f"{writer}:{number}", value(writer, number)],
                        ["INCR", f"total:{writer}"], ["EXEC"])
                    expect_equal(done, [b"OK", number], f"writer {writer}: reply")
                    self.numbers[writer] = number
        except Exception as error:
            self.errors.append(error)

    def wait(self):
        """Waits until all clients have ended, as each must when its server is gone."""
        for thread in self.threads:
            thread.join(timeout=120)
            expect(not thread.is_alive(), "a client outlived its server")
        for error in self.errors:
            expect(isinstance(error, (ConnectionError, Refused)), f"a client failed: {error!r}")

    def verify(self):
        """Of a running server, after wait(): returns how many transactions were acknowledged in
        this load, and how many more were found, in flight when the server went away."""
        acknowledged = sum(self.numbers) - sum(self.found)
        more = 0
        with contextlib.closing(self.server.connect()) as connection:
            for writer, known in enumerate(self.numbers):
                last = int(connection.call(["GET", f"total:{writer}"]))
                expect(known <= last <= known + 1,
                       f"writer {writer}: {known} is acknowledged, {last} is there")
                for number in range(1, last + 1):
                    got = connection.call(["GET", f"{writer}:{number}"])
                    expect(got == value(writer, number), f"writer {writer}: {number} is wrong")
                more += last - known
                self.numbers[writer] = last
            expect_equal(connection.call(["DBSIZE"]), sum(self.numbers) + WRITERS, "keys")
        self.found = list(self.numbers)
        return acknowledged, more


def run(folder, say):
    servers.crash_and_recover(Server(folder / "data"), Load, say)
