# SPDX-License-Identifier: BSD-3-Clause
"""What was measured against what it shall be: rows that the programs in bench/ print, and leave in
their JSON as "targets" for scripts/bench. A figure that could not be had is None: not met."""

AT_MOST, AT_LEAST = "at most", "at least"


def row(what, figure, limit, sense=AT_MOST):
    return {"what": what, "figure": figure, "sense": sense, "limit": limit}


def is_met(target):
    if target["figure"] is None:
        return False
    if target["sense"] == AT_LEAST:
        return target["figure"] >= target["limit"]
    return target["figure"] <= target["limit"]


def line(target, width):
    figure = "-" if target["figure"] is None else f"{target['figure']:.2f}"
    verdict = "not measured" if target["figure"] is None else \
        "met" if is_met(target) else "NOT MET"
    return (f"{target['what']:{width}} {figure:>10}  {target['sense']:8} {target['limit']:<8g} "
            f"{verdict}")


def text(rows):
    """A table, and how many are met."""
    width = max((len(target["what"]) for target in rows), default=0)
    lines = [line(target, width) for target in rows]
    lines.append(f"{sum(map(is_met, rows))} of {len(rows)} targets met")
    return "\n".join(lines) + "\n"
