# SPDX-License-Identifier: BSD-3-Clause
"""What a POSIX filesystem on Linux owes its callers: one program per system call, run by
scripts/conformance on any directory. The programs know nothing of daxpin."""
