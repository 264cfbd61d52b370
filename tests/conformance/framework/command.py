# SPDX-License-Identifier: BSD-3-Clause
"""The command line of scripts/conformance."""

import argparse
import os
import re
import sys

from . import registry
from .report import Report
from .runner import Runner
from .settings import Settings

ABOUT = """\
Checks a directory against what POSIX and Linux promise of a filesystem. The cases are real: other
users are other credentials, a read-only filesystem is a read-only mount. Everything is made below a
new folder in DIRECTORY and removed afterwards. Run it as root: cases that need root are skipped
otherwise, by name. Cases for which the filesystem lacks the means are skipped by name as well.
"""
CLOSING = """\
exit status: 0 if nothing failed, 1 if a case failed, 2 for wrong usage, 77 if every case was
skipped. The last line is 'N passed, N failed, N skipped'.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=ABOUT, epilog=CLOSING)
    parser.add_argument("directory", nargs="?", help="on the filesystem to check")
    parser.add_argument("program", nargs="*", help="only these programs, e.g. chmod open; "
                        "there are: " + ", ".join(registry.program_names()))
    parser.add_argument("--list", action="store_true", help="print the cases, run none")
    parser.add_argument("--only", metavar="REGEX", help="only cases whose name it is found in")
    parser.add_argument("--json", metavar="FILE", help="write the results there, too")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), metavar="N",
                        help="run so many cases at the same time (default: %(default)s)")
    parser.add_argument("--full-dir", metavar="DIR",
                        help="on a small filesystem (up to 256 MiB) of the kind to check, which "
                        "will be filled up for the ENOSPC cases; else they are skipped")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every case")
    chosen = parser.parse_intermixed_args(arguments)
    if chosen.list and chosen.directory in registry.program_names():
        chosen.program.insert(0, chosen.directory)
    elif not chosen.list and not chosen.directory:
        parser.error("which DIRECTORY?")
    unknown = set(chosen.program) - set(registry.program_names())
    if unknown:
        parser.error(f"no program {', '.join(sorted(unknown))}")
    for folder in filter(None, (not chosen.list and chosen.directory, chosen.full_dir)):
        if not os.path.isdir(folder):
            parser.error(f"{folder} is not a directory")
    return chosen


def main(arguments=None):
    chosen = parse(arguments)
    cases = registry.load(chosen.program)
    if chosen.only:
        cases = [case for case in cases if re.search(chosen.only, case.name)]
    if chosen.list:
        print("\n".join(case.name for case in cases))
        return 0
    Settings.full_dir = chosen.full_dir and os.path.abspath(chosen.full_dir)
    report = Report(len(cases), chosen.verbose)
    try:
        runner = Runner(os.path.abspath(chosen.directory), report)
    except OSError as error:
        print(f"SKIPPED: nothing can be made in {chosen.directory}: {error}")
        return 77
    try:
        runner.run(cases, max(1, chosen.jobs))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if chosen.json:
        report.write_json(chosen.json, chosen.directory)
    report.close()
    return report.exit_status()
