# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL under pgbench and psql: crashes under load, recovery, and every transaction there."""

import pathlib
import re
import signal
import subprocess

from . import ledger, servers
from .framework import Skipped, expect, expect_equal, run_command

PACKAGES = ["postgresql"]

CLIENTS = 4  # of pgbench
PROCESSED = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)

# So little memory and log that pages are overwritten, and segments recycled, all the time.
SETTINGS = """
listen_addresses = ''
shared_buffers = 4MB
min_wal_size = 4MB
max_wal_size = 16MB
checkpoint_timeout = 30s
autovacuum_naptime = 1s
"""

STATEMENT = ("with next as (update total set last = last + 1 where writer = {writer} returning *) "
             f"insert into ledger select writer, last, {ledger.words('last')} from next "
             "returning number;")

BALANCES = ("select (select sum(abalance) from pgbench_accounts), "
            "(select sum(tbalance) from pgbench_tellers), "
            "(select sum(bbalance) from pgbench_branches), "
            "(select coalesce(sum(delta), 0) from pgbench_history), "
            "(select count(*) from pgbench_history)")

RELATIONS = ("select count(*) filter (where relkind in ('r', 't', 'm')), "
             "count(*) filter (where relkind = 'i' and relam = "
             "(select oid from pg_am where amname = 'btree')) from pg_class")


def programs():
    """Where Debian keeps the programs of the newest version."""
    found = pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        raise Skipped("there is no /usr/lib/postgresql/*/bin/postgres (package postgresql)")
    return newest.parent


class Server(servers.Server):
    def __init__(self, data):
        self.programs = programs()
        super().__init__(data, "postgres")

    def create(self):
        """A cluster with checksums and the tables of the load, and the server on it."""
        self.make_folder(self.data)
        self.run(self.programs / "initdb", "--pgdata", self.data, "--data-checksums",
                 "--username", "postgres", "--auth", "trust", "--locale", "C", "--encoding",
                 "UTF8", "--wal-segsize", "1")
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as file:
            file.write(SETTINGS)
        self.start()
        self.run(*self.command("pgbench", "--initialize", "--quiet", "--scale", 2))
        self.run(*self.command("pg_amcheck", "--install-missing", "--table", "pg_class"))
        self.run(*self.client("--command", ledger.TABLES))

    def start(self):
        self.launch(self.programs / "postgres", "-D", self.data, "-k", self.sockets)

    def command(self, name, *words):
        """A client program, told how to connect; the database's name comes last."""
        return [str(word) for word in (self.programs / name, "--host", self.sockets, "--username",
                                       "postgres", *words, "postgres")]

    def client(self, *words):
        return self.command("psql", "-qAtX", "--set", "ON_ERROR_STOP=1", *words)

    def statement(self, writer):
        return STATEMENT.format(writer=writer)

    def rows(self, query):
        lines = self.run(*self.client("--command", query)).splitlines()
        return [tuple(map(int, line.split("|"))) for line in lines]

    def answers(self):
        return subprocess.run(self.command("pg_isready", "--quiet", "--dbname"),
                              check=False).returncode == 0

    def stop(self):
        """pg_ctl stop -m fast: a clean end, with a checkpoint."""
        expect_equal(self.end(signal.SIGINT), 0, "the server's exit status")

    def crash(self):
        """pg_ctl stop -m immediate: nothing is written any more, also if files are gone."""
        self.end(signal.SIGQUIT)

    def check(self):
        """Of a stopped server: the checksums of all pages; returns what was checked."""
        output = self.run(self.programs / "pg_checksums", "--check", "--pgdata", self.data)
        blocks = int(re.search(r"Blocks scanned: +(\d+)", output).group(1))
        expect(blocks > 1000, f"pg_checksums looked at {blocks} blocks only", output)
        return f"checksums of {blocks} blocks are good"

    def check_running(self):
        """verify_heapam of all tables, bt_index_parent_check of all indexes."""
        self.run(*self.command("pg_amcheck", "--heapallindexed", "--parent-check", "--rootdescend"))
        (tables, indexes), = self.rows(RELATIONS)
        return f"amcheck finds nothing in {tables} tables and {indexes} indexes"


class Load(ledger.Ledger):
    """pgbench beside the writers."""

    history = 0  # rows found when last verified

    def start(self):
        self.launch("pgbench", self.server.command(
            "pgbench", "--no-vacuum", "--client", CLIENTS, "--time", 3600, "--progress", 1))
        super().start()

    def verify(self):
        acknowledged, more = super().verify()
        processed = int(PROCESSED.search(self.output("pgbench").read_text()).group(1))
        (*sums, rows), = self.server.rows(BALANCES)
        expect_equal(sums, sums[:1] * 4, "sums over accounts, tellers, branches, history")
        in_flight = rows - self.history - processed
        expect(0 <= in_flight <= CLIENTS,
               f"pgbench: {processed} are acknowledged, {processed + in_flight} are there")
        self.history = rows
        return acknowledged + processed, more + in_flight


def run(folder, say):
    servers.crash_and_recover(Server(folder / "data"), Load, say)
