#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The test of the rules: each is red on a made-up violation and silent on a tidy tree."""

import pathlib
import sys
import tempfile
import unittest

import check_headers
import check_help
import rules
from functions import find_functions
from tree import Tree

SPDX = "// SPDX-License-Identifier: BSD-3-Clause\n"
LAYERS = "# SPDX\nbase:\nformat: base\nvolume: format base\nfusefs: volume base\ntools/fsck: format base\n"


def found(rule, files):
    return list(rule(Tree({"src/layers.txt": LAYERS, **files})))


def lines(count, text="    x();\n"):
    return text * count


class LayerRules(unittest.TestCase):
    rule = staticmethod(rules.layers_allow_every_include)

    def test_lower_layer_is_allowed(self):
        self.assertEqual(found(self.rule, {"src/volume/a.cc": '#include "base/b.h"\n'}), [])

    def test_upper_layer_is_refused(self):
        self.assertEqual(len(found(self.rule, {"src/base/a.h": '#include "volume/v.h"\n'})), 1)

    def test_longest_entry_rules(self):
        self.assertEqual(len(found(self.rule, {"src/tools/fsck/a.cc": '#include "volume/v.h"\n'})), 1)
        self.assertEqual(found(self.rule, {"src/tools/fsck/a.cc": '#include "format/f.h"\n'}), [])

    def test_unlisted_folder_is_refused(self):
        self.assertEqual(len(found(self.rule, {"src/other/a.cc": ""})), 1)

    def test_include_from_own_folder_is_refused(self):
        self.assertEqual(len(found(self.rule, {"src/base/a.cc": '#include "b.h"\n'})), 1)
        self.assertEqual(len(found(self.rule, {"src/base/a.cc": '#include "../format/b.h"\n'})), 1)

    def test_public_header_is_allowed(self):
        self.assertEqual(found(self.rule, {"src/base/a.cc": '#include "daxpin/ioctl.h"\n',
                                           "include/daxpin/ioctl.h": ""}), [])


class LibraryRules(unittest.TestCase):
    rule = staticmethod(rules.libraries_stay_in_their_layer)

    def test_fuse_outside_the_daemon(self):
        self.assertEqual(len(found(self.rule, {"src/volume/a.cc": "#include <fuse_lowlevel.h>\n"})), 1)
        self.assertEqual(len(found(self.rule, {"src/volume/a.cc": "#include <fuse3/fuse.h>\n"})), 1)
        self.assertEqual(found(self.rule, {"src/fusefs/a.cc": "#include <fuse_lowlevel.h>\n"}), [])

    def test_heavy_header_in_a_header(self):
        self.assertEqual(len(found(self.rule, {"src/fusefs/a.h": "#include <CLI/CLI.hpp>\n"})), 1)

    def test_catch2_has_one_place(self):
        bad = {"tests/unit/base/a_test.cc": "#include <catch2/catch.hpp>\n"}
        self.assertEqual(len(found(self.rule, bad)), 1)


class TextRules(unittest.TestCase):
    def test_license(self):
        rule = rules.every_file_names_its_license
        self.assertEqual(len(found(rule, {"src/layers.txt": "x\n"})), 1)
        self.assertEqual(found(rule, {"src/layers.txt": SPDX}), [])
        self.assertEqual(found(rule, {"src/layers.txt": SPDX, "a.img": None}), [])

    def test_unfinished(self):
        rule = rules.nothing_is_left_unfinished
        for word in ("FIX" + "ME", "TO" + "DO", "X" + "XX", "for " + "now"):
            self.assertEqual(len(found(rule, {"src/base/a.cc": f"// {word}: later\n"})), 1, word)
        self.assertEqual(found(rule, {"scripts/a": "mktemp /tmp/aXXXXXX\n"}), [])

    def test_foreign_words(self):
        rule = rules.the_tree_speaks_of_the_project_only
        for word in ("/wo" + "rk/main/src", "a sub" + "agent", "issue" + "s show 2"):
            self.assertEqual(len(found(rule, {"docs/a.md": f"see {word}\n"})), 1, word)
        self.assertEqual(found(rule, {"docs/a.md": "a table of unfinished work/deletions\n"}), [])

    def test_text(self):
        rule = rules.files_are_tidy_text
        self.assertEqual(len(found(rule, {"src/base/a.cc": "x"})), 1)
        self.assertEqual(len(found(rule, {"src/base/a.cc": "x \n"})), 1)
        self.assertEqual(len(found(rule, {"src/base/a.cc": "x\r\n"})), 2)
        self.assertEqual(len(found(rule, {"src/base/a.cc": "y" * 101 + "\n"})), 1)
        self.assertEqual(found(rule, {"src/base/a.cc": "y" * 100 + "\n"}), [])

    def test_unit_test_name(self):
        rule = rules.tests_mirror_sources
        self.assertEqual(len(found(rule, {"tests/unit/base/a.cc": 'TEST_CASE("x") {}\n'})), 1)
        self.assertEqual(found(rule, {"tests/unit/base/helper.cc": "int x;\n"}), [])


class LengthRules(unittest.TestCase):
    rule = staticmethod(rules.lengths_only_shrink)
    long_function = "int f(int a) {\n" + lines(59) + "}\n"

    def test_limits(self):
        self.assertEqual(len(found(self.rule, {"src/base/a.cc": lines(601, "\n")})), 1)
        self.assertEqual(found(self.rule, {"src/base/a.cc": lines(600, "\n")}), [])
        self.assertEqual(len(found(self.rule, {"src/base/a.cc": self.long_function})), 1)
        self.assertEqual(found(self.rule, {"src/base/a.cc": self.long_function.replace("    x();\n", "", 1)}), [])

    def test_ratchet_holds_and_only_shrinks(self):
        row = lambda n: {"src/base/a.cc": self.long_function,
                         rules.RATCHET: f"src/base/a.cc | f | {n}\n"}
        self.assertEqual(found(self.rule, row(61)), [])
        self.assertEqual(len(found(self.rule, row(62))), 1)
        self.assertEqual(len(found(self.rule, row(60))), 1)


class FunctionLengths(unittest.TestCase):
    def check(self, code, *expected):
        self.assertEqual([(f.name, f.length) for f in find_functions(code)], list(expected))

    def test_containers_hold_functions(self):
        self.check("namespace a {\nclass B : public C {\n  void f() const {\n  }\n};\n}\n", ("f", 2))

    def test_inner_blocks_are_part(self):
        self.check("int f() {\n if (x) {\n }\n auto l = [] {\n };\n}\nint g() {}\n", ("f", 6), ("g", 1))

    def test_brace_initializers(self):
        self.check("A::A(int x)\n : a_{x}, b_{1} {\n  run();\n}\n", ("A::A", 3))
        self.check("const int table[] = {\n1,\n2};\nint f() {\n}\n", ("f", 2))

    def test_comments_and_strings_do_not_count(self):
        self.check('int f() {\n// }\nputs("}");\n/* } */\n}\n', ("f", 5))
        self.check("int f() { return 1'000'000; }\nint g() {\n}\n", ("f", 1), ("g", 2))

    def test_annotated_class_is_a_container(self):
        self.check('class CAPABILITY("m") M {\n void lock() ACQUIRE() {\n }\n};\n', ("lock", 2))

    def test_test_cases_carry_their_title(self):
        self.check('TEST_CASE("ring: wraps", "[j]") {\n}\n', ("ring: wraps", 2))


class PageRules(unittest.TestCase):
    def test_public_function(self):
        rule = rules.every_public_function_has_a_page
        header = "/* daxpin_old(x) */\nint daxpin_new(struct daxpin_map **map);\n"
        self.assertEqual(len(found(rule, {"include/daxpin/daxpin.h": header})), 1)
        self.assertEqual(found(rule, {"include/daxpin/daxpin.h": header,
                                      "docs/man/daxpin_new.3.scd": ""}), [])

    def test_program(self):
        rule = rules.every_program_has_a_page
        meson = {"src/fusefs/meson.build": "executable('daxpinfs', f('a'.g(h())),\n  install: true)\n"}
        self.assertEqual(len(found(rule, meson)), 1)
        self.assertEqual(found(rule, {**meson, "docs/man/daxpinfs.8.scd": ""}), [])
        self.assertEqual(found(rule, {"src/base/meson.build": "executable('x', 'x.cc')\n"}), [])

    def test_help_against_page(self):
        text = "usage: x [--size SIZE] [-f|--force]\n  --no-color  plain\n"
        self.assertEqual(check_help.missing_options(text, "*--size* _SIZE_ and *--force*"), ["--no-color"])
        self.assertEqual(check_help.missing_options(text, "*--size*, *--force*, *--no-color*"), [])
        self.assertEqual(check_help.missing_options(text, "--sizes --force --no-color"), ["--size"])


class MutantRules(unittest.TestCase):
    rule = staticmethod(rules.planted_bugs_fit_the_code)
    BUG = '[[mutant]]\nname = "n"\nclass = "c"\nfile = "src/base/a.cc"\nold = "x();"\nnew = ""\n'

    def test_once(self):
        self.assertEqual(found(self.rule, {"tests/crash/mutants.toml": self.BUG,
                                           "src/base/a.cc": "x();\n"}), [])

    def test_changed_twice_or_gone(self):
        for text in ("y();\n", "x();\nx();\n"):
            self.assertEqual(len(found(self.rule, {"tests/crash/mutants.toml": self.BUG,
                                                   "src/base/a.cc": text})), 1)


class HeaderRule(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            header = pathlib.Path(folder, "alone.h")
            header.write_text(text)
            return check_headers.compile_alone(["c++"], "c++", ["-std=c++20"], str(header))

    def test_header_that_needs_another_is_refused(self):
        self.assertIsNone(self.check("#pragma once\nstruct A { int x; };\n"))
        self.assertIsNotNone(self.check("#pragma once\nstruct A { std::string x; };\n"))
        self.assertIsNotNone(self.check("struct A { int without_a_guard; };\n"))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed, 0 skipped")
    sys.exit(bool(bad))
