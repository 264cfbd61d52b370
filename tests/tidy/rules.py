# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the tree. Each takes a Tree and yields one line per violation.

check_rules.py shows each of them red on a made-up violation; check_tree.py runs them here.
"""

import re
import statistics
import tomllib

from functions import find_functions

CODE = (".c", ".cc", ".h", ".hpp")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
RATCHET = "tests/tidy/ratchet.txt"

# header of a library: where it may be included. Elsewhere it would tie the engine to it.
LIBRARY_FOLDERS = {
    "fuse": ("src/fusefs/",),
    "libpmem2": ("src/device/", "src/client/", "bench/"),
    "catch2": ("tests/support/catch.h",),
    "CLI": ("src/fusefs/", "src/tools/", "examples/", "bench/", "tests/"),
    "nlohmann": ("src/fusefs/", "src/tools/", "bench/", "tests/"),
}
HEAVY = ("CLI", "nlohmann")  # never in a header: each costs seconds per includer


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def parse_layers(text):
    """layers.txt: `folder: folders it may include from`."""
    layers = {}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, allowed = line.partition(":")
            layers[folder.strip()] = set(allowed.split()) | {folder.strip()}
    return layers


def layer_of(path, layers):
    """The layer of a path below src/: the longest entry of layers.txt that leads to it."""
    folders = [name for name in layers if path.startswith(name + "/")]
    return max(folders, key=len, default=None)


def layers_allow_every_include(tree):
    layers = parse_layers(tree.get("src/layers.txt", ""))
    for path, text in tree.under("src", suffixes=CODE):
        layer = layer_of(path[len("src/"):], layers)
        if layer is None:
            yield f"{path}: its folder is not in src/layers.txt"
            continue
        for include in INCLUDE.finditer(text):
            target = include.group(2)
            if include.group(1) != '"':
                continue
            if "/" not in target or target.startswith("."):
                yield f"{path}:{line_of(text, include.start())}: write {target!r} from src/"
                continue
            to = layer_of(target, layers)
            if to is None and ("include/" + target) in tree.files:
                continue
            if to not in layers[layer]:
                yield f"{path}:{line_of(text, include.start())}: {layer} must not include {target}"


def libraries_stay_in_their_layer(tree):
    for path, text in tree.under("src", "include", "tests", "bench", "examples", suffixes=CODE):
        for include in INCLUDE.finditer(text):
            library = re.split(r"[/.]", include.group(2))[0]
            library = "fuse" if library.startswith("fuse") and "<" == include.group(1) else library
            if include.group(1) != "<" or library not in LIBRARY_FOLDERS:
                continue
            where = f"{path}:{line_of(text, include.start())}"
            if not path.startswith(LIBRARY_FOLDERS[library]):
                yield f"{where}: {library} may be included only under {LIBRARY_FOLDERS[library]}"
            if library in HEAVY and path.endswith((".h", ".hpp")):
                yield f"{where}: {library} in a header; only the one .cc that needs it"


def every_file_names_its_license(tree):
    for path, text in tree.text_files():
        if path != "LICENSE" and "SPDX-License-Identifier: BSD-3-Clause" not in "\n".join(
                text.split("\n")[:3]):
            yield f"{path}: no SPDX-License-Identifier in the first three lines"


# Spelled with brackets so that this file does not break its own rules.
UNFINISHED = re.compile(
    r"\b(FIX[M]E|TO[D]O|X[X]X|HA[C]K)\b|\b(for[ ]now|place[h]older|not[ ]implemented)\b")
FOREIGN = re.compile(
    r"/[w]ork/(main|shared|\.library|steering)|/[f]arm/|\bsub[a]gents?\b|\bhelper[ ]agents?\b"
    r"|daxpin-[b]rief|\bbefore-[s]top\b|\bissues?[ ]show\b")


def nothing_is_left_unfinished(tree):
    for path, text in tree.text_files():
        for found in UNFINISHED.finditer(text):
            yield f"{path}:{line_of(text, found.start())}: {found.group(0)!r} marks unfinished work"


def the_tree_speaks_of_the_project_only(tree):
    for path, text in tree.text_files():
        for found in FOREIGN.finditer(text):
            yield f"{path}:{line_of(text, found.start())}: {found.group(0)!r} is not about the project"


def files_are_tidy_text(tree):
    for path, text in tree.text_files():
        if text and not text.endswith("\n"):
            yield f"{path}: no newline at the end"
        if "\r" in text:
            yield f"{path}: carriage returns"
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() and not path.endswith((".md", ".patch")):
                yield f"{path}:{number}: space at the end of the line"
            if path.endswith(CODE) and len(line.expandtabs(8)) > 100:
                yield f"{path}:{number}: longer than 100 columns"


def parse_ratchet(text):
    """ratchet.txt: `path | function | lines`; an empty function stands for the file itself."""
    rows = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            path, function, lines = (part.strip() for part in line.split("|"))
            rows[path, function] = int(lines)
    return rows


def measure(tree):
    """(path, function or '') -> lines, of everything that may not grow without being looked at."""
    files, functions = {}, {}
    for path, text in tree.under("src", "include", "tests", "bench", "examples", suffixes=CODE):
        files[path, ""] = text.count("\n")
        for function in find_functions(text):
            key = path, function.name
            functions[key] = max(functions.get(key, 0), function.length)
    for path, text in tree.under("tests", "scripts", suffixes=(".py",)):
        files[path, ""] = text.count("\n")
    return files, functions


def lengths_only_shrink(tree):
    ratchet = parse_ratchet(tree.get(RATCHET, ""))
    files, functions = measure(tree)
    for measured, limit in ((files, FILE_LINES_MAX), (functions, FUNCTION_LINES_MAX)):
        for (path, name), lines in sorted(measured.items()):
            allowed = max(limit, ratchet.get((path, name), 0))
            if lines > allowed:
                yield f"{path}: {name or 'the file'} has {lines} lines, {allowed} allowed"
    for (path, name), lines in sorted(ratchet.items()):
        now = (functions if name else files).get((path, name), 0)
        if now < lines:
            yield f"{RATCHET}: {path} {name} shrank from {lines} to {now}: lower or drop its row"


def shape(tree):
    """One line of figures for the log: the shape that docs/testing.md asks to keep."""
    files, functions = measure(tree)
    sources = [n for (path, _), n in files.items() if path.startswith(("src/", "include/"))]
    bodies = [n for (path, _), n in functions.items() if path.startswith(("src/", "include/"))]
    if len(sources) < 2 or len(bodies) < 2:
        return "no sources"
    p90 = lambda values: statistics.quantiles(values, n=10)[8]
    over = sum(n > FUNCTION_LINES_MAX for n in bodies)
    return (f"{len(sources)} source files: median {statistics.median(sources):.0f}, "
            f"p90 {p90(sources):.0f}, max {max(sources)} lines; {len(bodies)} functions: "
            f"median {statistics.median(bodies):.0f}, p90 {p90(bodies):.0f}, "
            f"max {max(bodies)} lines, {over} over {FUNCTION_LINES_MAX}")


def public_functions(header):
    code = re.sub(r"/\*.*?\*/|//[^\n]*|^[ \t]*#[^\n]*", " ", header, flags=re.DOTALL | re.MULTILINE)
    return sorted(set(re.findall(r"\b(daxpin_\w+)\s*\((?!\s*\*)", code)))


def every_public_function_has_a_page(tree):
    for name in public_functions(tree.get("include/daxpin/daxpin.h", "")):
        if f"docs/man/{name}.3.scd" not in tree.files:
            yield f"include/daxpin/daxpin.h: {name} has no docs/man/{name}.3.scd"


def calls(text, function):
    """The text between the parentheses of each call, however deep those inside are nested."""
    for start in re.finditer(rf"\b{function}\(", text):
        depth, position = 1, start.end()
        while depth and position < len(text):
            depth += {"(": 1, ")": -1}.get(text[position], 0)
            position += 1
        yield text[start.end():position - 1]


def installed_programs(tree):
    for path, text in tree.under("src", "examples", suffixes=("meson.build",)):
        for call in calls(text, "executable"):
            if re.search(r"\binstall:\s*true", call):
                yield path, re.match(r"\s*'([^']+)'", call).group(1)


def every_program_has_a_page(tree):
    for path, name in installed_programs(tree):
        if not any(f"docs/man/{name}.{section}.scd" in tree.files for section in (1, 8)):
            yield f"{path}: {name} has no docs/man/{name}.1.scd or .8.scd"


def tests_mirror_sources(tree):
    for path, text in tree.under("tests/unit", suffixes=(".cc",)):
        if "TEST_CASE(" in text and not path.endswith("_test.cc"):
            yield f"{path}: a unit test's file is named FILE_test.cc"


def planted_bugs_fit_the_code(tree):
    """scripts/mutate replaces a text that must stand in the file exactly once."""
    for path, text in tree.under("tests", suffixes=("/mutants.toml",)):
        for bug in tomllib.loads(text)["mutant"]:
            olds = bug["old"] if isinstance(bug["old"], list) else [bug["old"]]
            for count in (tree.get(bug["file"], "").count(old) for old in olds):
                if count != 1:
                    yield (f"{path}: {bug['name']}: {bug['file']} has the text to replace "
                           f"{count} times")


RULES = (
    layers_allow_every_include,
    libraries_stay_in_their_layer,
    every_file_names_its_license,
    nothing_is_left_unfinished,
    the_tree_speaks_of_the_project_only,
    files_are_tidy_text,
    lengths_only_shrink,
    every_public_function_has_a_page,
    every_program_has_a_page,
    tests_mirror_sources,
    planted_bugs_fit_the_code,
)
