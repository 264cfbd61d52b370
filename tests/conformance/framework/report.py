# SPDX-License-Identifier: BSD-3-Clause
"""What a run says: failures and skips by name, a line of progress on a terminal, JSON."""

import json
import sys
import time
from collections import Counter


class Report:
    """Collects results. Failures are printed when they come, skips at the end by reason."""

    def __init__(self, total, verbose):
        self.total = total
        self.verbose = verbose
        self.results = []
        self.counts = Counter()
        self.started = time.monotonic()
        self.terminal = sys.stdout.isatty()

    def __call__(self, result):
        self.results.append(result)
        self.counts[result.outcome] += 1
        if result.outcome == "failed":
            self.line(f"FAILED {result.name}: {result.text}")
        elif self.verbose:
            self.line(f"{result.outcome:7} {result.name} ({result.seconds:.2f} s)")
        if self.terminal:
            print(f"\r\033[K{len(self.results)}/{self.total} {result.name}"[:100], end="",
                  flush=True)

    def line(self, text):
        print(("\r\033[K" if self.terminal else "") + text, flush=True)

    def close(self):
        """The closing lines; the last one is what scripts/suites.py reads."""
        if self.terminal:
            print("\r\033[K", end="")
        for result in sorted(self.results, key=lambda result: result.name):
            if result.outcome == "skipped":
                print(f"SKIPPED {result.name}: {result.text}")
        checks = sum(result.checks for result in self.results)
        print(f"{checks} checks in {time.monotonic() - self.started:.1f} s")
        print(f"{self.counts['passed']} passed, {self.counts['failed']} failed, "
              f"{self.counts['skipped']} skipped")

    def exit_status(self):
        if self.counts["failed"]:
            return 1
        return 0 if self.counts["passed"] else 77

    def write_json(self, path, directory):
        rows = [vars(result) for result in sorted(self.results, key=lambda result: result.name)]
        with open(path, "w", encoding="utf-8") as out:
            json.dump({"directory": directory, **{name: self.counts[name] for name in
                                                  ("passed", "failed", "skipped")},
                       "cases": rows}, out, indent=1)
            out.write("\n")
