# SPDX-License-Identifier: BSD-3-Clause
"""Extended attributes: which namespaces there are, and the rules their four calls share."""

import errno
import os

from .checks import Skip
from .files import make, unsupported

NAME = "user.conformance"
TRUSTED = "trusted.conformance"
# vfs_cap_data, version 2: CAP_NET_RAW permitted and effective
CAPABILITY = bytes.fromhex("0100000200200000" + "00" * 12)


def needs(name, path, value=b"probe"):
    """Skips the case if attributes of the name's namespace cannot be set on the file at all."""
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
        os.removexattr(path, name, follow_symlinks=False)
    except OSError as error:
        if unsupported(error) or error.errno == errno.EPERM:
            raise Skip(f"no {name.split('.')[0]}.* attributes on such a file") from None
        raise


def get(path, name=NAME):
    return os.getxattr(path, name, follow_symlinks=False)


def put(path, value=b"value", name=NAME, flags=0):
    os.setxattr(path, name, value, flags, follow_symlinks=False)


def names(path):
    """Without what the system itself adds, e.g. security.selinux."""
    return sorted(name for name in os.listxattr(path, follow_symlinks=False)
                  if "conformance" in name)


def with_attribute(path, owner=None):
    """A regular file with an attribute, for path rules of calls that read or remove one."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    os.close(descriptor)
    needs(NAME, path)
    put(path)
    if owner:
        os.chown(path, owner.uid, owner.gid)


def probe(_owner):
    make("regular", "probe")
    needs(NAME, "probe")


def give(path):
    """The attribute, to a file that is there; a skip if there are no attributes."""
    needs(NAME, path)
    put(path)
