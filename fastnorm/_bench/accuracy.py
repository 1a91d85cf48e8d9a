"""Worst error of float32 norms against the mean of the data, for fastnorm and every installed peer.

The data is offset + N(0, 1): a library that loses the digits which the mean and the data share shows it as an error
that grows with the offset. The judge is the formula in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnorm import reference
from fastnorm._bench import charts, peers
from fastnorm._bench.cases import Case, Inputs

TRAINING, GROUPS, LAST = {"training": True}, {"num_groups": 8}, {"channel_axis": -1}
CASES = {
    "layer_norm": Case("layer_norm", (512, 768)),
    "layer_norm axis=1": Case("layer_norm", (8, 96, 28, 28), options={"axis": 1}),
    "rms_norm": Case("rms_norm", (512, 768)),
    "batch_norm NCHW": Case("batch_norm", (32, 64, 14, 14), options=TRAINING),
    "batch_norm NHWC": Case("batch_norm", (32, 14, 14, 64), options=TRAINING | LAST),
    "instance_norm NCHW": Case("instance_norm", (8, 64, 28, 28)),
    "instance_norm NHWC": Case("instance_norm", (8, 28, 28, 64), options=LAST),
    "group_norm NCHW": Case("group_norm", (4, 64, 28, 28), options=GROUPS),
    "group_norm NHWC": Case("group_norm", (4, 28, 28, 64), options=GROUPS | LAST),
    "standardize": Case("standardize", (6000, 32)),
}
OFFSETS = (0.0, 1e3, 1e6)
# One norm is drawn, at more offsets.
DRAWN = "layer_norm"
DRAWN_OFFSETS = tuple(10.0**power for power in np.arange(0, 6.5, 0.5))


def measure(seconds: float = 0.0) -> list[dict[str, Any]]:
    """Errors of each norm at each offset; no time is measured.

    Returns
    -------
    list of dict
        ``norm``, ``offset`` and ``errors``: the worst absolute error of each library that has the function, None where
        it is not finite.
    """
    contenders, _ = peers.load(peers.PEERS)
    places = dict.fromkeys((name, offset) for name in CASES for offset in OFFSETS)
    places |= dict.fromkeys((DRAWN, offset) for offset in DRAWN_OFFSETS)
    return [
        {"norm": name, "offset": offset, "errors": errors(CASES[name], offset, contenders)} for name, offset in places
    ]


def errors(case: Case, offset: float, contenders: dict[str, peers.Peer]) -> dict[str, float | None]:
    """Worst absolute error of fastnorm and of each contender that has the function."""
    x = (np.random.default_rng(0).standard_normal(case.shape) + offset).astype(np.float32)
    # A weight of 1, all else 0: some libraries want them; running statistics are only written in training.
    parameters = {name: np.full_like(one, name == "weight") for name, one in case.make_inputs().parameters.items()}
    inputs = Inputs(x, parameters, None)
    results = {"fastnorm": case.call(inputs)()}
    for name, peer in contenders.items():
        call = peer.prepare(case, inputs, threads=1)
        if call is not None:
            results[name] = peers.as_array(peer, case, call())
    expected = getattr(reference, case.function)(x.astype(np.float64), **case.options)
    worst = {name: float(np.max(np.abs(y - expected))) for name, y in results.items()}
    return {name: error if np.isfinite(error) else None for name, error in worst.items()}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The errors at `OFFSETS` as a Markdown table."""
    rows = [row for row in rows if row["offset"] in OFFSETS]
    libraries = list(dict.fromkeys(library for row in rows for library in row["errors"]))
    lines = ["| | offset | " + " | ".join(libraries) + " |", "|---|---|" + "---|" * len(libraries)]
    for row in sorted(rows, key=lambda row: (list(CASES).index(row["norm"]), row["offset"])):
        cells = (_cell(row["errors"][library]) if library in row["errors"] else "" for library in libraries)
        lines.append(f"| {row['norm']} | {row['offset']:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(figure: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Layer norm's error against the offset."""
    drawn = sorted((row for row in rows if row["norm"] == DRAWN and row["offset"]), key=lambda row: row["offset"])
    figure.set_size_inches(8, 4.2)
    axes = figure.subplots()
    offsets = [row["offset"] for row in drawn]
    for name in drawn[0]["errors"]:
        line = [np.nan if (error := row["errors"][name]) is None else error for row in drawn]
        width = 3 if name == "fastnorm" else 1.5
        axes.loglog(offsets, line, label=name, color=charts.colour(name), linewidth=width)
    axes.set_xlabel("offset: the data is offset + N(0, 1)")
    axes.set_ylabel("worst error of float32 layer norm")
    axes.minorticks_off()
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.legend(frameon=False, loc="upper left", ncols=2)


def _cell(error: float | None) -> str:
    return "nan" if error is None else f"{error:.1e}"
