# SPDX-License-Identifier: BSD-3-Clause
"""A second process that does what it is told, one step after the other, and keeps what it holds."""

import os
import pickle

from .apart import describe
from .checks import Failure, Tally, verdict


def meanwhile(function):
    """Runs the function in a child; yields while it runs, and once more when it has ended."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    ended, status = 0, 0
    while not ended:
        ended, status = os.waitpid(pid, os.WNOHANG)
        yield
    if status:
        raise Failure(f"the other process ended with status {status:#x}")


class Companion:
    """Forked when entered, gone when left. Steps are functions known before the fork, by name."""

    def __init__(self, **steps):
        self.steps = steps

    def __enter__(self):
        down_reader, down_writer = os.pipe()
        up_reader, up_writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(down_writer)
            os.close(up_reader)
            self.serve(down_reader, up_writer)
        os.close(down_reader)
        os.close(up_writer)
        self.orders, self.answers = down_writer, up_reader
        return self

    def serve(self, reader, writer):
        try:
            with os.fdopen(reader, "rb") as orders:
                while True:
                    name, arguments = pickle.load(orders)
                    try:
                        answer = ("ok", self.steps[name](*arguments), 0)
                    except Exception as error:
                        answer = describe(error)
                    os.write(writer, pickle.dumps(answer))
        finally:
            os._exit(0)

    def order(self, name, *arguments):
        os.write(self.orders, pickle.dumps((name, arguments)))

    def answer(self):
        data = os.read(self.answers, 1 << 16)
        if not data:
            raise Failure("the other process is gone")
        return pickle.loads(data)

    def does(self, name, *arguments):
        self.order(name, *arguments)
        kind, what, _ = self.answer()
        if kind != "ok":
            raise Failure(f"in the other process: {what}")
        Tally.made += 1
        return what

    def fails(self, expected, name, *arguments):
        self.order(name, *arguments)
        kind, what, number = self.answer()
        if kind not in ("ok", "errno"):
            raise Failure(f"in the other process: {what}")
        verdict(expected, number, self.steps[name])

    def __exit__(self, *_):
        os.close(self.orders)
        os.close(self.answers)
        os.waitpid(self.pid, 0)
