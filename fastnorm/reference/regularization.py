"""Dropout, and the random bits that decide it: Philox4x32-10, as its paper writes it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm.reference import _steps

Words = NDArray[np.uint64]


def dropout(x: ArrayLike, p: float = 0.5, *, training: bool = True, rng: Any = None, return_mask: bool = False) -> Any:
    """x / (1 - p) where an element is kept, 0 where it is dropped; see `fastnorm.dropout`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.dropout([1.0, 2.0, 3.0, 4.0], p=0.5, rng=1)
    array([2., 4., 6., 0.])
    """
    array = np.asarray(x)
    values, dtype = array.astype(np.float64), np.dtype(np.float64) if array.dtype.kind in "iub" else array.dtype
    if training:
        key = int(np.random.default_rng(rng).integers(2**64, dtype=np.uint64))
        mask = kept(values.size, p, key).reshape(values.shape)
    else:
        p, mask = 0.0, np.ones(values.shape, np.bool_)
    y = np.zeros(values.shape)
    if p < 1:
        y[mask] = values[mask] / (1 - p)
    y = _steps.rounded(y, dtype)
    return (y, mask) if return_mask else y


def kept(n: int, p: float, key: int) -> NDArray[np.bool_]:
    """Which of n elements are kept: element 64 g + 16 w + l where word w of counter 16 g + l is at least p 2³²."""
    if p in (0, 1):
        return np.full(n, p == 0)
    threshold = min(max(round(p * 2**32), 1), 2**32 - 1)
    counter = np.arange((n + 63) // 64 * 16, dtype=np.uint64).reshape(-1, 16)
    zero = np.zeros_like(counter)
    words = philox([counter & _LOW, counter >> _HALF, zero, zero], [key % 2**32, key // 2**32])
    elements: Words = np.stack(words, axis=1).ravel()[:n]
    return elements >= threshold


def philox(counter: list[Words], key: list[int]) -> list[Words]:
    """The four words of 32 bits that Philox4x32-10 makes of four words of a counter and two of a key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = product1 >> _HALF ^ c1 ^ np.uint64(k0), product1 & _LOW
        c2, c3 = product0 >> _HALF ^ c3 ^ np.uint64(k1), product0 & _LOW
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)
