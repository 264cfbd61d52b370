# SPDX-License-Identifier: BSD-3-Clause
"""Runs cases, each in a process and a directory of its own, some at the same time."""

import os
import pickle
import select
import signal
import sys
import tempfile
import time
from dataclasses import dataclass

from . import files
from .apart import describe
from .checks import Skip, Tally

SECONDS_MAX = 120


@dataclass
class Result:
    name: str
    outcome: str   # passed, failed, skipped
    text: str = ""
    checks: int = 0
    seconds: float = 0.0


@dataclass
class Running:
    case: object
    pid: int
    pipe: int
    folder: str
    started: float


def outcome_of(case):
    """Runs the case here: (outcome, text)."""
    try:
        if case.root and os.geteuid() != 0:
            raise Skip("needs root")
        case.run()
    except BaseException as error:  # also what a case forgot to expect is its failure
        kind, text, _ = describe(error)
        return ("skipped" if kind == "skip" else "failed"), text
    if Tally.made == 0:
        return "failed", "checked nothing"
    return "passed", ""


def child(case, folder, pipe):
    os.setpgid(0, 0)
    os.umask(0)
    os.chdir(folder)
    outcome = outcome_of(case)
    os.write(pipe, pickle.dumps((*outcome, Tally.made)))


class Runner:
    """Cases below `directory`; results go to `report` as they come."""

    def __init__(self, directory, report):
        self.base = tempfile.mkdtemp(prefix="conformance-", dir=directory)
        os.chmod(self.base, 0o755)
        self.report = report
        self.running = {}
        self.count = 0

    def run(self, cases, jobs):
        try:
            self.run_group([case for case in cases if not case.alone], jobs)
            self.run_group([case for case in cases if case.alone], 1)
        finally:
            self.stop()

    def run_group(self, cases, jobs):
        waiting = list(reversed(cases))
        while waiting or self.running:
            while waiting and len(self.running) < jobs:
                self.start(waiting.pop())
            if self.running:
                self.collect()

    def start(self, case):
        self.count += 1
        folder = os.path.join(self.base, f"case{self.count}")
        try:
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        except OSError as error:
            self.report(Result(case.name, "failed", f"no directory to run in: {error}"))
            return
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(case, folder, writer)
            finally:
                os._exit(0)
        os.close(writer)
        self.running[reader] = Running(case, pid, reader, folder, time.monotonic())

    def collect(self):
        """Waits for one case or more to end."""
        ready, _, _ = select.select(list(self.running), [], [], 1.0)
        for pipe in ready:
            self.finish(self.running.pop(pipe))
        for pipe, job in list(self.running.items()):
            if time.monotonic() - job.started > SECONDS_MAX:
                kill_group(job.pid)
                self.finish(self.running.pop(pipe), f"still running after {SECONDS_MAX} s")

    def finish(self, job, trouble=""):
        data = b"" if trouble else os.read(job.pipe, 1 << 16)
        os.close(job.pipe)
        _, status = os.waitpid(job.pid, 0)
        outcome, text, checks = "failed", trouble, 0
        if data:
            outcome, text, checks = pickle.loads(data)
        elif not trouble:
            text = f"its process ended with {os.waitstatus_to_exitcode(status)}"
        try:
            files.remove_tree(job.folder)
        except OSError as error:
            outcome, text = "failed", f"{text}; cannot be removed: {error}".lstrip("; ")
        self.report(Result(job.case.name, outcome, text, checks, time.monotonic() - job.started))

    def stop(self):
        """Ends what still runs after an interrupt, and removes everything."""
        for job in self.running.values():
            kill_group(job.pid)
            os.waitpid(job.pid, 0)
        self.running.clear()
        try:
            files.remove_tree(self.base)
        except OSError as error:
            print(f"{self.base} is left behind: {error}", file=sys.stderr)


def kill_group(pid):
    for target in (-pid, pid):
        try:
            os.kill(target, signal.SIGKILL)
            return
        except ProcessLookupError:
            continue
