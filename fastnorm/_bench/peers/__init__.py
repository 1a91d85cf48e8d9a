"""Peers that fastnorm is timed beside: one module each, imported only when it is asked for.

A peer module provides what `Peer` lists. Native tensors share the memory of the case's arrays, and
an ``out`` case writes into the same ``inputs.out``, so that all contenders work on the same pages.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from fastnorm._bench.cases import Array, Case, Inputs

# Packages that must be importable for each peer.
PEERS = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino",),
    "jax": ("jax",),
}


class Peer(Protocol):
    """What a peer's module provides."""

    version: str
    note: str  # what a reader of its times must know, or empty

    def prepare(self, case: Case, inputs: Inputs, threads: int) -> Callable[[], Any] | None:
        """Make the call to be timed; None if the peer has no such operation."""

    def to_numpy(self, result: Any) -> Array:
        """Convert what the call returns, for the agreement check."""


def load(names: Iterable[str]) -> tuple[dict[str, Peer], list[str]]:
    """Import NumPy's adapter and those in `names` that are installed.

    Returns
    -------
    peers : dict of str to Peer
        NumPy first.
    skipped : list of str
        One line for each peer left out.
    """
    peers, skipped = {"numpy": _module("numpy")}, []
    for name in names:
        missing = next((m for m in PEERS[name] if importlib.util.find_spec(m) is None), None)
        if missing is None:
            peers[name] = _module(name)
        else:
            subject = name if missing == name else f"{name}: {missing}"
            skipped.append(f"{subject}: not installed, skipped")
    return peers, skipped


def affine(y: Any, weight: Any = None, bias: Any = None) -> Any:
    """``y * weight + bias`` in whatever arithmetic `y` brings along."""
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def trailing_order(case: Case) -> tuple[int, ...]:
    """Order of axes that puts the normalised ones last, for peers that know no other place."""
    return (*(a for a in range(len(case.shape)) if a not in case.axes), *case.axes)


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """Order of axes that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _module(name: str) -> Peer:
    return cast("Peer", importlib.import_module(f"{__name__}.{name}"))
