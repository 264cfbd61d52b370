#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Devices that count unsafe shutdowns: shutdowns.c, preloaded into daemon and fsck, counts for them."""

import os
import sys

from harness import Volume, build_folder, case, expect, expect_equal, program, run, run_command


def counting(count):
    found = sorted(build_folder().glob("tests/mount/libshutdowns.so"))
    expect(found, "tests/mount/libshutdowns.so is not built")
    return {**os.environ, "LD_PRELOAD": str(found[0]), "DAXPIN_TEST_SHUTDOWNS": str(count)}


def reports_of_mount(volume, count):
    volume.log.unlink(missing_ok=True)
    volume.mount(environment=counting(count))
    volume.unmount()
    return [line for line in volume.log.read_text().splitlines() if "unsafe shutdown" in line]


@case("unsafe shutdowns: a rise since the last mount is reported at mount and by fsck", bare=True)
def reported():
    with Volume(separate="--separate" in sys.argv) as volume:
        expect_equal(reports_of_mount(volume, 3), [], "reports of the first mount")
        said = run_command(program("fsck.daxpinfs"), "-n", *volume.devices, env=counting(5))
        expect_equal(said.count("unsafe shutdowns since the last mount: 2"), len(volume.devices),
                     f"devices that fsck names in: {said}")
        [report] = reports_of_mount(volume, 5)
        expect_equal(report.count("2 unsafe shutdown(s)"), len(volume.devices), report)
        expect_equal(reports_of_mount(volume, 5), [], "reports of the mount after")


if __name__ == "__main__":
    sys.exit(run())
