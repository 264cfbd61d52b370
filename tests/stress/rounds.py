# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/stress-fsx and scripts/stress-fs share: a volume, a program that goes from seed to
seed on it, then fsck and a mount that must show the same.

A seed that the program finished is a passed round; the check of the volume at the end is one more.
With a log file the next run goes on behind the last seed that is in it.
"""

import argparse
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

from harness import (MIB, SKIPPED_EXIT, Skip, Volume, end_at_once, expect, program,  # noqa: E402
                     require_fuse)

FINISHED = re.compile(r"^seed (\d+): (\d+) operations$", re.MULTILINE)


def parse(documentation, extra):
    parser = argparse.ArgumentParser(description=documentation.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, help="the first (default: behind the log's last, or 1)")
    parser.add_argument("--separate", action="store_true", help="metadata and data on two devices")
    parser.add_argument("--directory", type=pathlib.Path,
                        help="run there, on whatever filesystem it is, instead of on a volume")
    parser.add_argument("--log", type=pathlib.Path, help="append finished seeds and counts")
    parser.add_argument("--build", type=pathlib.Path, help="the build folder (DAXPIN_BUILD)")
    parser.add_argument("--volume-mib", type=int, default=512)
    extra(parser)
    arguments = parser.parse_args()
    if arguments.build:
        os.environ["DAXPIN_BUILD"] = str(arguments.build.resolve())
    if arguments.seed is None:
        arguments.seed = 1
        if arguments.log and arguments.log.exists():
            seeds = FINISHED.findall(arguments.log.read_text(encoding="utf-8"))
            arguments.seed = max((int(seed) for seed, _ in seeds), default=0) + 1
    return arguments


class Rounds:
    """Runs the program and counts; `arguments.log` grows by what it finished."""

    def __init__(self, arguments, name, words, file=""):
        self.arguments = arguments
        self.file = file
        self.command = [program(name), "--seed", str(arguments.seed), "--seconds",
                        str(arguments.seconds), *words]
        self.passed = 0
        self.failed = 0

    def run(self, directory):
        """The program's whole output goes to the terminal; True if it found nothing wrong."""
        command = [*self.command, str(directory / self.file)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False,
                              timeout=self.arguments.seconds * 4 + 300)
        finished = FINISHED.findall(done.stdout)
        self.passed += len(finished)
        print(FINISHED.sub("", done.stdout).strip(), flush=True)
        if finished:
            print(f"seeds {finished[0][0]} to {finished[-1][0]}, "
                  f"{sum(int(count) for _, count in finished)} operations", flush=True)
        if done.returncode != 0:
            self.failed += 1
            print(f"$ {shlex.join(command)}\nexit status {done.returncode}", flush=True)
        self.note(done)
        return done.returncode == 0

    def note(self, done):
        if not self.arguments.log:
            return
        with open(self.arguments.log, "a", encoding="utf-8") as log:
            where = self.arguments.directory or ("two devices" if self.arguments.separate
                                                 else "one device")
            log.write(f"# {time.strftime('%Y-%m-%d %H:%M:%S')} {where}, "
                      f"exit status {done.returncode}\n{done.stdout}")

    def on_volume(self):
        """A volume of ours, checked and compared afterwards."""
        arguments = self.arguments
        with Volume(size=arguments.volume_mib * MIB, separate=arguments.separate) as volume:
            try:
                volume.mount()
                good = self.run(volume.mountpoint)
                volume.check_and_remount()
                volume.unmount()
                volume.fsck()
                log = volume.log.read_text(errors="replace")
                expect("Sanitizer" not in log, "a sanitizer's report")
                self.passed += int(good)
            except Exception as error:  # whatever goes wrong is this round's failure
                self.failed += 1
                print(f"not ok: {error}\nthe daemon's log:\n{volume.read_log()}", flush=True)
            else:
                print("fsck clean; the same after a remount", flush=True)

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0


def main(documentation, name, words, extra, file=""):
    """words(arguments): the program's further options. file: what it works on, if it is not the
    directory itself."""
    arguments = parse(documentation, extra)
    rounds = Rounds(arguments, name, words(arguments), file)
    if arguments.directory:
        rounds.run(arguments.directory)
        return rounds.close()
    try:
        require_fuse()
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED_EXIT
    signal.signal(signal.SIGTERM, end_at_once)
    rounds.on_volume()
    return rounds.close()
