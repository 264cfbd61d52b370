# SPDX-License-Identifier: BSD-3-Clause
"""MariaDB (InnoDB): killed under load, recovery, and every acknowledged transaction there."""

import re
import shutil
import signal
import subprocess

from . import ledger, servers
from .framework import Skipped, expect, expect_equal

PACKAGES = ["mariadb-server"]

# So little memory and log that pages go through the doublewrite buffer, and are overwritten, all
# the time. These are the defaults: doublewrite, a log that is synced at each commit, direct I/O.
SETTINGS = ["--skip-networking", "--character-set-server=utf8mb3", "--innodb-buffer-pool-size=8M",
            "--innodb-log-file-size=4M"]

# The client is told of the commit, and of nothing before it, by the row that it gets.
PROCEDURE = f"""
delimiter //
create procedure enter(who int)
begin
    start transaction;
    update total set last = last + 1 where writer = who;
    insert into ledger select writer, last, {ledger.words("last")} from total where writer = who;
    commit;
    select last from total where writer = who;
end//
"""


class Server(servers.Server):
    def __init__(self, data):
        if shutil.which("mariadbd") is None:
            raise Skipped("there is no mariadbd (package mariadb-server)")
        super().__init__(data, "mysql")
        self.socket = self.sockets / "mariadb.sock"

    def create(self):
        self.make_folder(self.data)
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                 "--auth-root-authentication-method=normal", "--skip-test-db")
        self.start()
        self.run(*self.command("mariadb-admin", "create", "books"))
        self.run(*self.client(f"--execute={ledger.TABLES}{PROCEDURE}"))

    def start(self):
        self.launch("mariadbd", "--no-defaults", f"--datadir={self.data}",
                    f"--socket={self.socket}", f"--pid-file={self.sockets}/pid",
                    f"--tmpdir={self.sockets}", *SETTINGS)

    def command(self, name, *words):
        return [name, "--no-defaults", f"--socket={self.socket}", "--user=root", *words]

    def client(self, *words):
        return self.command("mariadb", "--batch", "--skip-column-names", "--unbuffered",
                            "--skip-reconnect", *words, "books")

    def statement(self, writer):
        return f"call enter({writer});"

    def rows(self, query):
        lines = self.run(*self.client(f"--execute={query}")).splitlines()
        return [tuple(map(int, line.split("\t"))) for line in lines]

    def answers(self):
        return subprocess.run(self.command("mariadb-admin", "--silent", "ping"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    def stop(self):
        expect_equal(self.end(signal.SIGTERM), 0, "the server's exit status")

    def crash(self):
        self.end(signal.SIGKILL)

    def check(self):
        """Of a stopped server: the checksums of all tables' pages; returns what was checked. Not of
        ibdata1: the doublewrite buffer lies in it, where innochecksum takes pages for damaged."""
        files = sorted(self.data.glob("**/*.ibd"))
        for file in files:
            self.run("innochecksum", file)
        return f"checksums of {len(files)} files are good"

    def check_running(self):
        output = self.run(*self.command("mariadb-check", "--check", "--extended", "books"))
        expect(len(re.findall(r"^books\.\w+ +OK$", output, re.MULTILINE)) == 2, "mariadb-check",
               output)
        return "CHECK TABLE finds nothing"


Load = ledger.Ledger


def run(folder, say):
    servers.crash_and_recover(Server(folder / "data"), Load, say)
