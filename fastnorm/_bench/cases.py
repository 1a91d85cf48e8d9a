"""The one table of benchmark cases, and how a case makes its inputs and its call.

The shapes are those of real models. Bench, check, tests and ``benchmarks/`` all read `CASES`: a
new norm adds its rows here, its parameters to `PARAMETERS`, and one entry to each peer.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import fastnorm
from fastnorm import reference

Array = NDArray[Any]

PARAMETERS = {"layer_norm": ("weight", "bias"), "rms_norm": ("weight",)}

# Away from zero, so that a kernel which loses the mean is seen; small enough for float16.
OFFSET = 3.0

# Random numbers cost more than the norms: a block of them is repeated. Its length is prime, so
# that no two rows are the same.
BLOCK = 65521


@dataclass(frozen=True)
class Inputs:
    """Arrays of one case.

    Attributes
    ----------
    x : ndarray
    parameters : mapping of str to ndarray
        Weight, bias, ..., by name.
    out : ndarray or None
        The reused result of an ``out`` case, shared by all contenders.
    """

    x: Array
    parameters: Mapping[str, Array]
    out: Array | None


@dataclass(frozen=True)
class Case:
    """One function on one shape.

    Parameters
    ----------
    function : str
        Name in `fastnorm` and in `fastnorm.reference`.
    shape : tuple of int
    dtype : str, optional
        Of input, parameters and result.
    mode : {"alloc", "out"}, optional
        Whether each call allocates its result or writes into a reused one.
    options : mapping, optional
        Further arguments. ``weight=None`` leaves out that parameter.
    """

    function: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    mode: Literal["alloc", "out"] = "alloc"
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def shape_text(self) -> str:
        """Shape as printed, such as ``4096x768``."""
        return "x".join(map(str, self.shape))

    @property
    def options_text(self) -> str:
        """Options as printed, such as ``axis=1``."""
        return ",".join(f"{name}={value}" for name, value in self.options.items())

    @property
    def id(self) -> str:
        """Unique name, such as ``layer_norm-4096x768-float32-alloc``."""
        parts = (self.function, self.shape_text, self.dtype, self.mode, self.options_text)
        return "-".join(filter(None, parts))

    @property
    def settings(self) -> dict[str, Any]:
        """All arguments but the arrays, with the defaults of the function filled in."""
        parameters = inspect.signature(getattr(reference, self.function)).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        return defaults | dict(self.options)

    @property
    def axes(self) -> tuple[int, ...]:
        """Normalised axes, non-negative and in the order of `shape`."""
        axis = self.settings["axis"]
        axes = (axis,) if isinstance(axis, int) else axis
        return tuple(sorted(a % len(self.shape) for a in axes))

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        """Shape of weight and bias."""
        return tuple(self.shape[a] for a in self.axes)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Parameters that this case passes as arrays."""
        return tuple(name for name in PARAMETERS[self.function] if name not in self.options)

    @property
    def bytes_moved(self) -> int:
        """Bytes of the input, the parameters and the result, each counted once."""
        parameters = len(self.parameter_names) * math.prod(self.parameter_shape)
        return numpy_dtype(self.dtype).itemsize * (2 * math.prod(self.shape) + parameters)

    def make_inputs(self) -> Inputs:
        """Arrays of this case, the same on every machine and in every run."""
        dtype = numpy_dtype(self.dtype)
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        block = rng.standard_normal(min(BLOCK, math.prod(self.shape))) + OFFSET
        parameters = {name: rng.uniform(0.5, 1.5, self.parameter_shape).astype(dtype) for name in self.parameter_names}
        x = np.resize(block.astype(dtype), self.shape)
        return Inputs(x, parameters, np.empty_like(x) if self.mode == "out" else None)

    def call(self, inputs: Inputs) -> Callable[[], Array]:
        """fastnorm's function bound to `inputs`, arrays passed by position as users do."""
        signature = inspect.signature(getattr(reference, self.function))
        bound = signature.bind(inputs.x, **inputs.parameters, **self.options)
        keywords = bound.kwargs if inputs.out is None else bound.kwargs | {"out": inputs.out}
        return functools.partial(getattr(fastnorm, self.function), *bound.args, **keywords)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of that name; bfloat16 is that of ml_dtypes."""
    scalar: Any = importlib.import_module("ml_dtypes").bfloat16 if name == "bfloat16" else name
    dtype: np.dtype[Any] = np.dtype(scalar)
    return dtype


def align(parameter: Array, axes: tuple[int, ...], ndim: int) -> Array:
    """View of a parameter along `axes` that broadcasts against an input of `ndim` axes."""
    if parameter.ndim == ndim:
        return parameter
    return np.expand_dims(parameter, tuple(a for a in range(ndim) if a not in axes))


def _table() -> tuple[Case, ...]:
    cases = (
        # Transformer activations, from one token to a long batch.
        Case("layer_norm", (1, 768)),
        Case("layer_norm", (128, 768)),
        Case("layer_norm", (4096, 768)),
        Case("layer_norm", (4096, 768), mode="out"),
        Case("layer_norm", (4096, 768), "float64"),
        Case("layer_norm", (2048, 4096)),
        Case("layer_norm", (2048, 4096), mode="out"),
        Case("layer_norm", (16384, 2048), mode="out"),
        # ViT-B/16 at 224 pixels.
        Case("layer_norm", (32, 197, 768), "float16", "out"),
        Case("layer_norm", (32, 197, 768), "bfloat16", "out"),
        # Channels-first feature maps: ConvNeXt, Restormer.
        Case("layer_norm", (8, 96, 56, 56), options={"axis": 1}),
        # Llama's hidden size, and query/key heads of 128.
        Case("rms_norm", (1, 4096)),
        Case("rms_norm", (512, 4096)),
        Case("rms_norm", (8192, 128)),
        Case("rms_norm", (4096, 4096), "float16"),
        # One statistic over a whole signal, with no weight to read beside it.
        Case("rms_norm", (1, 10_000_000), mode="out", options={"weight": None}),
    )
    if importlib.util.find_spec("ml_dtypes") is None:
        return tuple(case for case in cases if case.dtype != "bfloat16")
    return cases


CASES = _table()
