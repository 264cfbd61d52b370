#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every long option that a program's --help shows stands in its man page and is completed.

usage: check_help.py ROOT PROGRAM...
"""

import pathlib
import re
import subprocess
import sys


def missing_options(help_text, text):
    options = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", help_text)))
    return [o for o in options if not re.search(rf"(?<![\w-]){re.escape(o)}(?![\w-])", text)]


def help_text(program, *command):
    done = subprocess.run([program, *command, "--help"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{program} {' '.join(command)} --help: exit status {done.returncode}")
    return done.stdout


def subcommands(text):
    """The commands of a `daxpin COMMAND` program, from the block that its --help lists them in."""
    block = re.search(r"^(?:sub)?commands:\n((?:[ \t]+\S.*\n|\n)+)", text, re.MULTILINE | re.IGNORECASE)
    return re.findall(r"^  (\w[\w-]*)\b", block.group(1), re.MULTILINE) if block else []


def check(root, program):
    name = pathlib.Path(program).name
    pages = [p for p in (pathlib.Path(root, f"docs/man/{name}.{s}.scd") for s in (1, 8)) if p.exists()]
    if not pages:
        return [f"{name} has no man page"]
    completion = pathlib.Path(root, "scripts/completions", name)
    if not completion.exists():
        return [f"{name} has no bash completion"]
    # scdoc escapes a dash here and there; the reader of the page does not see it.
    texts = {pages[0].name: pages[0].read_text().replace("\\", ""),
             f"completions/{name}": completion.read_text()}
    whole = help_text(program)
    found = []
    for command in ((), *((c,) for c in subcommands(whole))):
        options_of = help_text(program, *command) if command else whole
        found += [f"{' '.join((name, *command))}: {option} is not in {where}"
                  for where, text in texts.items() for option in missing_options(options_of, text)]
    return found


def main():
    failed = 0
    for program in sys.argv[2:]:
        found = check(sys.argv[1], program)
        failed += bool(found)
        print("not ok" if found else "ok", "- the page of", pathlib.Path(program).name,
              "and its completion name every option of --help")
        for line in found:
            print("   ", line)
    print(f"{len(sys.argv) - 2 - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
