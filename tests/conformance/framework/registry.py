# SPDX-License-Identifier: BSD-3-Clause
"""The cases: each has a name `call/rule/file-type`, which no other case has.

    @case("chmod/updates-ctime/{kind}", kind=ALL_KINDS)
    def updates_ctime(kind):
        ...

registers one case per value of every keyword, by the product of all of them.
"""

import functools
import importlib
import itertools
import pathlib
import re
from dataclasses import dataclass
from typing import Callable

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent
NAME = re.compile(r"[\w.-]+/[\w.+,=-]+/[\w.+-]+")


@dataclass(frozen=True)
class Case:
    name: str
    run: Callable[[], None]
    root: bool    # needs the rights of root
    alone: bool   # measures something that other cases would disturb


class Registry:
    """Every case of the programs that are loaded, by name."""
    cases: dict = {}


def add(name, run, root=False, alone=False):
    if not NAME.fullmatch(name):
        raise ValueError(f"not a case name: {name!r}")
    if name in Registry.cases:
        raise ValueError(f"two cases are named {name!r}")
    Registry.cases[name] = Case(name, run, root, alone)


def case(template, root=False, alone=False, **values):
    def register(function):
        for chosen in itertools.product(*values.values()):
            arguments = dict(zip(values, chosen))
            add(template.format(**arguments), functools.partial(function, **arguments),
                root=root, alone=alone)
        return function
    return register


def program_names():
    return sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem != "__init__")


def load(names=()):
    """Imports the programs, all unless some are named, and returns the cases in a fixed order."""
    for name in names or program_names():
        importlib.import_module(f"conformance.{name}")
    return list(Registry.cases.values())
