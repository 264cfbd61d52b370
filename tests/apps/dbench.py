# SPDX-License-Identifier: BSD-3-Clause
"""dbench: the calls of a file server's clients, each of which must end as it did when recorded."""

import re

from .framework import expect, run_command

PACKAGES = ["dbench"]

CLIENTS = 4
SECONDS = 10
THROUGHPUT = re.compile(r"^Throughput ([0-9.]+) MB/sec", re.MULTILINE)
OPERATION = re.compile(r"^ *[A-Z]\w+ +(\d+) +[0-9.]+ +[0-9.]+$", re.MULTILINE)
# Of a client, or of the parent about one. (That a barrier failed only says how clients wait.)
COMPLAINT = re.compile(r"^ *([\[(]\d+[\])] |ERROR|Child failed|FAILED TO START).*$", re.MULTILINE)


def run(folder, say):
    output = run_command("dbench", "-D", folder, "-t", SECONDS, "--xattr", CLIENTS,
                         timeout=SECONDS * 10 + 60)
    complaint = COMPLAINT.search(output)
    expect(not complaint, f"dbench: {complaint and complaint.group().strip()}", output)
    throughput = THROUGHPUT.search(output)
    operations = sum(map(int, OPERATION.findall(output)))
    expect(throughput and operations, "dbench: no throughput, or no operations", output)
    say(f"{operations} operations of {CLIENTS} clients in {SECONDS} s ended as recorded, "
        f"{throughput.group(1)} MB/s")
