#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs every rule of rules.py over the tree.

usage: check_tree.py ROOT [--write-ratchet]
"""

import pathlib
import sys

import rules
from tree import Tree

RATCHET_HEAD = """\
# SPDX-License-Identifier: BSD-3-Clause
# path | function (empty: the whole file) | lines
# What is longer than the rule allows, at its present length: it may shrink, never grow.
# Written by: tests/tidy/check_tree.py . --write-ratchet
"""


def write_ratchet(root, tree):
    files, functions = rules.measure(tree)
    over = [(key, lines) for measured, limit in ((files, rules.FILE_LINES_MAX),
                                                 (functions, rules.FUNCTION_LINES_MAX))
            for key, lines in sorted(measured.items()) if lines > limit]
    rows = "".join(f"{path} | {name} | {lines}\n" for (path, name), lines in over)
    pathlib.Path(root, rules.RATCHET).write_text(RATCHET_HEAD + rows.replace("|  |", "| |"))


def main():
    root = sys.argv[1]
    tree = Tree.load(root)
    if "--write-ratchet" in sys.argv[2:]:
        write_ratchet(root, tree)
        return 0
    failed = 0
    for rule in rules.RULES:
        violations = list(rule(tree))
        failed += bool(violations)
        print("not ok" if violations else "ok", "-", rule.__name__.replace("_", " "))
        for violation in violations[:40]:
            print("   ", violation)
        if len(violations) > 40:
            print(f"    and {len(violations) - 40} more")
    print("#", rules.shape(tree))
    print(f"{len(rules.RULES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
