"""Worst error of float32 norms against the mean of the data, for fastnorm and every installed peer.

Run ``python benchmarks/accuracy.py`` for the table of all norms, and with the name of a file to draw layer norm's line
of it there, too. The data is offset + N(0, 1): a library that loses the digits which the mean and the data share shows
it as an error that grows with the offset. The judge is the formula in float64.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from fastnorm import reference
from fastnorm._bench import peers
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
DRAWN = tuple(10.0**power for power in np.arange(0, 6.5, 0.5))
# Readable on white and on black, as is the grey of all else.
COLOURS = {
    "fastnorm": "#e6550d",
    "numpy": "#4c9be8",
    "torch": "#b07aa1",
    "onnxruntime": "#2ca58d",
    "openvino": "#8c8f3f",
    "jax": "#c26a77",
    "sklearn": "#7f7f7f",
}
GREY = "#808080"


def errors(case: Case, offset: float) -> dict[str, float]:
    """Worst absolute error of each library that has the function."""
    contenders, _ = peers.load(peers.PEERS)
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
    return {name: float(np.max(np.abs(y - expected))) for name, y in results.items()}


def table() -> str:
    """The errors as a Markdown table."""
    rows = {(name, offset): errors(case, offset) for name, case in CASES.items() for offset in OFFSETS}
    libraries = list(dict.fromkeys(library for row in rows.values() for library in row))
    lines = ["| | offset | " + " | ".join(libraries) + " |", "|---|---|" + "---|" * len(libraries)]
    for (name, offset), row in rows.items():
        cells = (f"{row[library]:.1e}" if library in row else "" for library in libraries)
        lines.append(f"| {name} | {offset:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(path: Path) -> None:
    """Layer norm's error against the offset, as a picture on no background."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = [errors(CASES["layer_norm"], offset) for offset in DRAWN]
    grey = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY)
    style: Any = grey | {"svg.fonttype": "none", "svg.hashsalt": "fastnorm", "font.size": 11}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
        for name in found[0]:
            width = 3 if name == "fastnorm" else 1.5
            axes.loglog(DRAWN, [one[name] for one in found], label=name, color=COLOURS.get(name), linewidth=width)
        axes.set_xlabel("offset: the data is offset + N(0, 1)")
        axes.set_ylabel("worst error of float32 layer norm")
        axes.minorticks_off()
        axes.grid(color=GREY, alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left", ncols=2)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)


if __name__ == "__main__":
    print(table())
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
