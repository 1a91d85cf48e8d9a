"""Checks of what the norms over channels take besides: the channel axis, parameters, running arrays, labels, groups.

As in `_arguments`, each returns the value in the form that the rest works with, or raises before anything is written.
What all these norms share is checked together, into one `Channels` that the other checks read.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments

Array = NDArray[Any]


class Channels(NamedTuple):
    """x with its channel axis, and how the result is to be made."""

    x: Array
    axis: int
    eps: float
    out: Array | None
    result_dtype: np.dtype[Any]
    arithmetic: np.dtype[Any]

    @property
    def number(self) -> int:
        """How many there are, C."""
        return int(self.x.shape[self.axis])

    @property
    def others(self) -> frozenset[int]:
        """The axes that share a statistic for each channel."""
        return frozenset(range(self.x.ndim)) - {self.axis}

    @property
    def spatial(self) -> frozenset[int]:
        """The axes that share a statistic for each sample and channel."""
        return self.others - {0}

    def elements(self, reduced: frozenset[int]) -> int:
        """How many elements share a statistic over these axes."""
        return math.prod(self.x.shape[axis] for axis in reduced)

    def spread(self, values: Array) -> Array:
        """(C,) or (N, C) values in x's rank, where they broadcast against it."""
        shape = [1] * self.x.ndim
        if values.ndim == 2:
            shape[0] = values.shape[0]
        shape[self.axis] = values.shape[-1]
        return values.reshape(shape)


def as_channels(
    x: ArrayLike,
    channel_axis: int,
    eps: float,
    out: Any,
    dtype: DTypeLike | None,
    *,
    per_sample: bool = False,
    name: str = "x",
) -> Channels:
    """The arguments of every norm over channels; `per_sample` where axis 0 has to be another one, that of samples."""
    array = arguments.as_input(x, name)
    axis = as_channel_axis(channel_axis, array, name, per_sample=per_sample)
    out = arguments.as_output(out, array.shape, name)
    result_dtype = arguments.as_result_dtype(dtype, out, array)
    arithmetic = arguments.as_arithmetic(array, result_dtype)
    return Channels(array, axis, arguments.as_eps(eps), out, result_dtype, arithmetic)


def as_channel_axis(channel_axis: int, x: Array, name: str, *, per_sample: bool) -> int:
    """A non-negative axis of x, and not that of samples where statistics are taken for each."""
    axis = arguments.as_int(channel_axis, "channel_axis")
    if per_sample and x.ndim < 2:
        raise ValueError(f"{name} has shape {x.shape}, expected at least the two axes of samples and channels")
    axis = arguments.as_axis(axis, x.ndim, "channel_axis")
    if per_sample and axis == 0:
        raise ValueError(
            f"channel_axis is {channel_axis}, the axis of samples of {name} of shape {x.shape}, expected another"
        )
    return axis


def as_parameter(value: ArrayLike | None, name: str, channels: Channels, *, per_sample: bool = False) -> Array | None:
    """weight or bias in the arithmetic dtype and x's rank: (C,), perhaps (N, C), or broadcasting against x."""
    if value is None:
        return None
    array = arguments.as_input(value, name)
    x = channels.x
    expected: list[tuple[int, ...]] = [(channels.number,)]
    if per_sample:
        expected.append((x.shape[0], channels.number))
    if array.shape in expected:
        array = channels.spread(array)
    elif array.ndim != x.ndim or any(
        length not in (1, other) for length, other in zip(array.shape, x.shape, strict=True)
    ):
        raise ValueError(
            f"{name} has shape {array.shape}, expected {' or '.join(map(str, expected))} "
            f"for x of shape {x.shape} with channels along axis {channels.axis}"
        )
    return array.astype(channels.arithmetic, copy=not array.flags.aligned)


def as_running(running_mean: Any, running_var: Any, channels: Channels, *, update: bool) -> tuple[Array, Array] | None:
    """Both running arrays, (C,) each, or None: apart from `out`, and where they are updated from x and each other."""
    if running_mean is None and running_var is None:
        return None
    given = {"running_mean": running_mean, "running_var": running_var}
    for name, value in given.items():
        if value is None:
            raise ValueError(f"{name} is None, expected running_mean and running_var together, or neither")
        array = arguments.as_ndarray(value, name)
        if array.shape != (channels.number,):
            raise ValueError(
                f"{name} has shape {array.shape}, expected {(channels.number,)} "
                f"for x of shape {channels.x.shape} with channels along axis {channels.axis}"
            )
        if update and not array.flags.writeable:
            raise ValueError(f"{name} is read-only, expected a writeable array: this call updates it")
    pairs: list[tuple[str, str, Array | None]] = [(name, "out", channels.out) for name in given]
    if update:
        pairs += [("running_mean", "running_var", running_var), *((name, "x", channels.x) for name in given)]
    for name, other_name, other in pairs:
        if other is not None and _overlap(given[name], other):
            raise ValueError(f"{name} overlaps {other_name} in memory, expected arrays apart")
    return running_mean, running_var


def _overlap(a: Array, b: Array) -> bool:
    """Whether two arrays share memory: exactly, for they may lie interleaved in one, unless that takes long to tell."""
    try:
        return np.shares_memory(a, b, max_work=10_000)  # type: ignore[arg-type]  # NumPy's stub knows two values
    except RuntimeError:  # numpy.exceptions.TooHardError, which has no such name in NumPy 1.24
        return True


def as_momentum(momentum: float) -> float:
    """A float from 0 to 1."""
    value = arguments.as_float(momentum, "momentum")
    if not 0 <= value <= 1:
        raise ValueError(f"momentum is {momentum!r}, expected a number from 0 to 1")
    return value


def as_running_ddof(running_ddof: int) -> int:
    """0 or 1."""
    value = arguments.as_int(running_ddof, "running_ddof")
    if value not in (0, 1):
        raise ValueError(f"running_ddof is {running_ddof!r}, expected 0 or 1")
    return value


def as_num_groups(num_groups: int, channels: Channels) -> int:
    """A divisor of the number of channels."""
    value = arguments.as_int(num_groups, "num_groups")
    if value < 1 or channels.number % value:
        raise ValueError(
            f"num_groups is {value}, expected a positive divisor of {channels.number}, the number of channels "
            f"of x of shape {channels.x.shape} along axis {channels.axis}"
        )
    return value


def as_chosen(
    labels: ArrayLike, weight: ArrayLike | None, bias: ArrayLike | None, channels: Channels
) -> tuple[Array | None, Array | None]:
    """The rows of weight and bias (K, C) that labels (N,) choose, in the arithmetic dtype and x's rank."""
    tables: dict[str, Array] = {}
    for name, value in (("weight", weight), ("bias", bias)):
        if value is None:
            continue
        table = tables[name] = arguments.as_input(value, name)
        if table.ndim != 2 or table.shape[1] != channels.number:
            raise ValueError(
                f"{name} has shape {table.shape}, expected (K, {channels.number}) "
                f"for x of shape {channels.x.shape} with channels along axis {channels.axis}"
            )
    lengths = {len(table) for table in tables.values()}
    if len(lengths) == 2:
        raise ValueError(f"bias has shape {tables['bias'].shape}, expected {tables['weight'].shape}, the one of weight")

    chosen = arguments.as_array(labels, "labels")
    if chosen.dtype.kind not in "iu":
        raise TypeError(f"labels has dtype {chosen.dtype}, expected integers")
    if chosen.shape != channels.x.shape[:1]:
        raise ValueError(
            f"labels has shape {chosen.shape}, expected {channels.x.shape[:1]} for x of shape {channels.x.shape}"
        )
    end = min(lengths, default=math.inf)
    wrong = chosen[(chosen < 0) | (chosen >= end)]
    if wrong.size:
        raise ValueError(f"labels has {wrong[0]}, expected integers in [0, {end}), the rows of weight and bias")
    rows = {name: channels.spread(table[chosen]).astype(channels.arithmetic) for name, table in tables.items()}
    return rows.get("weight"), rows.get("bias")


def as_style(style: ArrayLike, channel_axis: int, channels: Channels) -> tuple[Array, int]:
    """An array of content's channels and of its samples, or one for all; with its own channel axis."""
    array = arguments.as_input(style, "style")
    axis = as_channel_axis(channel_axis, array, "style", per_sample=True)
    samples = channels.x.shape[0]
    if array.shape[0] not in (1, samples) or array.shape[axis] != channels.number:
        raise ValueError(
            f"style has shape {array.shape}, expected {samples} samples or 1, and {channels.number} channels "
            f"along axis {axis}, for content of shape {channels.x.shape}"
        )
    return array, axis
