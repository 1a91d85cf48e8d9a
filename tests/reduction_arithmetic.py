"""Arithmetic of docs/reduction.md in NumPy: fused multiply-add, lanes and their tree, and what a type's range is.

NumPy rounds every operation once, as the page asks; what it lacks is a multiply-add that rounds once.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np


class Type(NamedTuple):
    """An arithmetic type, and the numbers of the page that depend on it."""

    c: type
    lanes: int
    low: float  # sums and variances that are plain
    high: float
    constant: float  # the least mean of constant data that is plain
    given: float  # the largest given mean that is not scaled
    least: float  # the smallest subnormal number
    top: int
    largest: float
    normal: float


F32 = Type(
    np.float32, 16, 2.0**-100, 2.0**126, 2.0**-40, 2.0**103, 2.0**-149, 127, float(np.finfo("f4").max), 2.0**-126
)
F64 = Type(
    np.float64, 8, 2.0**-900, 2.0**1000, 2.0**-450, 2.0**970, 2.0**-1074, 1023, float(np.finfo("f8").max), 2.0**-1022
)


def two_sum(a, b):
    """The rounded sum, and what it lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def odd(total, lost):
    """A float64 sum rounded to odd in place of even: no later rounding to fewer digits can then go wrong."""
    toward = np.nextafter(total, np.copysign(np.inf, lost))
    inexact = np.isfinite(total) & (lost != 0) & (np.asarray(total).view(np.int64) % 2 == 0)
    return np.where(inexact, toward, total)


def fma(a, b, c):
    """a * b + c of arrays of one float type, rounded once."""
    with np.errstate(all="ignore"):
        if np.result_type(a, b, c) == np.float32:
            # A product of two float32 has 48 digits: exact. The sum keeps 53, more than twice 24 and two.
            total, lost = two_sum(np.float64(a) * np.float64(b), np.float64(c))
            return odd(total, lost).astype(np.float32)
        return _fma64(*(np.asarray(one, np.float64) for one in (a, b, c)))


def _fma64(a, b, c):
    """By the algorithm of Boldo and Melquiond (2008), but by rational numbers near the ends of the range."""
    product, low = two_product(a, b)
    small, rest = two_sum(c, low)
    total, lost = two_sum(product, small)
    result = np.where(product == 0, product + c, total + odd(*two_sum(lost, rest)))
    sizes = np.abs(product), np.abs(c), np.abs(a), np.abs(b)
    most, least = np.maximum(np.maximum(sizes[0], sizes[1]), np.maximum(sizes[2], sizes[3])), np.float64(2.0**-900)
    zero = (a == 0) | (b == 0)
    plain = (most < 1 / least) & ((sizes[0] > least) | zero) & ((sizes[1] > least) | (c == 0))
    if plain.all():
        return result
    finite = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    result = np.where(finite, result, product + c)
    result, a, b, c, extreme = (np.array(one) for one in np.broadcast_arrays(result, a, b, c, finite & ~plain))
    for i in zip(*np.nonzero(np.atleast_1d(extreme)), strict=True):
        at = i if extreme.ndim else ()
        result[at] = exact_fma(float(a[at]), float(b[at]), float(c[at]))
    return result


def two_product(a, b):
    """The rounded product, and what it lost (Dekker)."""

    def split(x):
        big = x * 134217729.0  # 2^27 + 1
        high = big - (big - x)
        return high, x - high

    product = a * b
    (a_high, a_low), (b_high, b_low) = split(a), split(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def exact_fma(a, b, c):
    """By rational numbers: of finite float64 of any size."""
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c  # the sign of a zero
    try:
        return exact.numerator / exact.denominator  # Python rounds the quotient of integers once
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


def tree(lanes):
    """The sum of the lanes, axis 0: low half + high half, until one is left."""
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = lanes[:half] + lanes[half:]
    return lanes[0]


def exponent_of(value):
    """What frexp gives, an int."""
    return int(np.frexp(value)[1])


def half(n):
    """n / 2 towards 0, as C divides."""
    return int(n / 2)
