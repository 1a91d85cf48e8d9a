"""Checks of what callers pass: each returns the value in the form that the rest works with, or raises.

Every error names the argument, what came and what was expected, and is raised before anything is written.
"""

import math
import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm._kernels import views

try:
    from numpy.exceptions import AxisError
except ImportError:  # NumPy 1.24
    from numpy import AxisError  # type: ignore[attr-defined,no-redef]

_NATIVE = {np.dtype(np.float32): views.F32, np.dtype(np.float64): views.F64, np.dtype(np.float16): views.F16}
_SUPPORTED = "float16, bfloat16, float32 or float64"


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    return dtype.itemsize == 2 and dtype.name == "bfloat16"


def is_supported(dtype: np.dtype[Any]) -> bool:
    """Whether the kernels take this dtype, in native byte order."""
    return dtype in _NATIVE or is_bfloat16(dtype)


def element_type(dtype: np.dtype[Any]) -> int:
    """The kernels' code of a supported dtype."""
    return _NATIVE.get(dtype, views.BF16)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same dtype in this machine's byte order."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def as_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """An ndarray of any dtype."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be ignored; pass {name}.filled(...) or {name}.data"
        )
    try:
        return np.asarray(value)
    except ValueError as error:  # nested lists of unequal length
        raise ValueError(f"{name} is no array: {error}") from None


def as_input(x: ArrayLike, name: str = "x") -> NDArray[Any]:
    """An ndarray of a supported float, an integer or a bool dtype."""
    array = as_array(x, name)
    if not is_supported(native(array.dtype)) and array.dtype.kind not in "iub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected {_SUPPORTED} (or an integer or bool)")
    return array


def as_result_dtype(dtype: DTypeLike | None, out: NDArray[Any] | None, x: NDArray[Any]) -> np.dtype[Any]:
    """The result's dtype: `dtype`, `out`'s, x's, or float64 for integers."""
    if dtype is None:
        if out is not None:
            return native(out.dtype)
        return np.dtype(np.float64) if x.dtype.kind in "iub" else native(x.dtype)
    try:
        result = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        raise TypeError(f"dtype is {dtype!r}, expected {_SUPPORTED}") from None
    if not is_supported(native(result)):
        raise TypeError(f"dtype is {result}, expected {_SUPPORTED}")
    if out is not None and native(out.dtype) != native(result):
        raise TypeError(f"dtype is {result}, but out has dtype {out.dtype}: expected the same")
    return native(result)


def as_arithmetic(x: NDArray[Any], result_dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float64 if x is float64, an integer or a bool, or the result is float64; else float32."""
    is_f64 = x.dtype.kind in "iub" or np.float64 in (result_dtype, native(x.dtype))
    return np.dtype(np.float64 if is_f64 else np.float32)


def as_ndarray(value: Any, name: str) -> NDArray[Any]:
    """An array that the caller holds, of a supported float dtype: one to write into."""
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} has type {type(value).__name__}, expected an unmasked numpy.ndarray")
    if not is_supported(native(value.dtype)):
        raise TypeError(f"{name} has dtype {value.dtype}, expected {_SUPPORTED}")
    return value


def as_output(out: Any, shape: tuple[int, ...], name: str = "x") -> NDArray[Any] | None:
    """A writeable ndarray of the shape of x (`name`) and a supported float dtype, or None."""
    if out is None:
        return None
    out = as_ndarray(out, "out")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}, the shape of {name}")
    if not out.flags.writeable:
        raise ValueError("out is read-only, expected a writeable array")
    return out  # type: ignore[no-any-return]


def as_axis(axis: int, ndim: int, name: str) -> int:
    """An axis from 0 to ndim - 1."""
    if not -ndim <= axis < ndim:
        raise AxisError(axis, ndim, name)
    return axis % ndim


def as_axes(axis: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """Distinct axes from 0 to ndim - 1, in rising order."""
    given: tuple[int, ...]
    try:
        given = (operator.index(axis),)  # type: ignore[arg-type]
    except TypeError:
        if not isinstance(axis, (tuple, list)):
            raise TypeError(f"axis has type {type(axis).__name__}, expected an int or a tuple of ints") from None
        try:
            given = tuple(operator.index(one) for one in axis)
        except TypeError:
            raise TypeError(f"axis is {axis!r}, expected an int or a tuple of ints") from None
    if not given:
        raise ValueError("axis is empty, expected at least one axis")
    axes = tuple(sorted(as_axis(one, ndim, "axis") for one in given))
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis is {axis!r}, which names an axis of x twice (x has {ndim} dimensions)")
    return axes


def as_int(value: int, name: str) -> int:
    """An int, from whatever may index a list."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected an int") from None


def as_bool(value: bool, name: str) -> bool:
    """A bool, Python's or NumPy's: anything else that has a truth, such as "no", may mean another one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, expected a bool")
    return bool(value)


def as_float(value: float, name: str) -> float:
    """A float, from any real number."""
    if type(value) is float:  # beside a small norm, what follows takes long
        return value
    try:
        if isinstance(value, (str, bytes, bytearray)):  # float() would parse them
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, expected a number") from None
    except OverflowError:
        return float("inf")


def as_finite(value: float, name: str) -> float:
    """A float that is neither infinite nor NaN."""
    number = as_float(value, name)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value!r}, expected a finite number")
    return number


def as_eps(eps: float) -> float:
    """A finite float, at least 0."""
    value = as_float(eps, "eps")
    if not 0 <= value < float("inf"):
        raise ValueError(f"eps is {eps!r}, expected a finite number >= 0")
    return value


def as_probability(p: float, name: str) -> float:
    """A float from 0 to 1. A bool is refused: it is meant for another argument."""
    value = as_float(p, name)
    if isinstance(p, (bool, np.bool_)):
        raise TypeError(f"{name} is {p!r}, expected a number from 0 to 1")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {p!r}, expected a number from 0 to 1")
    return value


def as_key(rng: Any) -> int:
    """64 random bits, drawn at once from what `numpy.random.default_rng` takes."""
    if rng is None:  # the system's entropy, which default_rng takes 50 us to stretch into a generator
        return int.from_bytes(os.urandom(8), "little")
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        expected = "None, an int >= 0, or a SeedSequence, BitGenerator or Generator of numpy.random"
        raise type(error)(f"rng is {rng!r}, expected {expected}") from None
    return int(generator.integers(2**64, dtype=np.uint64))


def as_parameter(
    value: ArrayLike | None,
    name: str,
    x: NDArray[Any],
    axes: tuple[int, ...],
    arithmetic: np.dtype[Any],
) -> NDArray[Any] | None:
    """weight or bias in the arithmetic dtype and x's rank: either over `axes` alone, or broadcasting against x."""
    if value is None:
        return None
    array = as_input(value, name)
    expected = tuple(x.shape[axis] for axis in axes)
    if array.shape == expected:
        full = [1] * x.ndim
        for axis in axes:
            full[axis] = x.shape[axis]
        array = array.reshape(full)
    elif array.ndim != x.ndim or any(
        length not in (1, other) for length, other in zip(array.shape, x.shape, strict=True)
    ):
        over = f"axis {axes[0] - x.ndim}" if len(axes) == 1 else f"axes {tuple(axis - x.ndim for axis in axes)}"
        raise ValueError(
            f"{name} has shape {array.shape}, expected {expected} for x of shape {x.shape} normalised over {over}"
        )
    return array.astype(arithmetic, copy=not array.flags.aligned)
