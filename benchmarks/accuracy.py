"""Worst error of float32 layer norm against the mean of the data, for fastnorm and every installed peer.

Run ``python benchmarks/accuracy.py``. The data is offset + N(0, 1); a library that loses the digits which the mean and
the data share shows it here as an error that grows with the offset.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastnorm import reference
from fastnorm._bench import peers
from fastnorm._bench.cases import Case, Inputs

OFFSETS = (0.0, 1e2, 1e4, 1e6)
CASE = Case("layer_norm", (512, 768), options={"weight": None, "bias": None})


def errors() -> Iterator[tuple[str, list[float]]]:
    """Name of each library and its worst absolute error at each of `OFFSETS`."""
    contenders, _ = peers.load(peers.PEERS)
    noise = np.random.default_rng(0).standard_normal(CASE.shape)
    worst: dict[str, list[float]] = {}
    for offset in OFFSETS:
        x = (noise + offset).astype(np.float32)
        expected = reference.layer_norm(x, dtype=np.float64)
        inputs = Inputs(x, {}, None)
        results = {"fastnorm": CASE.call(inputs)()}
        for name, peer in contenders.items():
            call = peer.prepare(CASE, inputs, threads=1)
            if call is not None:
                results[name] = peer.to_numpy(call())
        for name, y in results.items():
            worst.setdefault(name, []).append(float(np.max(np.abs(y - expected))))
    yield from worst.items()


def table() -> str:
    """The errors as a Markdown table."""
    lines = [
        "| offset | " + " | ".join(f"{offset:g}" for offset in OFFSETS) + " |",
        "|---|" + "---|" * len(OFFSETS),
    ]
    for name, worst in errors():
        lines.append(f"| {name} | " + " | ".join(f"{one:.1e}" for one in worst) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
