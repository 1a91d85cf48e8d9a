"""Checks of what callers pass: each returns the value in the form that the rest works with, or raises.

Every error names the argument, what came and what was expected, and is raised before anything is written.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm._kernels import rows

try:
    from numpy.exceptions import AxisError
except ImportError:  # NumPy 1.24
    from numpy import AxisError  # type: ignore[attr-defined,no-redef]

_NATIVE = {np.dtype(np.float32): rows.F32, np.dtype(np.float64): rows.F64, np.dtype(np.float16): rows.F16}
_SUPPORTED = "float16, bfloat16, float32 or float64"


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    return dtype.name == "bfloat16" and dtype.itemsize == 2


def is_supported(dtype: np.dtype[Any]) -> bool:
    """Whether the kernels take this dtype, in native byte order."""
    return dtype in _NATIVE or _is_bfloat16(dtype)


def element_type(dtype: np.dtype[Any]) -> int:
    """The kernels' code of a supported dtype."""
    return rows.BF16 if _is_bfloat16(dtype) else _NATIVE[dtype]


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same dtype in this machine's byte order."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _array(value: ArrayLike, name: str) -> NDArray[Any]:
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
    array = _array(x, name)
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


def as_output(out: Any, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """A writeable ndarray of x's shape and a supported float dtype, or None."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out is a {type(out).__name__}, expected an unmasked numpy.ndarray")
    if not is_supported(native(out.dtype)):
        raise TypeError(f"out has dtype {out.dtype}, expected {_SUPPORTED}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}, the shape of x")
    if not out.flags.writeable:
        raise ValueError("out is read-only, expected a writeable array")
    return out


def as_axes(axis: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """Distinct axes from 0 to ndim - 1, in rising order."""
    given: tuple[int, ...]
    try:
        given = (operator.index(axis),)  # type: ignore[arg-type]
    except TypeError:
        if not isinstance(axis, (tuple, list)):
            raise TypeError(f"axis is a {type(axis).__name__}, expected an int or a tuple of ints") from None
        try:
            given = tuple(operator.index(one) for one in axis)
        except TypeError:
            raise TypeError(f"axis is {axis!r}, expected an int or a tuple of ints") from None
    if not given:
        raise ValueError("axis is empty, expected at least one axis")
    for one in given:
        if not -ndim <= one < ndim:
            raise AxisError(one, ndim, "axis")
    axes = tuple(sorted(one % ndim for one in given))
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis is {axis!r}, which names an axis of x twice (x has {ndim} dimensions)")
    return axes


def as_eps(eps: float) -> float:
    """A finite float, at least 0."""
    try:
        if isinstance(eps, (str, bytes, bytearray)):  # float() would parse them
            raise TypeError
        value = float(eps)
    except (TypeError, ValueError):
        raise TypeError(f"eps is {eps!r}, expected a number") from None
    except OverflowError:
        value = float("inf")
    if not 0 <= value < float("inf"):
        raise ValueError(f"eps is {eps!r}, expected a finite number >= 0")
    return value


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
    array = _array(value, name)
    if array.dtype.kind not in "iub" and not is_supported(native(array.dtype)):
        raise TypeError(f"{name} has dtype {array.dtype}, expected {_SUPPORTED} (or an integer or bool)")
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
