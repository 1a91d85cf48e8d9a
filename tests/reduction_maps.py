"""docs/reduction.md in plain NumPy: from moments to statistics, their rescue, and the apply. See reduction.py."""

from typing import Any, NamedTuple

import numpy as np
from reduction import (
    LARGEST,
    MAGNITUDES,
    MOMENTS,
    POWERS,
    RANGE,
    SMALLEST,
    SQUARES,
    Moments,
    columns,
    leaves_of,
    merged,
    rows,
)
from reduction_arithmetic import F32, F64, exponent_of, fma, half
from reduction_words import as_words, from_words, make_plan


class Problem(NamedTuple):
    """What a statistic is for; n is its number of elements."""

    kind: str  # centered, uncentered, squares, standardized, given, norm, powers or extremes
    n: int
    c: Any
    eps: float = 0.0
    ddof: int = 0
    p: float = 2.0
    high: float = np.inf  # extremes: the largest result

    @property
    def sums(self):
        """What the data is asked for."""
        norms = {1: MAGNITUDES, 2: SQUARES, np.inf: LARGEST, -np.inf: SMALLEST}
        return {"squares": SQUARES, "powers": POWERS, "extremes": RANGE, "norm": norms.get(self.p)}.get(
            self.kind, MOMENTS
        )

    @property
    def inverse_n(self):
        """Of the variance."""
        return 1 / np.float64(self.n - self.ddof)


class Statistic(NamedTuple):
    """What maps a statistic's elements; reported are mean, rstd and m2."""

    mean: Any
    lo: Any
    rstd: Any
    exponent: int = 0
    instead: str = ""  # "nan" or "zeros" where the data is not finite
    span: Any = 0.0
    reported: tuple = (np.nan,) * 3


def scaled(x, exponent, c):
    """x * 2^-exponent, in C."""
    exponent = np.minimum(exponent, 2 * (c.top - 1))
    first = np.trunc(exponent / 2).astype(np.int64)
    return x.astype(c.c) * np.ldexp(1.0, -first).astype(c.c) * np.ldexp(1.0, first - exponent).astype(c.c)


def split(mean, mean_lo, c):
    """A mean as a value of C, and the rest."""
    rounded = np.float64(c.c(mean))
    return rounded, (mean - rounded) + mean_lo if np.isfinite(rounded) else np.float64(0)


def of_moments(problem, moments, variance, rstd):
    """The statistic of a variance."""
    if problem.kind == "standardized":
        u = 2.0**-52
        b = (moments.count * moments.mean) * u
        if variance <= (moments.count * u) * variance + b * b:
            rstd = np.float64(0)
    centered = problem.kind in ("centered", "standardized")
    mean, lo = split(moments.mean, moments.mean_lo, problem.c) if centered else (np.float64(0), np.float64(0))
    return Statistic(mean, lo, rstd, reported=(moments.mean, rstd, moments.m2))


def of_divisor(divisor, mean, exponent, c, **rest):
    """The statistic that divides x * 2^-exponent - mean."""
    if c is F64 and (0 < divisor < 2.0**-1000 or 2.0**1000 < divisor < np.inf):
        k = exponent_of(divisor) - 1
        divisor, mean, exponent = np.ldexp(divisor, -k), np.ldexp(mean, -k), exponent + k
    rstd = min(1 / divisor, F64.largest) if divisor > 0 else 1 / divisor
    return Statistic(mean, np.float64(0), rstd, exponent, **rest)


def of_norm(norm, exponent, problem):
    """The statistic that divides by a norm of x * 2^-exponent."""
    least, reported = np.ldexp(np.float64(problem.eps), -exponent), (0.0, 0.0, np.ldexp(norm, exponent))
    return of_divisor(least if norm <= least else norm, np.float64(0), exponent, problem.c, reported=reported)


def of_range(moments, c):
    """The statistic that takes the smallest value to 0 and the largest to 1."""
    low, high = moments.mean, moments.m2
    if not low <= high:
        low = high = np.float64(0)
    mean, exponent, span = low, 0, np.float64(c.c(high - low))
    if np.isinf(span) and np.isfinite([low, high]).all():
        exponent, mean = 2, np.float64(c.c(low / 4))
        span = np.float64(c.c(high / 4 - mean))
    found = of_divisor(span if span > 0 else np.inf, mean, exponent, c)
    return found._replace(span=np.ldexp(span, exponent - found.exponent) if 0 < span < np.inf else 0.0)


def finish(problem, moments):
    """The statistic, or None where it has to be rescued."""
    c, m2 = problem.c, moments.m2
    if problem.kind == "extremes":
        return of_range(moments, c)
    if problem.kind == "powers":
        return Statistic(np.float64(0), np.float64(0), np.float64(1), reported=(np.nan, np.nan, m2))
    if problem.kind == "norm":
        if problem.p == 2 and not (c.low <= m2 <= c.high or np.sqrt(m2 + problem.n * c.least) < problem.eps):
            return None
        if problem.p == 1 and not np.isfinite(m2):
            return None
        return of_norm(np.sqrt(m2) if problem.p == 2 else m2, 0, problem)
    variance = m2 * problem.inverse_n + problem.eps
    constant = m2 == 0 and c.constant <= abs(moments.mean) < np.inf
    undefined = constant and problem.kind == "centered" and problem.eps == 0
    if not (c.low <= variance <= c.high or undefined or (constant and problem.kind == "standardized")):
        return None
    found = of_moments(problem, moments, variance, 1 / np.sqrt(variance))
    return found._replace(instead="nan") if undefined else found


def rescue(problem, x, in_columns):
    """The statistic of unusual data, x[outer, stretch]."""
    c, eps = problem.c, np.float64(problem.eps)
    if np.isnan(x).any() or np.isinf(x).any():
        zeros = problem.kind in ("squares", "norm") and not np.isnan(x).any()
        report = (x.max() + x.min(), 0.0 if zeros else np.nan, np.inf if zeros else np.nan)
        return Statistic(np.float64(0), np.float64(0), np.float64(1), 0, "zeros" if zeros else "nan", reported=report)
    largest = np.abs(x.astype(np.float64)).max()
    exponent = exponent_of(largest) - 1
    if eps > 0 and problem.kind != "norm":
        exponent = max(exponent, half(exponent_of(eps) - 1000))
    exponent = exponent if largest > 0 else 0
    if in_columns and largest == 0:
        moments = Moments(problem.n, *np.zeros(3))
    elif in_columns:
        moments = merged(leaves_of(scaled(x, exponent, c).reshape(1, -1), problem.sums, c), problem.sums)
    else:
        moments = rows(scaled(x, exponent, c), problem.sums, c)
    m2 = moments.m2
    if problem.kind == "norm":
        return of_norm(np.sqrt(m2) if problem.p == 2 else m2, exponent, problem)

    variance = m2 * problem.inverse_n + np.ldexp(eps, -2 * exponent)
    rstd = 1 / np.sqrt(variance)
    if eps > 0 and (problem.kind == "centered" or moments.mean == 0):
        rstd = min(rstd, c.largest)
    found = of_moments(problem, moments, variance, rstd)
    reported = 0.0 if found.rstd == 0 else 1 / np.sqrt(eps) if m2 == 0 else np.ldexp(rstd, -exponent)
    report = (np.ldexp(moments.mean, exponent), reported, np.ldexp(m2, 2 * exponent))
    if found.rstd == 0:
        return Statistic(np.float64(0), np.float64(0), found.rstd, reported=report)
    undefined = m2 == 0 and eps == 0 and not (problem.kind == "uncentered" and moments.mean != 0)
    return found._replace(exponent=exponent, instead="nan" if undefined else "", reported=report)


def given(mean, rstd, c):
    """A statistic that is known."""
    exponent = 0
    if c.given <= abs(mean) < np.inf:
        exponent = max(exponent_of(mean) - c.top, 1)
        mean = np.ldexp(mean, -exponent)
        rstd = min(np.ldexp(rstd, exponent), F64.largest) if np.isfinite(rstd) else rstd
    return Statistic(*split(mean, 0.0, c), rstd, exponent)


def fold(statistics, w, b, c, high):
    """Mean, scale, shift (values of C) and exponent for each element; all arrays broadcast against each other."""
    mean, lo, rstd, exponent, span = statistics
    scale = rstd * w
    out = ~((np.abs(scale) >= c.normal) & (np.abs(scale) <= c.largest))
    out &= np.isfinite(w) & (w != 0) & np.isfinite(rstd) & (rstd != 0)
    want = np.where(np.abs(scale) > c.largest, c.top, 3 - c.top)
    (fr, er), (fw, ew) = np.frexp(rstd), np.frexp(w)
    k = np.minimum(er + ew - want, 2 * c.top + exponent)
    k = np.where(np.isfinite(mean) & (mean != 0), np.minimum(k, c.top + 1 - np.frexp(mean)[1]), k)
    k = np.where(out, k, 0)
    scale = np.where(out, np.ldexp(fr * fw, want), scale)
    mean, lo = np.ldexp(mean, k), np.ldexp(lo, k)
    slope = scale.astype(c.c)
    if (span > 0).any():
        for _ in range(3):
            reached = fma(np.ldexp(span, k), slope.astype(np.float64), b).astype(c.c)
            slope = np.where((reached < high) & (span > 0), np.nextafter(slope, c.c(np.inf)), slope)
    shift = np.where((lo == 0) | ~np.isfinite(scale), b, (b - lo * scale).astype(c.c))
    shift = np.where(np.isinf(shift) & np.isfinite(b), np.copysign(c.largest, shift), shift)
    shift = np.where(scale == 0, b + 0.0, shift)
    return mean.astype(c.c), slope, shift.astype(c.c), exponent - k


def apply(found, x, w, b, after, c, high):
    """The results in C, x[batch, outer, keep, stretch] like w and b; found[batch][keep] are statistics."""

    def each(name):
        values = np.array([[getattr(one, name) for one in row] for row in found])
        return values[:, None, :, None]

    zeros, invalid = each("instead") == "zeros", each("instead") == "nan"
    blank = np.where(np.isfinite(x), np.copysign(x.dtype.type(0), x), x.dtype.type(np.nan))
    neutral = np.float64([1, -0.0])
    span = each("span")
    statistics = each("mean"), each("lo"), each("rstd"), each("exponent"), span
    mean, scale, shift, exponent = fold(statistics, *(neutral if after else (w, b)), c, high)
    y = fma(scaled(np.where(zeros, blank, x), exponent, c) - mean, scale, shift)
    if after:
        y = fma(y, w.astype(c.c), b.astype(c.c))
    y = np.where((y > high) & (span > 0), c.c(high), y)
    return np.where(invalid, c.c(np.nan), y)


def normalize(x, reduced, weight=None, bias=None, *, kind="centered", result=None, known=None, **options):
    """The results, with the reported mean, rstd and m2; parameters are of x's rank, known is a mean and a rstd."""
    result = np.dtype(result or x.dtype)
    c = F64 if np.float64 in (x.dtype, result) else F32
    weight, bias = (None if one is None else one.astype(c.c, copy=False) for one in (weight, bias))
    plan = make_plan(x, reduced, [one for one in (weight, bias) if one is not None], c)
    words, parts = plan.words, (plan.words[0], plan.words[2])

    def spread(one, absent):
        return as_words(np.broadcast_to(np.float64(absent if one is None else one), x.shape), words)

    data, w, b = as_words(x, words), spread(weight, 1), spread(bias, -0.0)
    known = None if known is None else [as_words(np.broadcast_to(one, x.shape), words)[:, 0, :, 0] for one in known]
    batch, outer, keep, stretch = data.shape
    problem = Problem(kind, outer * stretch, c, **options)
    with np.errstate(all="ignore"):
        found = [list(statistics_of(problem, data[i], plan, known and [one[i] for one in known])) for i in range(batch)]
        y = apply(found, data, w, b, plan.after, c, problem.high)
        reported = np.array([[one.reported for one in row] for row in found]).reshape(batch, keep, 3)
        kept = [1 if axis in reduced else length for axis, length in enumerate(x.shape)]
        report = [from_words(reported[..., i], parts, kept) for i in range(3)]
        return from_words(y, words, x.shape).astype(result), *report


def statistics_of(problem, x, plan, known):
    """The statistics of one batch index, x[outer, keep, stretch]."""
    keep = x.shape[1]
    if known:
        for mean, rstd in zip(*known, strict=True):
            yield given(mean, rstd, problem.c)
        return
    if plan.in_columns:
        count, *beside = columns(x, plan.side, problem.sums, problem.c)
        each = [Moments(count, *at) for at in zip(*(np.broadcast_to(one, keep) for one in beside), strict=True)]
    else:
        each = [rows(x[:, k], problem.sums, problem.c) for k in range(keep)]
    for k, moments in enumerate(each):
        yield finish(problem, moments) or rescue(problem, x[:, k], plan.in_columns)
