# SPDX-License-Identifier: BSD-3-Clause
"""Real applications, run and verified in any directory on any filesystem: see scripts/apps.

A module is an application:

    PACKAGES = ["debian-package", ...]
    def run(folder, say): ...

run() works below `folder`, which exists, is empty and its own; it says what it verified, with
counts, and raises framework.Failed (or anything else) if something is wrong.
"""
