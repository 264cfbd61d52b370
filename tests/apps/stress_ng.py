# SPDX-License-Identifier: BSD-3-Clause
"""stress-ng: the stressors of its filesystem class, one by one, with its own verification."""

import re
import shutil
import subprocess

from .framework import expect, started

PACKAGES = ["stress-ng", "e2fsprogs"]

INSTANCES = 2
OPERATIONS = 500
SECONDS = 3  # at most, of each stressor; then it cleans up
LACKING = (3, 4)  # exit statuses: this machine has not what the stressor needs

SKIPPED = re.compile(r"^stress-ng: \w+: +\[\d+\] +(?:[\w-]+: )?(.*skipp.*)$", re.MULTILINE)
FAILED = re.compile(r"^stress-ng: (?:fail|error): +\[\d+\] +(.*)$", re.MULTILINE)

# Of the class, but not about the filesystem that is tested.
EXCLUDED = {
    "bind-mount": "mounts without end; stress-ng itself calls it pathological",
    "binderfs": "mounts a filesystem of its own",
    "eventfd": "no file of any filesystem",
    "procfs": "reads /proc",
}


def listed(*words):
    """A list that stress-ng prints, among it the names of stressors."""
    return subprocess.run(["stress-ng", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False).stdout


def stress(name, folder):
    """(exit status, output) of one stressor. It may leave immutable files when its time is up."""
    folder.mkdir()
    with started("stress-ng", f"--{name}", INSTANCES, f"--{name}-ops", OPERATIONS, "--verify",
                 "--timeout", SECONDS, "--temp-path", folder, "--oomable", "--metrics-brief",
                 cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT) as process:
        output = process.communicate(timeout=300)[0]
    if name in ("chattr", "inode-flags"):
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", folder], check=False)
    shutil.rmtree(folder)
    return process.returncode, output


def operations(name, output):
    found = re.search(rf"metrc: +\[\d+\] +{name} +(\d+) ", output)
    return int(found.group(1)) if found else 0


def run(folder, say):
    verifiable = set(listed("--verifiable").split())
    names = listed("--class", "filesystem?").rpartition(":")[2].split()
    wanted = [name for name in names if name not in EXCLUDED]
    expect(len(wanted) > 20, f"stress-ng lists only {len(wanted)} filesystem stressors")
    passed, lacking, failed, total, outputs = [], [], [], 0, ""
    for name in wanted:
        status, output = stress(name, folder / name)
        skipped = SKIPPED.search(output)
        complaints = FAILED.findall(output)
        if complaints or status not in (0, *LACKING):
            failed.append(f"{name} ({complaints[0] if complaints else f'exit status {status}'})")
            outputs += output
        elif skipped or status in LACKING:
            lacking.append(f"{name} ({skipped.group(1) if skipped else f'exit status {status}'})")
        else:
            passed.append(name)
            total += operations(name, output)
    expect(not failed, f"stress-ng: {', '.join(failed)}", outputs)
    expect(total > 0, "stress-ng: no stressor did anything")
    say(f"{len(passed)} stressors, {len(verifiable.intersection(passed))} of which verify, "
        f"{total} operations")
    for what in (*lacking, *(f"{name} ({why})" for name, why in EXCLUDED.items())):
        say(f"without {what}")
