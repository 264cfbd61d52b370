# SPDX-License-Identifier: BSD-3-Clause
"""What the programs are made of: a registry of cases, checks, other users, files of every kind."""
