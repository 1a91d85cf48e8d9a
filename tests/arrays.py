"""Inputs that the tests share: every dtype, and the same values in memory of every kind.

A layout is a function from a C-contiguous array to one of equal values elsewhere in memory. What a norm returns may not
depend on which it gets, save for the memory order that the contract names.
"""

import numpy as np

DTYPES = ["float32", "float64", "float16", "bfloat16"]


def dtype_of(name):
    """The dtype; bfloat16 comes from ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def normal(shape, dtype="float32", *, offset=0.0, scale=1.0, seed=0):
    """Normal values, the same for the same arguments."""
    values = np.random.default_rng(seed).standard_normal(shape) * scale + offset
    return values.astype(dtype_of(dtype))


def _padded(a):
    """Gaps after every row."""
    big = np.zeros((*a.shape[:-1], a.shape[-1] + 3), a.dtype)
    big[..., 1:-2] = a
    return big[..., 1:-2]


def _every_second(a):
    big = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    big[..., ::2] = a
    return big[..., ::2]


def _crop(a):
    """The middle of a larger array, of whose last two axes neither is whole."""
    cut = (..., *(slice(1, -1) for _ in a.shape[-2:]))
    big = np.zeros((*a.shape[:-2], *(n + 2 for n in a.shape[-2:])), a.dtype)
    big[cut] = a
    return big[cut]


def _unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    view = raw.view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


# Layouts in C order: the same memory order, so the same bits.
SAME_ORDER = {
    "contiguous": lambda a: a.copy(),
    "padded": _padded,
    "every second": _every_second,
    "crop": _crop,
    "reversed rows": lambda a: a[::-1].copy()[::-1],
    "reversed elements": lambda a: a[..., ::-1].copy()[..., ::-1],
    "unaligned": _unaligned,
    "read-only": _read_only,
}
OTHER_ORDER = {
    "Fortran": np.asfortranarray,
    "last axis outermost": lambda a: np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1),
    "axis 1 innermost": lambda a: a if a.ndim < 2 else np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1),
}
LAYOUTS = SAME_ORDER | OTHER_ORDER


def swapped(a):
    """The same values in the other byte order; bfloat16 has none."""
    return a.astype(a.dtype.newbyteorder())
