#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is started by hand: benchmarks, scripts/crash, the virtual machine. Not what they measure or
find, but that they say what they did, and leave nothing behind when they are stopped."""

import contextlib
import importlib.machinery
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "bench")]

import peers  # noqa: E402
import targets  # noqa: E402

WAIT_SECONDS = 60


def program_as_module(path):
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.name, loader))
    loader.exec_module(module)
    return module


def wait_for_text(path):
    """What somebody writes into that file, a line."""
    end = time.monotonic() + WAIT_SECONDS
    while not (path.exists() and path.read_text(encoding="utf-8").endswith("\n")):
        if time.monotonic() > end:
            raise AssertionError(f"nothing in {path}")
        time.sleep(0.01)
    return path.read_text(encoding="utf-8").strip()


def make_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def running(*command, **options):
    """A program in a session of its own, of which nothing is left."""
    process = subprocess.Popen([str(word) for word in command], start_new_session=True,
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="daxpin-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Targets(unittest.TestCase):
    def test_what_was_not_measured_is_shown_and_counted(self):
        text = targets.text([targets.row("a", 0.5, 1), targets.row("b", None, 1),
                             targets.row("c", None, 1, targets.AT_LEAST), targets.row("d", 2, 1)])
        verdicts = [line.split(" 1 ")[-1].strip() for line in text.splitlines()[:-1]]
        self.assertEqual(verdicts, ["met", "not measured", "not measured", "NOT MET"])
        self.assertEqual(text.splitlines()[-1], "1 of 4 targets met")

    def test_calls(self):
        calls = program_as_module(ROOT / "bench/calls")
        names = (*calls.METADATA, *calls.CACHED, *calls.LARGE, "append 4 KiB", "overwrite 4 KiB",
                 "overwrite 4 KiB + fsync")

        def figure(microseconds):
            return {"median_us": microseconds}
        figures = {name: {"daxpin": figure(4), "passthrough": figure(4), "fuse2fs": figure(10)}
                   for name in names}
        figures[names[0]]["daxpin"] = figure(20)
        rows = {row["what"]: row for row in calls.rows_of(
            figures, ["daxpin", "passthrough", "fuse2fs", "ntfs-3g"], False)}
        median = rows["median of all calls : fuse2fs"]
        self.assertEqual((median["figure"], median["limit"]), (0.4, 0.5))
        self.assertEqual(rows[f"{names[0]} : fuse2fs"]["figure"], 2)
        missing = [what for what, row in rows.items() if row["figure"] is None]
        self.assertEqual(missing, [f"{name} : ntfs-3g" for name in names] +
                         ["median of all calls : ntfs-3g"])
        chosen = calls.rows_of(figures, ["daxpin", "passthrough"], True)
        self.assertTrue(all(row["figure"] is not None for row in chosen))

    def test_persist(self):
        persist = program_as_module(ROOT / "bench/persist")

        class Figures(dict):
            def __missing__(self, _):
                return 1.0
        limits = [[row["limit"] for row in persist.rows_of(Figures(), is_awake)
                   if row["what"] == "64 bytes, mount : daxpin_persist"]
                  for is_awake in (False, True)]
        self.assertEqual(limits, [[100], [60]])


class Programs(WithFolder):
    def test_a_program_that_is_not_there_is_said_to_be_missing(self):
        with self.assertRaises(peers.Missing) as raised:
            peers.run(self.folder / "absent")
        self.assertIn("absent: No such file", str(raised.exception))

    def test_crash_in_another_time_asks_for_no_number_of_states(self):
        (self.folder / "build.ninja").write_text("build tests/crash/crash-suite: phony\n")
        make_program(self.folder / "tests/crash/crash-suite", "#!/bin/sh\necho \"$@\"\n")

        def asked(*words):
            said = subprocess.run([ROOT / "scripts/crash", *words], check=True, text=True,
                                  env={**os.environ, "DAXPIN_BUILD": str(self.folder)},
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.split()
            return {said[i]: said[i + 1] for i in range(0, len(said), 2)}  # the last one counts
        self.assertEqual(asked(), {"--seconds": "600", "--least": "1000000"})
        self.assertEqual(asked("--seconds", "30"), {"--seconds": "30", "--least": "0"})
        self.assertEqual(asked("--seconds", "30", "--least", "7"),
                         {"--seconds": "30", "--least": "7"})


PART = """
import pathlib, signal, sys, time
folder = pathlib.Path({folder!r})
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
try:
    (folder / "begun").write_text("begun\\n")
    time.sleep(60)
finally:
    time.sleep(0.7)  # unmounting
    (folder / "ended").write_text("ended\\n")
"""
RUN_PART = """
import argparse, importlib.machinery, pathlib, signal, sys
sys.dont_write_bytecode = True
bench = importlib.machinery.SourceFileLoader("bench", {bench!r}).load_module()
folder = pathlib.Path({folder!r})
bench.PARTS, bench.ROOT = {{"part": ("", ["part"], [])}}, folder
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
bench.run_part("part", argparse.Namespace(quick=False, build=folder), folder)
"""
MACHINE = """
import pathlib, signal, sys, types
sys.path.insert(0, {guest!r})
import machine
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
machine.Machine(types.SimpleNamespace(image="kernel"), "initramfs", [], pathlib.Path({folder!r}))
"""


class Stopped(WithFolder):
    def run_part(self):
        make_program(self.folder / "bench/part",
                     f"#!{sys.executable}\n{PART.format(folder=str(self.folder))}")
        return running(sys.executable, "-B", "-c", RUN_PART.format(
            bench=str(ROOT / "scripts/bench"), folder=str(self.folder)))

    def test_a_part_has_unmounted_before_the_benchmark_ends(self):
        for name, stop in (("Ctrl-C", lambda pid: os.killpg(pid, signal.SIGINT)),
                           ("SIGTERM", lambda pid: os.kill(pid, signal.SIGTERM))):
            with self.subTest(name), self.run_part() as bench:
                wait_for_text(self.folder / "begun")
                stop(bench.pid)
                bench.wait(timeout=WAIT_SECONDS)
                self.assertTrue((self.folder / "ended").exists())
            for file in ("begun", "ended"):
                (self.folder / file).unlink(missing_ok=True)

    def test_parts_leave_no_folder_behind_on_sigterm(self):
        begun = self.folder / "begun"
        make_program(self.folder / "src/tools/mkfs/mkfs.daxpinfs",
                     f"#!/bin/sh\nfor word; do :; done\necho \"$word\" > {begun}\nexec sleep 60\n")
        for part in (["persist"], ["pins", "--bytes", "1M"]):
            with self.subTest(part[0]), running(ROOT / "bench" / part[0], *part[1:], "--build",
                                                self.folder) as process:
                image = pathlib.Path(wait_for_text(begun))
                self.assertTrue(image.parent.is_dir())
                process.terminate()
                process.wait(timeout=WAIT_SECONDS)
                self.assertFalse(image.parent.exists())
            begun.unlink(missing_ok=True)

    def test_a_machine_that_is_starting_ends_too(self):
        begun = self.folder / "begun"
        make_program(self.folder / "bin/qemu-system-x86_64",
                     f"#!/bin/sh\necho $$ > {begun}\nexec sleep 60\n")
        paths = f"{self.folder}/bin:{os.environ['PATH']}"
        with running(sys.executable, "-B", "-c",
                     MACHINE.format(guest=str(ROOT / "tests/guest"), folder=str(self.folder)),
                     env={**os.environ, "PATH": paths}) as starter:
            emulator = pathlib.Path("/proc", wait_for_text(begun))
            starter.terminate()
            starter.wait(timeout=WAIT_SECONDS)
            self.assertFalse(emulator.exists())


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed, 0 skipped")
    sys.exit(bool(bad))
