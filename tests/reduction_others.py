"""docs/reduction.md in plain NumPy: elementary functions, any p-norm, windows, images, dropout and the cell."""

import math
from fractions import Fraction

import numpy as np
from reduction_arithmetic import F32, F64, fma
from reduction_maps import normalize

from fastnorm.reference.regularization import philox  # as its paper has it, in plain NumPy

# Pairs: a number and what rounding it to float64 lost.
LN_2 = (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))
LOG2_E = (float.fromhex("0x1.71547652b82fep+0"), float.fromhex("0x1.777d0ffda0d24p-56"))
THIRD = (1 / 3, float.fromhex("0x1.5555555555555p-56"))


def lost(a, b):
    """What the rounded product lost."""
    return fma(a, b, -(a * b))


def pair_add(a, b):
    """Of a sum whose first term is the larger."""
    total = a + b
    return total, (a - total) + b


def pair_mul(a, b):
    """The product of two pairs."""
    return a[0] * b[0], lost(a[0], b[0]) + fma(a[1], b[0], a[0] * b[1])


def log2(x):
    """A pair; of positive, finite numbers."""
    raised = np.where(x < F64.normal, 54, 0)
    m, exponent = np.frexp(np.ldexp(x, raised))
    low = m < math.sqrt(0.5)
    m, exponent = np.where(low, 2 * m, m), np.where(low, exponent - 1, exponent)
    n, d = m - 1, m + 1
    dl, i = m - (d - 1), 1 / d
    s = n * i
    s = (s, ((n - s * d) - lost(s, d) - s * dl) * i)
    q = pair_mul(s, s)
    t = np.full(x.shape, 1 / 25)
    for k in range(23, 4, -2):
        t = fma(t, q[0], 1 / k)
    u = pair_add(THIRD[0], t * q[0])
    u = pair_mul(q, (u[0], u[1] + THIRD[1]))
    v = pair_add(1.0, u[0])
    logarithm = pair_mul(pair_mul(s, (v[0], v[1] + u[1])), (2 * LOG2_E[0], 2 * LOG2_E[1]))
    whole, rest = pair_add(np.float64(exponent - raised), logarithm[0])
    return whole, rest + logarithm[1]


def series(z):
    """(e^z - 1 - z) / z^2."""
    t = np.full(z.shape, 1 / math.factorial(14))
    for k in range(13, 1, -1):
        t = fma(t, z, 1 / math.factorial(k))
    return t


def exp2(high, low):
    """Of a pair."""
    low = np.where(np.abs(high) < 1100, low, 0.0)
    high = np.clip(high, -1100, 1100)
    n = np.rint(high)
    z = pair_mul(pair_add(high - n, low), LN_2)
    t = fma(z[0] * z[0], series(z[0]), fma(z[1], z[0], z[1]))
    s = pair_add(1.0, z[0])
    first = np.rint(n / 2)
    return np.ldexp(np.ldexp(s[0] + (s[1] + t), np.int64(first)), np.int64(n - first))


def exp(x):
    """e^x."""
    high = x * LOG2_E[0]
    return exp2(high, fma(x, LOG2_E[1], lost(x, LOG2_E[0])))


def power(x, y):
    """x^y; of what is not positive and finite as C has it."""
    x = np.asarray(x, np.float64)
    factor = np.clip(np.float64(y), -1e300, 1e300)
    logarithm = log2(np.abs(x))
    high = logarithm[0] * factor
    found = exp2(high, fma(logarithm[1], factor, lost(logarithm[0], factor)))
    odd = y % 2 == 1
    found = np.where((x < 0) & odd, -found, np.where((x < 0) & (y % 1 != 0), np.nan, found))
    return np.where(np.isfinite(x) & (x != 0), found, np.float_power(x, y))


def tanh(x):
    """In float64."""
    z = -2 * np.abs(x)
    e = np.where(np.abs(x) < 0.17, fma(z * z, series(z), z), exp(z) - 1)
    found = (0 - e) / (2 + e)
    return np.where(np.abs(x) < 2.0**-30, x, np.where(x < 0, 0 - found, found))


def sigmoid(x):
    """In float64."""
    e = exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1 + e)


ACTIVATIONS = {"tanh": tanh, "sigmoid": sigmoid, "relu": lambda x: np.where(x < 0, 0, x), "identity": lambda x: x}


def cell(a, gain, bias, activation, eps=1e-5):
    """What a recurrent cell makes of the sum of its products, (B, H)."""
    y, *_ = normalize(a, frozenset({1}), gain[None], bias[None], eps=eps)
    with np.errstate(all="ignore"):
        return ACTIVATIONS[activation](y.astype(np.float64)).astype(a.dtype)


def normalize_any(x, axes, p, eps=1e-12):
    """x / max(p-norm, eps) for a p that has no sum of its own."""
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        level = np.ones([1 if axis in axes else n for axis, n in enumerate(x.shape)])
        if p:
            level = normalize(wide, axes, kind="norm", p=math.copysign(np.inf, p))[3]
        powers = np.empty_like(wide)
        powers[...] = power(np.abs(wide) / level, p) if p else wide != 0
        sums = normalize(powers, axes, kind="powers")[3]
        root = np.where(np.isfinite(level) & (level > 0), power(sums, 1 / p), 1.0) if p else sums
        near = np.maximum(np.where(root == 0, 0.0, level), eps)
        unit = np.ldexp(1.0, -np.clip(np.frexp(near)[1], -1022, 1022))
        factor = 1 / np.maximum(level * unit * root, eps * unit)
        if x.dtype == np.float64:
            return normalize(x, axes, factor, kind="given", known=(np.zeros(()), unit))[0]
        rstd = np.minimum(unit * factor, F64.largest if eps > 0 else np.inf)
        return normalize(x, axes, kind="given", known=(np.zeros(()), rstd))[0]


def local_response_norm(x, size, alpha, beta, k, axis):
    """In x's own type."""
    c = F64 if x.dtype == np.float64 else F32
    x = np.moveaxis(x, axis, 0)
    y = np.empty_like(x)
    with np.errstate(all="ignore"):
        squares = x * x
        for channel in range(len(x)):
            window = squares[max(channel - size // 2, 0) : channel + (size - 1) // 2 + 1]
            total = window[0]
            for one in window[1:]:
                total = total + one
            base = fma(total, c.c(alpha / size), c.c(k))
            root = np.sqrt(base)
            known = {0.5: root, 0.75: root * np.sqrt(root), 1: base}
            y[channel] = x[channel] / (known[beta] if beta in known else power(base, beta).astype(c.c))
    return np.moveaxis(y, 0, axis)


def normalize_image(image, mean, std, scale, dtype):
    """Where the pixels lie."""
    known = [np.array([m / scale for m in mean]), np.array([scale / s for s in std])]
    wide = image.astype(dtype) if image.dtype == np.uint8 else image
    return normalize(wide, frozenset(range(image.ndim - 1)), kind="given", known=known, result=dtype)[0]


def dropout(x, p, key):
    """The result and the mask, of 64 bits of a key."""
    c = F64 if x.dtype == np.float64 else F32
    i = np.arange(x.size)
    counter = np.uint64(i // 64 * 16 + i % 16)
    zero = np.zeros_like(counter)
    words = philox([counter, zero, zero, zero], [key % 2**32, key // 2**32])
    word = np.choose(i % 64 // 16, words).reshape(x.shape)
    mask = word >= min(max(round(p * 2**32), 1), 2**32 - 1)
    exact = 1 / (1 - Fraction(p))
    high = c.c(float(exact))
    high = high if Fraction(float(high)) <= exact else np.nextafter(high, c.c(0))
    low = c.c(max(float(exact - Fraction(float(high))), float(high) * 2.0**-60))
    with np.errstate(all="ignore"):
        y = fma(x, np.full(x.shape, high), fma(x, np.full(x.shape, low), np.full(x.shape, c.c(-0.0))))
    return np.where(mask, y, c.c(0)), mask
