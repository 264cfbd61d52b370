#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: load for a power cut, and afterwards what must be there.

    load.py run MOUNTPOINT SEED CLIENTS              until the power goes
    load.py verify MOUNTPOINT SEED COUNT...          COUNT of each client were acknowledged
    load.py clean MOUNTPOINT SEED CLIENTS            removes what they made

The operations are those of scripts/stress-kill and follow from the seed. "CLIENT" and a line feed
on standard output is an acknowledgement. What reached the media is a prefix of a client's
operations, at least as long as what was acknowledged, and perhaps a part of the next one."""

import copy
import os
import pathlib
import random
import shutil
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / name)
                for name in ("stress", "mount")]

import kill_model  # noqa: E402

PAGE = 4096
AHEAD_MAX = 5000  # acknowledgements that the power may have kept from leaving the guest


def folder_of(mountpoint, seed, client):
    return pathlib.Path(mountpoint) / f"{seed}-{client}"


def operations(seed, client):
    """(operation, the model after it), without end."""
    rng, model, version = random.Random(f"{seed} {client}"), kill_model.Model(), 0
    while True:
        version += 1
        operation = model.choose(rng, f"{seed} {client} {version}")
        model.apply(operation)
        yield operation, model


def work(folder, seed, client):
    import kill_client  # loads the C library's functions, which verifying does not need

    hands = kill_client.Hands(folder)
    for operation, _ in operations(seed, client):
        try:
            hands.do(operation)
        except OSError as error:
            sys.exit(f"client {client}: {operation}: {error}")
        os.write(1, b"%d\n" % client)


def run(mountpoint, seed, clients):
    for client in range(clients):
        for name in ("", "d", "e"):
            (folder_of(mountpoint, seed, client) / name).mkdir()
    children = [subprocess.Popen([sys.executable, "-B", __file__, "client", mountpoint, seed,
                                  str(client)]) for client in range(clients)]
    os.wait()
    for child in children:
        child.kill()
    return 1


def requests(write):
    """What the kernel asks for, each with what went before: where a write begins within a page that
    is not cached, it ends with this page, and another request has the rest."""
    _, path, offset, length, version = write
    head = -offset % PAGE
    return [["write", path, offset, head, version], write] if 0 < head < length else [write]


def is_part(found, operation, before):
    """Whether the operation is a write of which some is there: its first request, or words of
    either."""
    if operation[0] != "write":
        return False
    for request in requests(operation):
        after = before.after(request)
        if kill_model.between(found, request[1], before, after):
            return True
        if request is not operation and not kill_model.difference(found, after.view()):
            return True
        before = after
    return False


def verify(folder, seed, client, acknowledged):
    """How many operations are on the media; dies if that is no such prefix."""
    found = kill_model.look(folder)
    before, first = kill_model.Model(), None
    for done, (operation, model) in enumerate(operations(seed, client)):
        if done >= acknowledged:
            differs = kill_model.difference(found, before.view())
            if not differs:
                return done
            first = first or differs
            if is_part(found, operation, before):
                return done
        if done > acknowledged + AHEAD_MAX:
            sys.exit(f"client {client}: after {acknowledged} acknowledged operations: {first}")
        before = copy.deepcopy(model) if done + 1 >= acknowledged else model


def clean(folder):
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path) and os.path.getsize(path) > 0:
                os.setxattr(path, "user.daxpin.pin", b"0")
    shutil.rmtree(folder)


def main():
    action, mountpoint, seed, *rest = sys.argv[1:]
    if action == "run":
        return run(mountpoint, seed, int(rest[0]))
    if action == "client":
        return work(folder_of(mountpoint, seed, int(rest[0])), seed, int(rest[0]))
    if action == "clean":
        for client in range(int(rest[0])):
            clean(folder_of(mountpoint, seed, client))
        return 0
    for client, count in enumerate(rest):
        done = verify(folder_of(mountpoint, seed, client), seed, client, int(count))
        print(f"client {client}: {count} acknowledged, {done} on the media")
    return 0


if __name__ == "__main__":
    sys.exit(main())
