# SPDX-License-Identifier: BSD-3-Clause
"""What was measured against what it shall be: rows that the programs in bench/ print, and leave in
their JSON as "targets" for scripts/bench."""

AT_MOST, AT_LEAST = "at most", "at least"


def row(what, figure, limit, sense=AT_MOST):
    return {"what": what, "figure": figure, "sense": sense, "limit": limit}


def is_met(target):
    if target["sense"] == AT_LEAST:
        return target["figure"] >= target["limit"]
    return target["figure"] <= target["limit"]


def text(rows):
    """A table, and how many are met."""
    width = max((len(target["what"]) for target in rows), default=0)
    lines = [f"{target['what']:{width}} {target['figure']:10.2f}  {target['sense']:8} "
             f"{target['limit']:<8g} {'met' if is_met(target) else 'NOT MET'}" for target in rows]
    lines.append(f"{sum(map(is_met, rows))} of {len(rows)} targets met")
    return "\n".join(lines) + "\n"
