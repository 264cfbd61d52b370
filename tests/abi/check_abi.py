#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What programs built against libdaxpin rely on: the symbols, what the library needs and does when
it is loaded, and the layout of the ioctls for 32-bit programs.

usage: check_abi.py ROOT LIBRARY COMPILER [COMPILER-ARGUMENT]...
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT, LIBRARY, COMPILER = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
VERSION = "LIBDAXPIN_1.0"
# The C library, its loader (thread-local storage), and what GCC adds are always there.
NEEDED = {"libpmem2.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6",
          "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


class Skip(Exception):
    pass


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def is_instrumented():
    return "__asan_init" in output_of("nm", "-D", LIBRARY) or "__tsan" in output_of(
        "nm", "-D", LIBRARY)


def version_map():
    text = (ROOT / "src/client/libdaxpin.map").read_text(encoding="ascii")
    return re.findall(r"^\t\t(daxpin_\w+);$", text.split("local:")[0], re.MULTILINE)


def header_functions():
    text = (ROOT / "include/daxpin/daxpin.h").read_text(encoding="ascii")
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.findall(r"^(?:int|void|size_t|unsigned|const char) \*?(daxpin_\w+)\(", code, re.MULTILINE)


def same(one, other, difference):
    if sorted(one) != sorted(other):
        raise AssertionError(f"{difference}: {sorted(set(one) ^ set(other))}")


def exported_symbols_are_the_version_map():
    lines = output_of("nm", "-D", "--defined-only", LIBRARY).splitlines()
    symbols = [line.split()[-1] for line in lines if " A " not in line]
    same(symbols, [f"{name}@@{VERSION}" for name in version_map()],
         "exported or in libdaxpin.map, not both")


def the_version_map_is_the_header():
    same(version_map(), header_functions(), "in libdaxpin.map or declared, not both")


def the_version_map_is_sorted():
    names = version_map()
    if names != sorted(set(names)) or len(names) < 10:
        raise AssertionError("libdaxpin.map is not sorted")


def nothing_runs_when_the_library_is_loaded():
    if is_instrumented():
        raise Skip("a sanitizer's own constructors")
    found = re.findall(r" \.(init_array|ctors|preinit_array)\s+\S+\s+\S+\s+\S+\s+([0-9a-f]+)",
                       output_of("readelf", "-SW", LIBRARY))
    if found != [("init_array", "000008")]:  # the compiler's own frame_dummy
        raise AssertionError(f"global constructors: {found}")


def the_library_needs_libpmem2_alone():
    if is_instrumented():
        raise Skip("a sanitizer's own libraries")
    needed = set(re.findall(r"\(NEEDED\).*\[([^]]+)\]", output_of("readelf", "-d", LIBRARY)))
    if not needed <= NEEDED:
        raise AssertionError(f"needs {sorted(needed - NEEDED)}")


def compile_32(text):
    """Compiles C++ for 32 bits without a 32-bit C library; what the compiler says, or None."""
    multiarch = output_of(*COMPILER, "-print-multiarch").strip()
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "cstddef").write_text("#include <stddef.h>\n", encoding="ascii")
        source = pathlib.Path(folder, "source.cc")
        source.write_text(text, encoding="ascii")
        done = subprocess.run(
            [*COMPILER, "-m32", "-std=c++20", "-fsyntax-only", "-nostdinc++", f"-I{folder}",
             f"-I{ROOT / 'include'}", f"-I/usr/include/{multiarch}", str(source)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout if done.returncode != 0 else None


def the_ioctls_have_the_same_layout_for_32_bit_programs():
    said = compile_32("#include <linux/types.h>\nstatic_assert(sizeof(void *) == 4);\n")
    if said is not None:
        raise Skip(f"the compiler makes no 32-bit programs: {said.splitlines()[0]}")
    careless = "#include <linux/types.h>\nstruct s { __u32 a; __u64 b; };\n"
    if compile_32(careless + "static_assert(sizeof(s) == 16);\n") is None:
        raise AssertionError("a structure that differs was not noticed")
    said = compile_32((ROOT / "src/wire/layout_check.cc").read_text(encoding="ascii"))
    if said is not None:
        raise AssertionError(said)


RULES = (exported_symbols_are_the_version_map, the_version_map_is_the_header,
         the_version_map_is_sorted, nothing_runs_when_the_library_is_loaded,
         the_library_needs_libpmem2_alone, the_ioctls_have_the_same_layout_for_32_bit_programs)


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for rule in RULES:
        name = rule.__name__.replace("_", " ")
        try:
            rule()
            outcome = "passed"
            print("ok -", name)
        except Skip as reason:
            outcome = "skipped"
            print(f"skip - {name}: {reason}")
        except (AssertionError, subprocess.CalledProcessError) as error:
            outcome = "failed"
            print(f"not ok - {name}\n{error}")
        counts[outcome] += 1
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
