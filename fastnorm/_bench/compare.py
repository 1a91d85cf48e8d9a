"""What moved since another run: fastnorm's times in two documents, beside those of the copy.

A machine that is faster today is faster for the copy, too, so a row is judged by its time over the copy's. It has moved
if that changed by more than the spreads allow, for the medians and for the least times: with r = iqr / median of
fastnorm and of the copy in both runs,

    |log(new / old)| > sqrt(r1^2 + r2^2 + r3^2 + r4^2) + FLOOR

The median of n >= 5 normal samples errs by some 0.93 iqr / sqrt(n) <= 0.42 iqr, so the root is 2.4 or more of its
standard errors. `FLOOR` is for what no spread inside one run shows: where the arrays happened to lie. Nothing here can
tell a slower library from cores that others held for a whole row: rows of several threads need an idle machine, because
the copy has one thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastnorm._bench import document

FLOOR = 0.05


class Move(NamedTuple):
    """One row in both documents.

    Attributes
    ----------
    old, new : float
        fastnorm's seconds.
    relative, least : float
        New over old of the time over the copy's: of the medians, and of the least times.
    allowed : float
        Change of the logarithm that is noise.
    """

    label: str
    threads: int
    old: float
    new: float
    relative: float
    least: float
    allowed: float

    @property
    def moved(self) -> bool:
        """Whether the row changed by more than noise."""
        changes = math.log(self.relative), math.log(self.least)
        return min(changes) > self.allowed or max(changes) < -self.allowed


class Comparison(NamedTuple):
    """Rows of both, and labels of those of one only."""

    both: list[Move]
    added: list[str]
    gone: list[str]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """Match the rows of two documents by case and threads."""
    before, after = ({(row["id"], row["threads"]): row for row in one["rows"]} for one in (old, new))
    both = [_move(before[key], row) for key, row in after.items() if key in before]
    added = [_name(row) for key, row in after.items() if key not in before]
    gone = [_name(row) for key, row in before.items() if key not in after]
    return Comparison(both, added, gone)


def text(old: dict[str, Any], new: Mapping[str, Any], chosen: str = "") -> str:
    """What `compare` found, to be printed: the slower rows first.

    Old rows are gone only if this run's `--filter` and `--threads` would have chosen them.
    """
    rows = [row for row in old["rows"] if chosen in row["id"] and row["threads"] in new["threads"]]
    found = compare(old | {"rows": rows}, new)
    moved = sorted((one for one in found.both if one.moved), key=lambda one: -one.relative)
    lines = [f"compared  {len(found.both)} rows, {len(moved)} moved by more than their spread; slower rows first"]
    differing = [
        f"{name} {old[name]} -> {new[name]}" for name in ("machine", "apart", "seconds") if old.get(name) != new[name]
    ]
    lines += [f"differs   {one}" for one in differing]
    if moved:
        width = max(len(one.label) for one in moved)
        lines.append(f"{'':{width}}  thr        old        new  new/old  new/old beside the copy's")
        lines += [
            f"{one.label:{width}}  {one.threads:3}  {_time(one.old)}  {_time(one.new)}  {one.new / one.old:6.2f}x"
            f"  {one.relative:6.2f}x (within {math.exp(one.allowed):.2f}x is noise)"
            for one in moved
        ]
    lines += [f"new       {name}" for name in found.added]
    lines += [f"gone      {name}" for name in found.gone]
    return "\n".join(lines)


def _move(old: Mapping[str, Any], new: Mapping[str, Any]) -> Move:
    times = [row["contenders"][name] for row in (old, new) for name in ("fastnorm", "copy")]
    relative, least = (
        (ours_new / copy_new) / (ours / copy)
        for ours, copy, ours_new, copy_new in ([one[key] for one in times] for key in ("median", "min"))
    )
    allowed = FLOOR + math.hypot(*(one["iqr"] / one["median"] for one in times))
    ours, ours_new = times[0]["median"], times[2]["median"]
    return Move(document.label(new), new["threads"], ours, ours_new, relative, least, allowed)


def _name(row: Mapping[str, Any]) -> str:
    return f"{document.label(row)}, {row['threads']} thr"


def _time(seconds: float) -> str:
    return document.time_text(seconds).replace("µ", "u").rjust(9)
