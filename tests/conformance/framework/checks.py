# SPDX-License-Identifier: BSD-3-Clause
"""The checks a case is made of. Each is counted, because a case that checks nothing has failed."""

import contextlib
import errno
import os
import stat
import time

# Longer than the coarsest clock tick a kernel stamps files with (HZ=100).
TICK_SECONDS = 0.012


class Failure(Exception):
    """What the case asserts does not hold."""


class Skip(Exception):
    """The filesystem, the kernel or the caller lacks what the case is about."""


class Tally:
    """Checks made in this process."""
    made = 0


def error_name(number):
    return errno.errorcode.get(number, str(number)) if number else "success"


def check(condition, message):
    Tally.made += 1
    if not condition:
        raise Failure(message)


def equal(actual, expected, what="value"):
    check(actual == expected, f"{what} is {shown(actual)}, expected {shown(expected)}")


def shown(anything):
    text = repr(anything)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


def mode_is(path, expected):
    actual = mode(path)
    check(actual == expected, f"mode of {path} is {actual:04o}, expected {expected:04o}")


def verdict(expected, actual, function):
    """Checks the errno of a call: expected is one number or a tuple of those that are right."""
    allowed = expected if isinstance(expected, tuple) else (expected,)
    names = " or ".join(error_name(number) for number in allowed)
    called = getattr(function, "__name__", "the call")
    check(actual in allowed, f"{called} gave {error_name(actual)}, expected {names}")


def fails(expected, function, *arguments, **options):
    """Calls the function and checks that it fails with the errno."""
    try:
        function(*arguments, **options)
        actual = 0
    except OSError as error:
        actual = error.errno
    verdict(expected, actual, function)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def exists(path):
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def absent(path):
    check(not exists(path), f"{path} is there")


def present(path):
    check(exists(path), f"{path} is not there")


def status(target):
    return os.fstat(target) if isinstance(target, int) else os.lstat(target)


def value(result, field):
    return getattr(result, f"st_{field}_ns" if field.endswith("time") else f"st_{field}")


def tick():
    """Waits until the kernel's file clock has moved on."""
    time.sleep(TICK_SECONDS)


@contextlib.contextmanager
def changes(target, *fields):
    """The body must move these time stamps of the file forward."""
    before = status(target)
    tick()
    yield
    after = status(target)
    for field in fields:
        check(value(after, field) > value(before, field),
              f"{field} of {target} did not move: {value(before, field)} ns, then "
              f"{value(after, field)} ns")


@contextlib.contextmanager
def keeps(target, *fields):
    """The body must leave these fields of the file alone."""
    before = status(target)
    if any(field.endswith("time") for field in fields):
        tick()
    yield
    after = status(target)
    for field in fields:
        equal(value(after, field), value(before, field), f"{field} of {target} afterwards")


def close_to_now(nanoseconds, what):
    """A stamp the kernel just gave: the coarse clock lags by a tick, never runs ahead."""
    distance = time.time_ns() - nanoseconds
    check(-10**9 < distance < 20 * 10**9, f"{what} is {distance} ns before now")
