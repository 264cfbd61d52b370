#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds daxpin in several ways, runs the suites of each and prints a table. See scripts/test.

Counts come from the runners' own output (Catch2's summary, or the closing line of a script), not
from a list kept here; a test that says nothing counts as one.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED_EXIT = 77
WAITING_SUITES = ("mount", "stress")  # one test at a time, which waits more than it computes
TIMEOUT_MULTIPLIER = 4  # a test that hangs is found all the same; a slow machine is no failure
# Clang's runtimes look for a program of this name without a version, which Debian does not have;
# without it no suppression matches.
SYMBOLIZER = "external_symbolizer_path=/usr/lib/llvm-14/bin/llvm-symbolizer"
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:handle_segv=0:"
                    f"handle_sigbus=0:allow_user_segv_handler=1:{SYMBOLIZER}",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:{SYMBOLIZER}:"
                    f"suppressions={ROOT}/tests/stress/tsan.supp",
}


@dataclass
class Stage:
    """One way of building, and the suites that are run on it. Without targets all is built; a
    target that is a folder stands for what is built from there; with tests_only, the programs of
    the suites are."""
    name: str
    folder: str
    compilers: tuple = ("gcc", "g++")
    options: tuple = ()
    targets: tuple = ()
    tests_only: bool = False
    suites: tuple = ()
    samples: dict = field(default_factory=dict)  # suite -> (its one test to run, arguments)
    environment: dict = field(default_factory=dict)
    about: str = ""


STAGES = (
    # Whole debug information makes compiling half as long again; lines are enough here.
    Stage("gcc", "build", options=("-Dcpp_args=-g1",),
          suites=("unit", "tidy", "crash", "faults", "fuzz", "guest"),
          about="the suites in process, and the guest, on the default build"),
    Stage("release", "build-release", options=("--native-file", "release.ini"),
          targets=("src", "docs", "examples", "tests/mount", "tests/stress"),
          suites=("mount", "stress"),
          about="the suites through the kernel, on the programs as they are built for use"),
    # By clang, which takes half of GCC's time to compile this.
    Stage("sanitize", "build-asan", compilers=("clang-14", "clang++-14"),
          options=("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1",
                   "-Dcpp_args=-g1", "-Dman=false"),
          tests_only=True, suites=("unit", "crash"),
          samples={"crash": ("crash-suite", "--quick --start fresh+wrap")},
          environment=SANITIZER_ENVIRONMENT,
          about="unit, and a sample of crash, under AddressSanitizer and UBSan"),
    Stage("clang", "build-clang", compilers=("clang-14", "clang++-14"),
          options=("-Db_sanitize=thread", "-Db_lundef=false", "-Doptimization=1",
                   "-Dcpp_args=-g1", "-Dman=false"),
          targets=("src", "examples", "tests/stress/fsx", "tests/stress/fsstress",
                   "tests/unit/client/unit-client", "tests/unit/volume/unit-volume-threads"),
          suites=("threads",), environment=SANITIZER_ENVIRONMENT,
          about="clang 14 compiles all of it with -Wthread-safety as an error; threads and "
                "processes on one mount, the daemon, the engine and libdaxpin under "
                "ThreadSanitizer"),
)


@dataclass
class Row:
    stage: str
    suite: str
    test: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    assertions: int = 0
    seconds: float = 0.0


def run(command, environment=None, log=None):
    """Runs a build step; its output goes to the log and, when it fails, to the terminal."""
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if log:
        with open(log, "a", encoding="utf-8") as out:
            out.write(f"$ {' '.join(map(str, command))}\n{done.stdout}")
    if done.returncode != 0:
        print(f"$ {' '.join(map(str, command))}\n{done.stdout[-12000:]}", flush=True)
    return done.returncode == 0


def compiler_environment(stage):
    ccache = "ccache " if shutil.which("ccache") else ""
    c, cxx = stage.compilers
    return {"CC": ccache + c, "CXX": ccache + cxx}


def introspect(stage, what):
    listed = subprocess.run(["meson", "introspect", f"--{what}", stage.folder], cwd=ROOT,
                            stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(listed.stdout)


def targets(stage):
    """What ninja is to build; nothing means everything."""
    folder = ROOT / stage.folder
    known = {os.path.relpath(name, folder): pathlib.Path(one["defined_in"])
             for one in introspect(stage, "targets") for name in one["filename"]}
    chosen = set()
    for target in stage.targets:
        place = ROOT / target
        chosen |= {target} if target in known else \
            {name for name, source in known.items() if source.is_relative_to(place)}
    if stage.tests_only:
        for test in introspect(stage, "tests"):
            if {suite.split(":")[-1] for suite in test["suite"]} & set(stage.suites):
                # All words: a script is given the program that it drives.
                chosen |= {os.path.relpath(folder / word, folder) for word in test["cmd"]}
    return sorted(chosen & set(known))


def build(stage):
    """Configures and compiles; a row, because a build that fails is a failure of the run."""
    started = time.monotonic()
    folder = ROOT / stage.folder
    environment = compiler_environment(stage)
    if folder.exists() and not (folder / "build.ninja").exists():
        shutil.rmtree(folder)  # left by a configuration that failed
    setup = ["meson", "setup", *stage.options, stage.folder]
    if folder.exists():
        setup.insert(2, "--reconfigure")
    log = ROOT / f"{stage.folder}.log"
    log.unlink(missing_ok=True)
    good = run(setup, environment, log) and \
        run(["nice", "ninja", "-C", stage.folder, *targets(stage)], environment, log)
    if folder.exists():
        log.replace(folder / "build.log")
    return Row(stage.name, "build", "build", passed=int(good), failed=int(not good),
               seconds=time.monotonic() - started)


CATCH_ALL = re.compile(r"All tests passed \((?:(\d+) assertions? in )?(\d+) test cases?\)")
CATCH_CASES = re.compile(r"^test cases:\s*(\d+)\s*\|(.*)$", re.MULTILINE)
CATCH_ASSERTIONS = re.compile(r"^assertions:\s*(\d+)", re.MULTILINE)
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


CRASH_PAIRS = re.compile(r"^\(workload, start\) pairs\s+(\d+)$", re.MULTILINE)
CRASH_STATES = re.compile(r"^states recovered and checked by fsck\s+(\d+)$", re.MULTILINE)
CRASH_VIOLATIONS = re.compile(r"^violations\s+(\d+)$", re.MULTILINE)
CRASH_LEFT = re.compile(r"^units left\s+(\d+)$", re.MULTILINE)


def count_crash(output, status):
    """The crash suite: a case is a workload on a starting image, a check is a recovered state.
    What there was no time for is skipped."""
    pairs, states, violations, left = (
        int(pattern.search(output).group(1))
        for pattern in (CRASH_PAIRS, CRASH_STATES, CRASH_VIOLATIONS, CRASH_LEFT))
    failed = max(violations, int(status != 0))
    return max(0, pairs - failed), failed, left, states


CATCH_SKIPPED = re.compile(r"^skipped: .*$", re.MULTILINE)


def count_catch(output, status):
    """Catch2 2 knows of no skipped cases and counts them as passed (tests/support/catch.h). Nothing
    if this is not Catch2's output."""
    skipped = len(set(CATCH_SKIPPED.findall(output)))
    whole = CATCH_ALL.search(output)
    if whole:
        return int(whole.group(2)) - skipped, int(status != 0), skipped, int(whole.group(1) or 0)
    cases = CATCH_CASES.search(output)
    if not cases:
        return None
    passed = re.search(r"(\d+) passed", cases.group(2))
    passed = int(passed.group(1)) if passed else 0
    failed = int(cases.group(1)) - passed
    assertions = CATCH_ASSERTIONS.search(output)
    return (max(0, passed - skipped), failed or int(status != 0), skipped,
            int(assertions.group(1)) if assertions else 0)


def count(output, status):
    """(passed, failed, skipped, assertions) of one test program."""
    if status == SKIPPED_EXIT:
        return 0, 0, 1, 0
    if CRASH_VIOLATIONS.search(output):
        return count_crash(output, status)
    closing = CLOSING.findall(output)
    if closing:
        passed, failed, skipped = map(int, closing[-1])
        return passed, failed or int(status != 0), skipped, passed + failed
    catch = count_catch(output, status)
    if catch:
        return catch
    return int(status == 0), int(status != 0), 0, 0


def run_suite(stage, suite):
    """Runs one meson suite; a row for each of its tests."""
    log = ROOT / stage.folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    test, words = stage.samples.get(suite, (None, ""))
    chosen = [test, f"--test-args={words}"] if test else ["--suite", f"daxpin:{suite}"]
    command = ["meson", "test", "-C", stage.folder, "--no-rebuild",
               "--timeout-multiplier", str(TIMEOUT_MULTIPLIER), *chosen]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **stage.environment}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    if not lines:  # a suite without tests has shown nothing
        row = Row(stage.name, suite, "(no test was run)", failed=1)
        report(row, done.stdout, f"meson test ended with {done.returncode}")
        yield row
    for line in lines:
        test = json.loads(line)
        output = (test.get("stdout") or "") + (test.get("stderr") or "")
        status = test["returncode"]
        if test["result"] in ("TIMEOUT", "ERROR", "INTERRUPT") and status == 0:
            status = 1
        row = Row(stage.name, suite, test["name"].split(":")[-1].strip().split(" / ")[-1],
                  *count(output, status), test["duration"])
        report(row, output, test["result"])
        yield row


def report(row, output, result):
    """What a reader must see at once: failures whole, skips with their reason."""
    state = "FAILED" if row.failed else "SKIPPED" if row.skipped and not row.passed else "ok"
    print(f"  {state:7} {row.suite}/{row.test} ({row.stage}): {row.passed} passed, "
          f"{row.failed} failed, {row.skipped} skipped, {row.seconds:.1f} s", flush=True)
    if row.failed:
        print(f"    {result}; the end of its output:\n{output[-8000:]}", flush=True)
    elif row.skipped:
        reasons = [line for line in output.splitlines() if re.match(r"\W*skip", line, re.IGNORECASE)]
        print("\n".join(f"    {line}" for line in reasons or output.splitlines()[-3:]), flush=True)


def table(rows):
    """Sums the rows by suite and stage, in the order they ran."""
    sums = {}
    for row in rows:
        total = sums.setdefault((row.suite, row.stage), Row(row.stage, row.suite, ""))
        for name in ("passed", "failed", "skipped", "assertions", "seconds"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
    print(f"\n{'suite':10} {'build':10} {'passed':>8} {'failed':>8} {'skipped':>8} "
          f"{'checks':>10} {'seconds':>9}")
    for total in sums.values():
        print(f"{total.suite:10} {total.stage:10} {total.passed:8} {total.failed:8} "
              f"{total.skipped:8} {total.assertions:10} {total.seconds:9.1f}")


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/test", description="Builds and runs the suites.",
        epilog="stages: " + "; ".join(f"{s.name}: {s.about}" for s in STAGES))
    parser.add_argument("stage", nargs="*", metavar="STAGE", help="only these; default: all")
    parser.add_argument("--suite", action="append", help="only this suite of a stage (repeatable)")
    arguments = parser.parse_args()
    names = [stage.name for stage in STAGES]
    for name in arguments.stage:
        if name not in names:
            parser.error(f"no stage {name!r}; there are: {', '.join(names)}")
    suites = dict.fromkeys(suite for stage in chosen_stages(arguments) for suite in stage.suites)
    for name in arguments.suite or []:
        if name not in suites:
            parser.error(f"no suite {name!r} in these stages; there are: {', '.join(suites)}")
    return arguments


def chosen_stages(arguments):
    return [stage for stage in STAGES if not arguments.stage or stage.name in arguments.stage]


class Builder:
    """Builds stages one after the other in the background, each at most once."""

    def __init__(self):
        self.thread = concurrent.futures.ThreadPoolExecutor(1)
        self.started = {}

    def start(self, stage):
        if stage.name not in self.started:
            self.started[stage.name] = self.thread.submit(build, stage)
        return self.started[stage.name]


def run_stages(stages, suites):
    builder = Builder()
    rows = []
    for stage, following in zip(stages, [*stages[1:], None]):
        print(f"== {stage.name}: {stage.about}", flush=True)
        rows.append(builder.start(stage).result())
        print(f"  {'FAILED' if rows[-1].failed else 'ok':7} build in {stage.folder}/ "
              f"({rows[-1].seconds:.0f} s)", flush=True)
        if rows[-1].failed:
            continue
        for suite in stage.suites:
            if suites and suite not in suites:
                continue
            if following and suite in WAITING_SUITES:
                builder.start(following)
            rows.extend(run_suite(stage, suite))
    return rows


def main():
    arguments = parse_arguments()
    started = time.monotonic()
    rows = run_stages(chosen_stages(arguments), arguments.suite)
    table(rows)
    skipped = [row for row in rows if row.skipped]
    for row in skipped:
        print(f"SKIPPED: {row.skipped} in {row.suite}/{row.test} ({row.stage})")
    print(f"in {time.monotonic() - started:.0f} s")
    total = [sum(getattr(row, name) for row in rows) for name in ("passed", "failed", "skipped")]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
