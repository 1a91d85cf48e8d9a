"""The one table of benchmark cases, and how a case makes its inputs and its call.

The shapes are those of real models. Bench, check, tests and ``benchmarks/`` all read `CASES`: a
new norm adds its rows here, its parameters to `PARAMETERS` (and `KEPT`, if it knows channels), and
one entry to each peer.
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

# Which axes of x each array beside it lies along: "axis" are the normalised ones, "x" all; N counts samples, C
# channels, F features along the last axis (as many as a cell has units) and K, which is no axis of x, styles.
PARAMETERS: dict[str, dict[str, str]] = {
    "layer_norm": {"weight": "axis", "bias": "axis"},
    "rms_norm": {"weight": "axis"},
    "batch_norm": {"running_mean": "C", "running_var": "C", "weight": "C", "bias": "C"},
    "instance_norm": {"weight": "C", "bias": "C"},
    "conditional_instance_norm": {"labels": "N", "weight": "KC", "bias": "KC"},
    "adaptive_instance_norm": {"style": "x"},
    "group_norm": {"weight": "C", "bias": "C"},
    "standardize": {},
    "min_max_scale": {},
    "normalize": {},
    "moments": {},
    "dropout": {},
    "local_response_norm": {},
    "layer_norm_rnn_cell": {"h": "x", "weight_ih": "FF", "weight_hh": "FF", "gain": "F", "bias": "F"},
    "normalize_image": {"mean": "C", "std": "C"},
}

# What has statistics of its own where no `axis` says it. Group norm splits C, too.
KEPT = {
    "batch_norm": "C",
    "instance_norm": "NC",
    "conditional_instance_norm": "NC",
    "adaptive_instance_norm": "NC",
    "group_norm": "N",
    "local_response_norm": "N",
    "layer_norm_rnn_cell": "N",
}

STYLES = 32

# Of the generator that a call is given where it draws random numbers.
SEED = 0

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
        Weight, bias, ..., by name. Running statistics are read or, in training, updated by all contenders.
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
        Of input, parameters and result; beside images of uint8 the others are float32.
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
    def layout_text(self) -> str:
        """Order of the axes, such as ``NHWC``, where one of them holds channels."""
        if self.channel_axis is None or self.function == "normalize_image":  # whose option it is
            return ""
        axes = ["N", *"DHW"[5 - len(self.shape) :]]
        return "".join([*axes[: self.channel_axis], "C", *axes[self.channel_axis :]])

    @property
    def options_text(self) -> str:
        """Layout and options as printed, such as ``NCHW,training=True`` or ``axis=(0,2,3)``."""
        options = (f"{name}={value}" for name, value in self.options.items() if name != "channel_axis")
        return ",".join(filter(None, [self.layout_text, *options])).replace(" ", "")

    @property
    def id(self) -> str:
        """Unique name, such as ``layer_norm-4096x768-float32-alloc``."""
        parts = (self.function, self.shape_text, self.dtype, self.mode, self.options_text)
        return "-".join(filter(None, parts))

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """All arguments but the arrays, with the defaults of the function filled in."""
        parameters = inspect.signature(getattr(reference, self.function)).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        return defaults | dict(self.options)

    @functools.cached_property
    def channel_axis(self) -> int | None:
        """Axis of the channels, non-negative; None for functions that know of none."""
        axis: int | None = -1 if self.function == "normalize_image" else self.settings.get("channel_axis")
        return None if axis is None else axis % len(self.shape)

    @functools.cached_property
    def axes(self) -> tuple[int, ...]:
        """Axes that share a statistic, if any, not negative, in the order of `shape`; groups count as all channels."""
        if self.function == "normalize_image":
            return ()
        if self.function in KEPT:
            kept = self._along(KEPT[self.function])
            return tuple(a for a in range(len(self.shape)) if a not in kept)
        axis = self.settings.get("axis", ())
        axes = (axis,) if isinstance(axis, int) else axis
        return tuple(sorted(a % len(self.shape) for a in axes))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Parameters that this case passes as arrays."""
        return tuple(name for name in PARAMETERS[self.function] if name not in self.options)

    def parameter_axes(self, name: str) -> tuple[int | None, ...]:
        """Axis of x that each axis of a parameter lies along; None for the styles."""
        word = PARAMETERS[self.function][name]
        if word == "x":
            return tuple(range(len(self.shape)))
        return self.axes if word == "axis" else self._along(word)

    def parameter_shape(self, name: str) -> tuple[int, ...]:
        """Shape of a parameter. A style has half of the content's height and width."""
        lengths = (STYLES if a is None else self.shape[a] for a in self.parameter_axes(name))
        if name == "style":
            return tuple(n // 2 if a in self.axes else n for a, n in enumerate(lengths))
        return tuple(lengths)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the result; of `moments`, mean and variance along an axis of their own after x's."""
        if self.function == "moments":
            return (*(1 if a in self.axes else n for a, n in enumerate(self.shape)), 2)
        return (*self.shape[:-3], self.shape[-1], *self.shape[-3:-1]) if self.channels_move else self.shape

    @property
    def channels_move(self) -> bool:
        """Whether the result is an image whose channels come before its rows."""
        return self.settings.get("layout") == "HWC->CHW"

    @property
    def float_dtype(self) -> str:
        """Name of the parameters' dtype and, `moments` aside, the result's."""
        return "float32" if self.dtype == "uint8" else self.dtype

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """Dtype of fastnorm's result."""
        return numpy_dtype("float64" if self.function == "moments" else self.float_dtype)

    @property
    def bytes_moved(self) -> int:
        """Bytes of the input, the parameters and the result, each counted once."""
        parameters = sum(math.prod(self.parameter_shape(name)) for name in self.parameter_names)
        result = math.prod(self.result_shape) * self.result_dtype.itemsize
        inputs = math.prod(self.shape) * numpy_dtype(self.dtype).itemsize
        return inputs + parameters * numpy_dtype(self.float_dtype).itemsize + result

    def make_inputs(self) -> Inputs:
        """Arrays of this case, the same on every machine and in every run."""
        dtype = numpy_dtype(self.float_dtype)
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        length = min(BLOCK, math.prod(self.shape))
        if self.dtype == "uint8":
            block = rng.integers(256, size=length, dtype=np.uint8)
        else:
            block = (rng.standard_normal(length) + OFFSET).astype(dtype)
        # Matrices of one sign would only multiply the mean.
        centre = dict.fromkeys(("weight_ih", "weight_hh"), 1.0)
        parameters = {
            name: rng.integers(STYLES, size=self.parameter_shape(name), dtype=np.int32)
            if name == "labels"
            else (rng.uniform(0.5, 1.5, self.parameter_shape(name)) - centre.get(name, 0.0)).astype(dtype)
            for name in self.parameter_names
        }
        out = np.empty(self.result_shape, self.result_dtype) if self.mode == "out" else None
        return Inputs(np.resize(block, self.shape), parameters, out)

    def call(self, inputs: Inputs) -> Callable[[], Any]:
        """fastnorm's function bound to `inputs`, arrays passed by position as users do."""
        signature = inspect.signature(getattr(reference, self.function))
        bound = signature.bind(inputs.x, **inputs.parameters, **self.options)
        keywords = bound.kwargs if inputs.out is None else bound.kwargs | {"out": inputs.out}
        if "rng" in signature.parameters:
            keywords = keywords | {"rng": np.random.default_rng(SEED)}
        call = functools.partial(getattr(fastnorm, self.function), *bound.args, **keywords)
        return (lambda: mean_and_variance(call())) if self.function == "moments" else call

    def as_array(self, result: Any) -> Array:
        """What a call returned; mean and variance as one array of `result_shape`."""
        return np.stack(result, axis=-1).reshape(self.result_shape) if isinstance(result, tuple) else result

    def like_input(self, result: Array) -> Array:
        """View of a result with its axes in the order of x's."""
        return np.moveaxis(result, -3, -1) if self.channels_move else result

    def align(self, inputs: Inputs) -> dict[str, Array]:
        """Parameters as views that broadcast against x; labels and what they choose from are left as they are."""
        if "labels" in inputs.parameters:
            return dict(inputs.parameters)
        return {name: align(p, self.parameter_axes(name), len(self.shape)) for name, p in inputs.parameters.items()}

    def _along(self, letters: str) -> tuple[int | None, ...]:
        axes = {"N": 0, "C": self.channel_axis, "K": None, "F": len(self.shape) - 1}
        return tuple(axes[letter] for letter in letters)


def mean_and_variance(moments: Any) -> tuple[Array, Array]:
    """What other libraries return for `moments`."""
    return moments.mean, moments.var()


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of that name; bfloat16 is that of ml_dtypes."""
    scalar: Any = importlib.import_module("ml_dtypes").bfloat16 if name == "bfloat16" else name
    dtype: np.dtype[Any] = np.dtype(scalar)
    return dtype


def align(parameter: Any, axes: tuple[int | None, ...], ndim: int) -> Any:
    """View of a parameter (of any library) along `axes` that broadcasts against an input of `ndim` axes."""
    if parameter.ndim == ndim:
        return parameter
    lengths = iter(parameter.shape)
    return parameter.reshape([next(lengths) if a in axes else 1 for a in range(ndim)])


def _table() -> tuple[Case, ...]:
    training, groups, last = {"training": True}, {"num_groups": 32}, {"channel_axis": -1}
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
        # Llama's hidden size, and query/key heads of 128.
        Case("rms_norm", (1, 4096)),
        Case("rms_norm", (512, 4096)),
        Case("rms_norm", (8192, 128)),
        Case("rms_norm", (4096, 4096), "float16"),
        # One statistic over a whole signal, with no weight to read beside it.
        Case("rms_norm", (1, 10_000_000), mode="out", options={"weight": None}),
        # Channels-first feature maps: ConvNeXt, Restormer.
        Case("layer_norm", (8, 96, 56, 56), options={"axis": 1}),
        Case("layer_norm", (8, 768, 7, 7), options={"axis": 1}),
        Case("layer_norm", (32, 256, 64, 64), mode="out", options={"axis": 1}),
        # The first and last stages of a residual network in training, then in use.
        Case("batch_norm", (32, 64, 56, 56), options=training),
        Case("batch_norm", (32, 56, 56, 64), options=training | last),
        Case("batch_norm", (64, 512, 7, 7), options=training),
        Case("batch_norm", (64, 7, 7, 512), options=training | last),
        Case("batch_norm", (32, 256, 64, 64), mode="out", options=training),
        Case("batch_norm", (1, 64, 112, 112)),
        Case("batch_norm", (32, 256, 14, 14)),
        Case("batch_norm", (32, 14, 14, 256), options=last),
        Case("batch_norm", (32, 256, 64, 64), mode="out"),
        # Style transfer.
        Case("instance_norm", (8, 64, 64, 64)),
        Case("instance_norm", (8, 64, 64, 64), options=last),
        Case("instance_norm", (32, 256, 64, 64), mode="out"),
        Case("conditional_instance_norm", (16, 64, 64, 64)),
        Case("adaptive_instance_norm", (4, 256, 64, 64)),
        # The denoiser of a latent diffusion model.
        Case("group_norm", (4, 320, 32, 32), options=groups),
        Case("group_norm", (4, 32, 32, 320), options=groups | last),
        Case("group_norm", (32, 256, 64, 64), mode="out", options=groups),
        # Tables of features, and points in space.
        Case("standardize", (100_000, 32), "float64"),
        Case("standardize", (100_000, 32)),
        Case("standardize", (1_000_000, 3)),
        Case("standardize", (1_000_000, 50)),
        Case("min_max_scale", (1_000_000, 50)),
        Case("min_max_scale", (1_000_000, 50), mode="out"),
        Case("moments", (8, 96, 56, 56), options={"axis": (0, 2, 3)}),
        # Embeddings, and the features of each pixel.
        Case("normalize", (4096, 768)),
        Case("normalize", (4096, 768), mode="out"),
        Case("normalize", (4096, 768), options={"p": 1}),
        Case("normalize", (8, 64, 56, 56)),
        # A large hidden layer, and a short sequence of tokens.
        Case("dropout", (4096, 4096), options={"p": 0.5}),
        Case("dropout", (128, 768), options={"p": 0.1}),
        # The first stage of AlexNet, and a recurrent network of some size.
        Case("local_response_norm", (8, 96, 55, 55), options={"size": 5}),
        Case("local_response_norm", (8, 96, 55, 55), mode="out", options={"size": 5}),
        Case("local_response_norm", (8, 55, 55, 96), options={"size": 5} | last),
        Case("local_response_norm", (8, 55, 55, 96), mode="out", options={"size": 5} | last),
        Case("layer_norm_rnn_cell", (256, 512)),
        # Photographs on their way into a classifier and a detector, and frames of a video.
        Case("normalize_image", (224, 224, 3), "uint8"),
        Case("normalize_image", (640, 640, 3), "uint8"),
        Case("normalize_image", (640, 640, 3), "uint8", options={"layout": "HWC->HWC"}),
        Case("normalize_image", (1080, 1920, 3), "uint8"),
    )
    if importlib.util.find_spec("ml_dtypes") is None:
        return tuple(case for case in cases if case.dtype != "bfloat16")
    return cases


CASES = _table()
