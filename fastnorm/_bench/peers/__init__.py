"""Peers that fastnorm is timed beside: one module each, imported only when it is asked for.

A peer module provides what `Peer` lists. Native tensors share the memory of the case's arrays, and
an ``out`` case writes into the same ``inputs.out``, so that all contenders work on the same pages.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from fastnorm._bench.cases import Array, Case, Inputs

# PyTorch's, unless CXX names another.
COMPILER = os.environ.get("CXX", "g++")

# Packages that must be importable for each peer, or the compiler. A dot in a name is an underscore in the module's.
PEERS = {
    "torch": ("torch",),
    "torch.compile": ("torch", COMPILER),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino",),
    "jax": ("jax",),
    "sklearn": ("sklearn",),
    "opencv": ("cv2",),
}


class Peer(Protocol):
    """What a peer's module provides."""

    version: str
    note: str  # what a reader of its times must know, or empty

    def prepare(self, case: Case, inputs: Inputs, threads: int) -> Callable[[], Any] | None:
        """Make the call to be timed; None if the peer has no such operation."""

    def to_numpy(self, result: Any) -> Array:
        """Convert what the call returns, for the agreement check."""


def as_array(peer: Peer, case: Case, result: Any) -> Array:
    """What a peer's call returned: one array, also where the peer returns a pair."""
    if isinstance(result, tuple):
        return case.as_array(tuple(map(peer.to_numpy, result)))
    return peer.to_numpy(result)


def installed(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Which of the peers in `names` can be had here, and one line for each that cannot; imports nothing."""
    found, skipped = [], []
    for name in names:
        missing = next((one for one in PEERS[name] if not _is_here(one)), None)
        if missing is None:
            found.append(name)
        else:
            subject = name if missing == name else f"{name}: {missing}"
            skipped.append(f"{subject}: not installed, skipped")
    return found, skipped


def _is_here(name: str) -> bool:
    return (shutil.which if name == COMPILER else importlib.util.find_spec)(name) is not None


def load(names: Iterable[str]) -> tuple[dict[str, Peer], list[str]]:
    """Import NumPy's adapter and those in `names` that are installed.

    Returns
    -------
    peers : dict of str to Peer
        NumPy first.
    skipped : list of str
        One line for each peer left out.
    """
    found, skipped = installed(names)
    modules = {name: f"{__name__}.{name.replace('.', '_')}" for name in ("numpy", *found)}
    return {name: cast("Peer", importlib.import_module(module)) for name, module in modules.items()}, skipped


def affine(y: Any, weight: Any = None, bias: Any = None) -> Any:
    """``y * weight + bias`` in whatever arithmetic `y` brings along."""
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def trailing_order(case: Case) -> tuple[int, ...]:
    """Order of axes that puts the normalised ones last, for peers that know no other place."""
    return (*(a for a in range(len(case.shape)) if a not in case.axes), *case.axes)


def channel_order(case: Case) -> tuple[int, ...]:
    """Order of axes that puts the channels second, for peers that know no other place."""
    assert case.channel_axis is not None
    return (0, case.channel_axis, *(a for a in range(1, len(case.shape)) if a != case.channel_axis))


def groups(case: Case) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape of x with its channels split into groups, and the axes that the statistics of a group are over."""
    c, n = case.channel_axis, case.settings["num_groups"]
    assert c is not None
    shape = (*case.shape[:c], n, case.shape[c] // n, *case.shape[c + 1 :])
    return shape, tuple(a for a in range(1, len(shape)) if a != c)


def windows(squares: Any, case: Case, pad: Callable[..., Any]) -> list[Any]:
    """The squares of each channel in a window, as views of what `pad` makes: one array for each place in it."""
    axis, size = case.channel_axis, case.settings["size"]
    assert axis is not None
    padded = pad(squares, [(size // 2, (size - 1) // 2) if a == axis else (0, 0) for a in range(squares.ndim)])
    place = (slice(None),) * axis
    return [padded[(*place, slice(i, i + squares.shape[axis]))] for i in range(size)]


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """Order of axes that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))
