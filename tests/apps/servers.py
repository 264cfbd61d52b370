# SPDX-License-Identifier: BSD-3-Clause
"""What the database servers share: an ordinary user to run as, their start, and their end."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

from .framework import expect, run_command, wait_until


def ordinary_user(name):
    """Popen's options for a server that refuses to be root: the package's own user, or nobody."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Server:
    """A server of our own on the folder `data`.

    Its socket and log, and what clients were told, lie in `outside`: the filesystem of `data` may
    die under the server. A subclass has answers() and crash().
    """

    def __init__(self, data, user):
        self.data = pathlib.Path(data)
        self.as_user = ordinary_user(user)
        self.outside = pathlib.Path(tempfile.mkdtemp(prefix=f"{user}-"))
        os.chmod(self.outside, 0o755)
        self.sockets = self.make_folder(self.outside / "sockets")
        self.log = self.outside / "server.log"
        self.process = None

    def make_folder(self, path):
        """A folder that belongs to the server's user alone."""
        path.mkdir(mode=0o700)
        os.chown(path, self.as_user.get("user", -1), self.as_user.get("group", -1))
        return path

    def run(self, *command, **options):
        """A command of the server's user; it may not see the folder that we are in."""
        return run_command(*command, cwd="/", **self.as_user, **options)

    def launch(self, *command):
        """Starts the server and waits until it has recovered and answers."""
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", start_new_session=True, **self.as_user)
        wait_until(lambda: self.process.poll() is not None or self.answers(),
                   "the server answers", 120)
        expect(self.process.poll() is None, f"the server ended with {self.process.returncode}",
               self.read_log())

    def read_log(self):
        """What the server said since its last start."""
        return self.log.read_text(errors="replace")

    def end(self, number):
        """Sends a signal to the server, which may have ended by itself; returns its status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=120)
        self.process = None
        return status

    def close(self):
        if self.process is not None:
            self.crash()
        shutil.rmtree(self.outside)


def crash_and_recover(server, load_class, say, times=3, seconds=3):
    """Crashes a new server under load, each time with all that was acknowledged there again."""
    acknowledged = more = 0
    with contextlib.closing(server):
        server.create()
        load = load_class(server)
        for _ in range(times):
            load.start()
            time.sleep(seconds)
            server.crash()
            load.wait()
            server.start()
            counts = load.verify()
            checked = server.check_running()
            acknowledged, more = acknowledged + counts[0], more + counts[1]
        server.stop()
        say(f"{times} crashes under load: all {acknowledged} acknowledged transactions are there, "
            f"and {more} in flight; {checked}; {server.check()}")
