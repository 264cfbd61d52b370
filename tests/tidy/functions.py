# SPDX-License-Identifier: BSD-3-Clause
"""Finds the function bodies of a C or C++ file by its braces, to measure their length.

Not a parser: it knows enough of the language to tell a function from a namespace, a class or an
initializer in code that clang-format has laid out. A body's length is counted in lines, from the
line of its opening brace to the line of its closing one.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    length: int


NOT_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<d>[^\s()\\]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""",
    re.DOTALL | re.VERBOSE)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
DIGIT_SEPARATOR = re.compile(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])")
CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum)\b|\bextern\s+$")


def blank(match):
    """Keeps the line structure, so that line numbers stay true."""
    return re.sub(r"[^\n]", " ", match.group(0))


def strip(text):
    text = DIGIT_SEPARATOR.sub(" ", text)
    return DIRECTIVE.sub(blank, NOT_CODE.sub(blank, text))


def is_container(header):
    """True for what may hold functions; `auto f() -> struct x {` is not written here."""
    if "(" not in header:
        return bool(CONTAINER.search(header))
    # alignas(64), annotations: `class CAPABILITY("mutex") Mutex`. A function has its name last.
    return bool(re.match(r"\s*(template\s*<[^{}]*>\s*)?(class|struct|union|enum|namespace)\b", header))


def name_of(header, line_text):
    names = re.findall(r"([A-Za-z_~][\w:~]*|operator\s*\S+)\s*\(", header)
    names = [name for name in names if name not in ("REQUIRES", "GUARDED_BY", "noexcept", "decltype")]
    if names and names[0] in ("TEST_CASE", "SCENARIO"):
        title = re.search(r'"([^"]*)"', line_text)
        return title.group(1) if title else names[0]
    return names[0] if names else "?"


def find_functions(text):
    code = strip(text)
    lines = text.split("\n")
    found = []
    position = 0
    start = 0  # where the text before the next brace begins
    last = None  # (header, start of the body) of a function brace that may be an initializer's
    while True:
        brace = re.compile(r"[{};]").search(code, position)
        if brace is None:
            return found
        position = brace.end()
        if brace.group() != "{":
            last = None if brace.group() == ";" else last
            start = position
            continue
        header = code[start:brace.start()]
        continues = last is not None and (not header.strip() or header.lstrip().startswith(","))
        if is_container(header) and not continues:
            start = position
            last = None
            continue
        end = closing_brace(code, brace.start())
        if "(" in header or continues:
            if continues:
                header = last
                found.pop()
            first = code.count("\n", 0, brace.start()) + 1
            length = code.count("\n", brace.start(), end) + 1
            heading = code.count("\n", 0, start + len(code[start:]) - len(code[start:].lstrip()))
            found.append(Function(name_of(header, "\n".join(lines[heading:heading + 3])), first, length))
            last = header
        else:
            last = None
        position = start = end


def closing_brace(code, opening):
    depth = 0
    for brace in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return brace.end()
    return len(code)
