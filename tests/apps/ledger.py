# SPDX-License-Identifier: BSD-3-Clause
"""Writers of an SQL server that leave no doubt about what must be there after a crash.

Transaction n of a writer sets its row of `total` to n and adds row n to `ledger`. The server's own
client prints n when it is told that n is committed, to a file outside of the server's filesystem.
"""

import subprocess

from .framework import expect, expect_equal, wait_until

WRITERS = (1, 2, 3)

TABLES = """
create table total (writer int primary key, last int not null);
create table ledger (writer int, number int, words text not null, primary key (writer, number));
insert into total values (1, 0), (2, 0), (3, 0);
"""


def words(number):
    """The words of row `number`, as SQL."""
    return f"repeat(md5(concat({number})), 1 + mod({number}, 150))"


ROWS = ("select t.writer, last, count(number), coalesce(max(number), 0), "
        f"sum(case when words <> {words('number')} then 1 else 0 end) "
        "from total t left join ledger l on l.writer = t.writer "
        "group by t.writer, last order by t.writer")


class Ledger:
    """The server has client(), the command line of its SQL client, statement(writer), which makes
    and prints the next number, and rows(query)."""

    def __init__(self, server):
        self.server = server
        self.numbers = dict.fromkeys(WRITERS, 0)  # found when last verified
        self.clients = {}

    def output(self, name):
        return self.server.outside / f"{name}.out"

    def start(self):
        """Returns when every client is at work."""
        for writer in WRITERS:
            self.launch(writer, ["sh", "-c", 'statement=$1; shift; yes "$statement" | "$@"', "sh",
                                 self.server.statement(writer), *self.server.client()])
        wait_until(lambda: all(self.output(name).stat().st_size for name in self.clients),
                   "all clients are at work")

    def launch(self, name, command):
        with open(self.output(name), "wb") as output:
            self.clients[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                                  stderr=subprocess.STDOUT)

    def wait(self):
        """Waits until all clients have ended, as each must when its server is gone."""
        for name, process in self.clients.items():
            status = process.wait(timeout=120)
            expect(status != 0, f"{name} outlived its server", self.output(name).read_text())

    def verify(self):
        """Of a running server, after wait(): returns how many transactions were acknowledged since
        start(), and how many more were found, in flight when the server went away."""
        acknowledged = more = 0
        for writer, last, count, highest, wrong in self.server.rows(ROWS):
            known = self.acknowledged(writer)
            expect(known <= last <= known + 1,
                   f"writer {writer}: {known} is acknowledged, {last} is there")
            expect_equal((count, highest, wrong), (last, last, 0),
                         f"writer {writer}: rows, highest, with wrong words")
            acknowledged += known - self.numbers[writer]
            more += last - known
            self.numbers[writer] = last
        return acknowledged, more

    def acknowledged(self, writer):
        """The last number that the writer printed."""
        printed = [int(line) for line in self.output(writer).read_text().splitlines()
                   if line.isdigit()]
        first = self.numbers[writer] + 1
        expect_equal(printed, list(range(first, first + len(printed))), f"writer {writer} printed")
        return printed[-1]
