#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The examples killed at random moments, and the daemon under them; and at each point of their
durability a power failure, which takes what was stored and not persisted (power_failure.c).

The seed of a run is printed; DAXPIN_TEST_SEED sets it. (kill -9 of examples/pinlog: tool.py.)
"""

import atexit
import os
import random
import re
import subprocess
import sys
import time

from harness import (MIB, build_folder, case, expect, expect_equal, program, run,
                     run_command)

SEED = int(os.environ.get("DAXPIN_TEST_SEED", time.time_ns() % 1000000))
ROUNDS = int(os.environ.get("DAXPIN_TEST_ROUNDS", 12))
RING_SLOTS = 16
POWER_POINTS = 24


class Running:
    """A program at work, killed in the end."""

    def __init__(self, *words):
        self.process = subprocess.Popen([program(words[0]), *map(str, words[1:])],
                                        stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)  # if the case fails before it ends
        self.lines = []

    def wait_for_line(self):
        self.lines.append(self.process.stdout.readline())
        expect(self.lines[-1].endswith("\n"), "the program ended")
        return self

    def end(self, at_random=None):
        """Kills it, after a random while if asked, and returns the whole lines it printed."""
        if at_random:
            time.sleep(at_random.uniform(0.002, 0.15))
        self.process.kill()
        self.lines += self.process.stdout
        self.process.wait()
        return [line[:-1] for line in self.lines if line.endswith("\n")]


def kill_daemon(volume):
    """The programs that have mapped their files go on."""
    volume.process.kill()
    volume.process.wait()
    volume.process = None


def come_back(volume):
    volume.detach()
    volume.mount()


def ring_counts(path):
    return tuple(map(int, re.findall(r"\d+", run_command(program("ring"), "status", path))))


class Receiver:
    """What all receivers of a ring printed, one after the other."""

    def __init__(self):
        self.next = 0

    def check(self, lines):
        """No message is missing or twice; the first may be the one that a killed receiver had
        printed and not counted."""
        numbers = [int(re.fullmatch(r"message (\d+)", line).group(1)) for line in lines]
        if numbers and numbers[0] == self.next - 1:
            numbers = numbers[1:]
        expect_equal(numbers, list(range(self.next, self.next + len(numbers))), "messages")
        self.next += len(numbers)


def ring_round(volume, path, rng, receiver):
    """Both sides at work, one of them killed, or the daemon; then the other. What was sent."""
    sender, receiving = Running("ring", "send", path, 10**9), Running("ring", "receive", path, 10**9)
    sender.wait_for_line()
    receiving.wait_for_line()
    victim = rng.choice(("sender", "receiver", "daemon"))
    if victim == "daemon":
        time.sleep(rng.uniform(0.01, 0.1))
        kill_daemon(volume)
        time.sleep(0.02)
        sender_first = rng.random() < 0.5
    else:
        sender_first = victim == "sender"
    if sender_first:
        sent = sender.end(rng)
        receiver.check(receiving.end(rng))
    else:
        receiver.check(receiving.end(rng))
        sent = sender.end(rng)
    if victim == "daemon":
        come_back(volume)
    return sent


@case("ring: no message is lost, torn or out of order, whoever is killed", size=128 * MIB)
def ring(volume):
    print(f"# seed {SEED}", flush=True)
    rng, path, receiver = random.Random(SEED), volume.path("ring"), Receiver()
    run_command(program("ring"), "create", path, RING_SLOTS)
    acknowledged = -1
    for number in range(ROUNDS):
        numbers = [int(line) for line in ring_round(volume, path, rng, receiver)]
        expect(numbers == sorted(set(numbers)), f"round {number}: sent {numbers}")
        acknowledged = max([acknowledged, *numbers])
        sent, received = ring_counts(path)
        expect(sent > acknowledged, f"round {number}: {sent} sent, {acknowledged} acknowledged")
        expect(received in (receiver.next, receiver.next - 1), f"round {number}: {received}")
        expect(0 <= sent - received <= RING_SLOTS, f"round {number}: {sent} - {received}")
    rest = run_command(program("ring"), "receive", path, sent - received)
    receiver.check(rest.splitlines())
    expect_equal((receiver.next, ring_counts(path)), (sent, (sent, sent)), "in the end")
    expect(receiver.next > ROUNDS, f"only {receiver.next} messages")


@case("ring: one sender and one receiver at a time; anything else is refused in one line",
      size=128 * MIB)
def ring_refusals(volume):
    path, other = volume.path("ring"), volume.path("other")
    run_command(program("ring"), "create", path, 8)
    run_command(program("ring"), "create", path, 8, status=1)
    run_command(program("ring"), "create", volume.path("none"), 0, status=1)
    sender = Running("ring", "send", path, 10**9)
    for _ in range(8):
        sender.wait_for_line()
    said = run_command(program("ring"), "send", path, 1, status=1)
    expect("sender already" in said and said.count("\n") == 1, said)
    sender.end()
    other.write_bytes(bytes(4096))
    expect("not a ring" in run_command(program("ring"), "status", other, status=1), "no reason")
    expect_equal(ring_counts(path), (8, 0), "counts")
    run_command(program("ring"), "send", volume.path("missing"), 1, status=1)


class Table:
    """What a table must hold: what was told to be done, and perhaps what was on its way."""

    def __init__(self):
        self.entries = {}
        self.on_the_way = None

    def apply(self, lines):
        self.on_the_way = None
        for line in lines:
            if line == "ok":
                self.entries = self.after(self.on_the_way)
                self.on_the_way = None
            else:
                self.on_the_way = line.split(" ")

    def after(self, update):
        entries = dict(self.entries)
        if update and update[0] == "set":
            entries[update[1]] = update[2]
        elif update:
            entries.pop(update[1], None)
        return entries

    def check(self, path):
        lines = run_command(program("hashtable"), "list", path).splitlines()
        found = dict(line.split(" ") for line in lines)
        expect_equal(len(found), len(lines), "keys")
        expect(found in (self.entries, self.after(self.on_the_way)),
               f"found {found}, wanted {self.entries} or with {self.on_the_way}")
        self.entries = found


@case("hashtable: each update is wholly there or not at all after a kill", size=128 * MIB)
def hashtable(volume):
    print(f"# seed {SEED}", flush=True)
    rng, path, table, updates = random.Random(SEED), volume.path("table"), Table(), 0
    run_command(program("hashtable"), "create", path, 200)
    for _ in range(2 * ROUNDS):
        churning = Running("hashtable", "churn", path, rng.randrange(10**6), 10**9).wait_for_line()
        without_daemon = rng.random() < 0.3
        if without_daemon:
            time.sleep(rng.uniform(0.01, 0.1))
            kill_daemon(volume)
        lines = churning.end(rng)
        if without_daemon:
            come_back(volume)
        updates += lines.count("ok")
        table.apply(lines)
        table.check(path)
    expect(updates > ROUNDS, f"only {updates} updates")


@case("hashtable: set, get, delete; full, too long, in use and not a table are refused",
      size=128 * MIB)
def hashtable_commands(volume):
    path = volume.path("table")

    def table(*words, status=0):
        return run_command(program("hashtable"), words[0], path, *words[1:], status=status)
    table("create", 3)
    for key in ("a", "b", "c"):
        table("set", key, key * 3)
    expect("full" in table("set", "d", "x", status=1), "not told that it is full")
    table("set", "b", "new")
    expect_equal((table("get", "b"), table("get", "c")), ("new\n", "ccc\n"), "values")
    table("delete", "a")
    table("get", "a", status=1)
    table("delete", "a", status=1)
    table("set", "d", "v" * 247)
    table("set", "d", "v" * 248, status=1)
    table("set", "", "v", status=1)
    expect_equal(sorted(table("list").split()), ["b", "c", "ccc", "d", "new", "v" * 247], "entries")
    volume.check_and_remount()
    expect_equal(table("get", "b"), "new\n", "value after a remount")
    busy = volume.path("busy")
    run_command(program("hashtable"), "create", busy, 200)
    churning = Running("hashtable", "churn", busy, 1, 10**9).wait_for_line()
    said = run_command(program("hashtable"), "list", busy, status=1)
    expect("in use" in said and said.count("\n") == 1, said)
    churning.end()
    other = volume.path("other")
    other.write_bytes(bytes(65536))
    said = run_command(program("hashtable"), "list", other, status=1)
    expect("not a table" in said and said.count("\n") == 1, said)


class PowerFailures:
    """Runs of an example that the power ends at one of its points. A point behind the last one lets
    it come to its end; if all did, nothing was tried."""

    def __init__(self):
        self.failed_at = set()

    def run(self, at, *words):
        """What the example printed until the power failed at its `at`th point."""
        environment = {**os.environ, "POWER_FAILURE_AT": str(at),
                       "POWER_FAILURE_SEED": str(SEED + at),
                       "LD_PRELOAD": str(build_folder() / "tests/mount/libpower_failure.so")}
        done = subprocess.run([program(words[0]), *map(str, words[1:])], env=environment, text=True,
                              stdout=subprocess.PIPE, check=False)
        expect(done.returncode in (0, 99), f"{words}: exit status {done.returncode}")
        if done.returncode == 99:
            self.failed_at.add(at)
        return done.stdout.splitlines()

    def check(self, count):
        """It failed at the first `count` points, at least."""
        expect(self.failed_at.issuperset(range(1, count + 1)),
               f"the power failed at {sorted(self.failed_at)} only, not at 1 to {count}")


@case("power failure: the log holds every record that was acknowledged, and no part of another",
      size=128 * MIB)
def pinlog_power(volume):
    log, count, power = volume.path("log"), 0, PowerFailures()
    run_command(program("pinlog"), "create", log, MIB)
    for at in range(1, POWER_POINTS):
        acknowledged = power.run(at, "pinlog", "fill", log, 3)
        before, count = count, int(run_command(program("pinlog"), "verify", log))
        expect(before + len(acknowledged) <= count <= before + len(acknowledged) + 1,
               f"point {at}: {before} records, then {acknowledged}, now {count}")
    power.check(12)


@case("power failure: the ring loses no message, and none comes that was not sent",
      size=128 * MIB)
def ring_power(volume):
    path, receiver = volume.path("ring"), Receiver()
    sending, receiving = PowerFailures(), PowerFailures()
    run_command(program("ring"), "create", path, RING_SLOTS)
    for at in range(1, POWER_POINTS):
        sent, received = ring_counts(path)
        lines = sending.run(at, "ring", "send", path, min(3, RING_SLOTS - sent + received))
        now, _ = ring_counts(path)
        expect(sent + len(lines) <= now <= sent + len(lines) + 1, f"point {at}: {sent}, {lines}, {now}")
        # The receiver has three to take, so that its power fails in each of them.
        run_command(program("ring"), "send", path, max(0, 3 - (now - received)))
        lines = receiving.run(at % 8 + 1, "ring", "receive", path, 3)
        receiver.check(lines)
        _, counted = ring_counts(path)
        expect(counted in (receiver.next, receiver.next - 1), f"point {at}: {counted} counted")
    now, _ = ring_counts(path)
    receiver.check(run_command(program("ring"), "receive", path, now - counted).splitlines())
    expect_equal(receiver.next, now, "messages in the end")
    sending.check(12)
    receiving.check(6)


@case("power failure: the table holds every update that was told, and at most the one on its way",
      size=128 * MIB)
def hashtable_power(volume):
    path, table, power = volume.path("table"), Table(), PowerFailures()
    run_command(program("hashtable"), "create", path, 200)
    for at in range(1, 3 * POWER_POINTS):
        lines = power.run(at, "hashtable", "churn", path, SEED + at, 40)
        table.apply(lines)
        table.check(path)
    power.check(POWER_POINTS)


if __name__ == "__main__":
    sys.exit(run())
