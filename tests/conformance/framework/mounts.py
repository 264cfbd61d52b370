# SPDX-License-Identifier: BSD-3-Clause
"""A second mount of a directory, in the namespace of a child: a boundary that names do not cross,
and a directory that cannot be moved or removed."""

from dataclasses import dataclass

from . import libc
from .apart import Apart
from .checks import Skip


@dataclass(frozen=True)
class MountedOver(Apart):
    """`tree` is a mount point, of itself."""
    tree: str

    def __str__(self):
        return f"root with a mount on {self.tree}"

    def prepare(self):
        try:
            libc.unshare(libc.CLONE_NEWNS)
            libc.mount(None, "/", None, libc.MS_REC | libc.MS_SLAVE)
            libc.mount(self.tree, self.tree, None, libc.MS_BIND)
        except PermissionError:
            raise Skip("may not mount") from None
