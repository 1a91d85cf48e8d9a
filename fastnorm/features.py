"""Statistics of data and the z-score: for tables of features, where there is nothing to learn.

What each computes, its parameters, the checks and the call; and the few numbers that `moments` gives, with what can be
done with them: data that comes in parts is measured part by part and merged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels.views import STANDARDIZED
from fastnorm._normalize import measure, solve


def standardize(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    ddof: int = 0,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Subtract the mean over one or more axes and divide by the standard deviation: the z-score.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\sum (x - \mathrm{E}[x])^2 / (n - ddof)}}

    A feature that is constant, or within rounding of it, gives 0.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides; with the default axis, rows
        are samples and columns features. Integers and bools compute in float64, and return it unless `dtype` or `out`
        says otherwise.
    axis : int or tuple of int
        The axes that share a mean and a standard deviation.
    ddof : int
        What to subtract from the number of elements n in the variance's divisor. If nothing is left, the result is NaN.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.
    dtype : dtype, optional
        The result's dtype, by default `x`'s. Arithmetic is float64 if `x` or the result is float64 (or `x` is
        of integers), else float32, and is rounded once to the result's dtype.
    return_stats : bool
        Return the statistics too.

    Returns
    -------
    ndarray or tuple
        The result, in `x`'s shape and memory order, or ``(result, mean, rstd)``: float64 arrays of `x`'s shape with
        the normalised axes of length 1. The rstd of a constant feature is 0.

    Raises
    ------
    ValueError
        If `axis` is empty or names one twice, `ddof` is beyond 2**53 either way, or `out` has another shape or is
        read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `axis` is out of range.
    TypeError
        If a dtype is not supported, `ddof` is no int, or `x` is a masked array.

    Notes
    -----
    As scikit-learn's ``StandardScaler``, whose rule decides what is constant: var <= n·u·var + (n·mean·u)² with
    u = 2⁻⁵². ``scipy.stats.zscore`` gives NaN there. PyTorch, ONNX and Keras have no such function: `layer_norm`
    and `batch_norm` are near, but add `eps` to the variance.

    References
    ----------
    Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis and Recommendations", The American
    Statistician, 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> fastnorm.standardize(np.array([[1.0, 7.0], [3.0, 7.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    array = arguments.as_input(x)
    axes = arguments.as_axes(axis, array.ndim)
    ddof = arguments.as_int(ddof, "ddof")
    if abs(ddof) > 2**53:
        raise ValueError(f"ddof is {ddof}, expected a number between -2**53 and 2**53")
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(dtype, out, array)
    y, (mean, rstd, _) = solve(
        array,
        out,
        result_dtype,
        None,
        None,
        frozenset(axes),
        eps=0.0,
        statistic=STANDARDIZED,
        ddof=ddof,
        return_stats=return_stats,
    )
    return (y, mean, rstd) if return_stats else y


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The number of elements, their mean and the sum of the squares of their distances from it.

    `moments` makes them. They cannot be changed, only merged into new ones, and can be pickled: to measure parts of the
    data in other processes.

    Parameters
    ----------
    count : int
        How many elements each mean is of.
    mean, m2 : float64 or ndarray of float64
        Of one shape. Over no elements both are NaN.

    Examples
    --------
    >>> import fastnorm
    >>> part, rest = fastnorm.moments([1.0, 2.0]), fastnorm.moments([3.0, 6.0])
    >>> whole = part.merge(rest)
    >>> whole.count, float(whole.mean), float(whole.var())
    (4, 3.0, 3.5)
    """

    count: int
    mean: Any
    m2: Any

    def var(self, ddof: int = 0) -> Any:
        """The variance, ``m2 / (count - ddof)``; NaN where nothing is left to divide by.

        Parameters
        ----------
        ddof : int
            0 for the population variance, 1 for the unbiased one.

        Returns
        -------
        float64 or ndarray of float64
            In the shape of `mean`.

        Examples
        --------
        >>> import fastnorm
        >>> float(fastnorm.moments([1.0, 3.0]).var(ddof=1))
        2.0
        """
        divisor = self.count - arguments.as_int(ddof, "ddof")
        return self.m2 / (divisor if divisor > 0 else np.nan)

    def std(self, ddof: int = 0) -> Any:
        """The standard deviation, the root of `var`.

        Parameters
        ----------
        ddof : int
            As in `var`.

        Returns
        -------
        float64 or ndarray of float64
            In the shape of `mean`.

        Examples
        --------
        >>> import fastnorm
        >>> float(fastnorm.moments([1.0, 3.0]).std())
        1.0
        """
        return np.sqrt(self.var(ddof))

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both sets of elements together, by Chan's update.

        Parameters
        ----------
        other : Moments
            Of means of the same shape. One of no elements changes nothing.

        Returns
        -------
        Moments
            New, or the one of the two that has elements.

        Raises
        ------
        TypeError
            If `other` is no Moments.
        ValueError
            If its means have another shape.

        References
        ----------
        Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979,
        Stanford STAN-CS-79-773.

        Examples
        --------
        >>> import fastnorm
        >>> float(fastnorm.moments([1.0]).merge(fastnorm.moments([2.0, 3.0])).mean)
        2.0
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other has type {type(other).__name__}, expected Moments")
        if np.shape(other.mean) != np.shape(self.mean):
            raise ValueError(f"other has means of shape {np.shape(other.mean)}, expected {np.shape(self.mean)}")
        if not other.count:
            return self
        if not self.count:
            return other
        count = self.count + other.count
        with np.errstate(all="ignore"):
            delta = other.mean - self.mean
            mean = self.mean + delta * (other.count / count)
            m2 = self.m2 + other.m2 + delta * delta * (self.count * other.count / count)
        return Moments(count, mean, m2)


def moments(x: ArrayLike, *, axis: int | Sequence[int] | None = None) -> Moments:
    r"""Measure the mean and the spread over some axes or all, in one pass and in float64.

    .. math:: mean = \frac{1}{n} \sum x, \quad m2 = \sum (x - mean)^2

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, an integer or a bool, any shape and strides.
    axis : int or tuple of int, optional
        The axes to measure over, by default all.

    Returns
    -------
    Moments
        `count`, `mean` and `m2`, in the shapes that ``np.mean(x, axis)`` has, with methods for the variance, the
        standard deviation and merging. Over no elements `count` is 0 and the others are NaN.

    Raises
    ------
    ValueError
        If `axis` is empty or names one twice.
    numpy.exceptions.AxisError
        If `axis` is out of range.
    TypeError
        If a dtype is not supported, or `x` is a masked array.

    Notes
    -----
    ``np.var`` sums float32 in float32, and reads it twice. The statistics that the norms return are as accurate as
    their own arithmetic, that is float32 for float32 data; these are float64 for all. TensorFlow's ``tf.nn.moments``
    and Keras' ``ops.moments`` give ``(mean, var())``. PyTorch's ``var_mean`` divides by n - 1: ``var(ddof=1)`` here.

    References
    ----------
    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979,
    Stanford STAN-CS-79-773.

    Examples
    --------
    >>> import fastnorm
    >>> whole = fastnorm.moments([[1.0, 10.0], [3.0, 30.0]], axis=0)
    >>> whole.count, whole.mean, whole.var(ddof=1)
    (2, array([ 2., 20.]), array([  2., 200.]))
    """
    array = arguments.as_input(x)
    axes = range(array.ndim) if axis is None else arguments.as_axes(axis, array.ndim)
    count = math.prod(array.shape[one] for one in axes)
    kept = [length for one, length in enumerate(array.shape) if one not in axes]
    # An array of no axes becomes a scalar, as NumPy's own reductions give.
    found = measure(array, frozenset(axes), np.dtype(np.float64))
    return Moments(count, found.mean.reshape(kept)[()], found.m2.reshape(kept)[()])
