# SPDX-License-Identifier: BSD-3-Clause
"""What the command line says and cases must know."""


class Settings:
    full_dir = None   # on a small filesystem that may be filled up
