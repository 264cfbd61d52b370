# SPDX-License-Identifier: BSD-3-Clause
"""Programs that measure by Google Benchmark: runs them, collects what they find over the rounds,
and shows tables of it."""

import json
import os
import statistics
import subprocess
import tempfile

import peers

UNITS = {"ns": 1e-3, "us": 1.0, "ms": 1e3}
LOOK_S = 0.5


class Results:
    """(name, threads) -> samples of microseconds and of items per second; medians come out."""

    def __init__(self):
        self.samples = {}

    def add(self, benchmark):
        if benchmark.get("error_occurred"):
            raise peers.Missing(f"{benchmark['name']}: {benchmark['error_message']}")
        words = [word for word in benchmark["run_name"].split("/")
                 if word not in ("real_time", "manual_time") and not word.startswith("threads:")]
        rate = benchmark["items_per_second"]
        elapsed = "/real_time" in benchmark["run_name"]  # else the rate is by processor time
        processor = benchmark["cpu_time"] * UNITS[benchmark["time_unit"]]
        microseconds = processor if elapsed else 1e6 / rate
        found = self.samples.setdefault(("/".join(words), benchmark["threads"]), {})
        figures = {"us": microseconds, "items_per_second": rate,
                   **{what: benchmark.get(what) for what in ("record_bytes", "blocks_per_extent")}}
        for what, figure in figures.items():
            if figure is not None:
                found.setdefault(what, []).append(figure)

    def get(self, name, threads=1, what="us"):
        samples = self.each(name, threads, what)
        return statistics.median(samples) if samples else None

    def each(self, name, threads=1, what="us"):
        """The samples, round by round."""
        return self.samples.get((name, threads), {}).get(what)

    def gain(self, name):
        """Items per second on two threads against one."""
        return ratio(self.get(name, 2, "items_per_second"), self.get(name, 1, "items_per_second"))

    def effort(self, name):
        """Processor time of an item on two threads against one."""
        return ratio(self.get(name, 2), self.get(name, 1))

    def numbers(self, prefix):
        """The numbers that follow the prefix, ascending."""
        return sorted({int(name[len(prefix):]) for name, _ in self.samples
                       if name.startswith(prefix) and name[len(prefix):].isdigit()})

    def as_json(self):
        return [{"name": name, "threads": threads,
                 **{what: statistics.median(values) for what, values in found.items()}}
                for (name, threads), found in self.samples.items()]


def ratio(one, other):
    return one / other if one is not None and other else None


def run(program, min_time, chosen=None, medium=None, meanwhile=None):
    """What the program reports; chosen is its filter, medium a device for it, or a folder where it
    makes files. Calls meanwhile(pid) now and then."""
    if not program.exists():
        build = program.parent.parent
        raise peers.Missing(f"{program} is not there: meson configure {build} "
                            f"-Dbenchmarks=true && ninja -C {build}")
    # As JSON its report leaves stderr to errors and to what takes long.
    command = [str(program), "--benchmark_format=json", f"--benchmark_min_time={min_time}"]
    if chosen:
        command.append(f"--benchmark_filter={chosen}")
    variable = "DAXPIN_BENCH_FOLDER" if medium and medium.is_dir() else "DAXPIN_BENCH_DEVICE"
    environment = {**os.environ, variable: str(medium)} if medium else None
    with tempfile.TemporaryFile() as report:
        with subprocess.Popen(command, stdout=report, env=environment) as child:
            try:
                wait(child, meanwhile)
            except BaseException:
                child.kill()
                raise
        if child.returncode != 0:
            raise peers.Missing(f"{program} ended with {child.returncode}")
        report.seek(0)
        text = report.read()
    if not text:
        raise peers.Missing(f"{program} has nothing that matches {chosen}")
    return json.loads(text)["benchmarks"]


def wait(child, meanwhile):
    while meanwhile:
        try:
            child.wait(timeout=LOOK_S)
            return
        except subprocess.TimeoutExpired:
            meanwhile(child.pid)
    child.wait()


def cell(value, digits=2):
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.{digits}f}"


def show(title, head, rows):
    """A table in Markdown, columns aligned."""
    lines = [head, *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    print(f"\n{title}\n")
    for line in lines:
        print("| " + " | ".join(word.ljust(width) for word, width in zip(line, widths)) + " |")
