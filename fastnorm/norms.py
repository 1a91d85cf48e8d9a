"""The public norms: what each one computes, its parameters, and the call. No arithmetic and no memory happens here.

Each first offers the plain small call to the kernel's own door, which answers it or declines; a call that is refused
there meets the full checks, and their messages.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm._kernels import plain
from fastnorm._kernels.views import CENTERED, SQUARES, UNCENTERED
from fastnorm._normalize import normalize


def layer_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    center: bool = True,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Normalise to mean 0 and variance 1 over one or more axes, then scale and shift.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot weight + bias

    with the population variance (divided by the number of elements).

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides. Integers and bools compute in
        float64, and return it unless `dtype` or `out` says otherwise.
    weight, bias : array_like, optional
        The lengths of the normalised axes, in the order they have in `x`, or `x`'s rank and broadcasting against it.
        Any float dtype; the result's dtype does not depend on it. Either may be given alone.
    axis : int or tuple of int
        The axes that share a mean and a variance. ``axis=1`` of (N, C, H, W) is the channels-first layer norm.
    eps : float
        Added to the variance; finite and >= 0. With 0, constant data gives NaN.
    center : bool
        False divides by the standard deviation without subtracting the mean: the bias-free form of Restormer. The
        variance is still about the mean, so it is not `rms_norm`.
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
        the normalised axes of length 1.

    Raises
    ------
    ValueError
        If a shape, `eps`, or a repeated or empty `axis` is wrong, or `out` is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `axis` is out of range.
    TypeError
        If a dtype is not supported, or `x` or a parameter is a masked array.

    Notes
    -----
    PyTorch's ``layer_norm(x, x.shape[-1:], weight, bias)`` is ``layer_norm(x, weight, bias)``; its `normalized_shape`
    is always the last axes. ONNX's LayerNormalization has ``axis=k`` for ``axis=tuple(range(k, x.ndim))`` here. Keras
    has ``epsilon=1e-3`` by default.

    The mean is carried to more digits than the data and subtracted before scaling, so that the error does not grow
    with the mean. The same input gives the same bits for every number of threads.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x = np.array([[1.0, 2.0, 3.0], [10.0, 10.0, 40.0]])
    >>> fastnorm.layer_norm(x).round(3)
    array([[-1.225,  0.   ,  1.225],
           [-0.707, -0.707,  1.414]])
    >>> y, mean, rstd = fastnorm.layer_norm(x, weight=[1.0, 1.0, 2.0], return_stats=True)
    >>> mean
    array([[ 2.],
           [20.]])
    """
    if center and dtype is None and not return_stats:
        answer = plain.over_axis(x, weight, bias, axis, eps, out, CENTERED)
        if answer is not None:
            return answer
    y, statistics = normalize(
        x,
        weight,
        bias,
        axis=axis,
        eps=eps,
        statistic=CENTERED if center else UNCENTERED,
        out=out,
        dtype=dtype,
        return_stats=return_stats,
    )
    return (y, statistics.mean, statistics.rstd) if return_stats else y


def rms_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Divide by the root of the mean square over one or more axes, then scale.

    .. math:: y = \frac{x}{\sqrt{\mathrm{E}[x^2] + \epsilon}} \cdot weight

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides. Integers and bools compute in
        float64, and return it unless `dtype` or `out` says otherwise.
    weight : array_like, optional
        The lengths of the normalised axes, in the order they have in `x`, or `x`'s rank and broadcasting against it.
        Any float dtype; the result's dtype does not depend on it.
    axis : int or tuple of int
        The axes that share a mean square.
    eps : float
        Added to the mean square; finite and >= 0. With 0, zeros give NaN.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.
    dtype : dtype, optional
        The result's dtype, by default `x`'s. Arithmetic is float64 if `x` or the result is float64 (or `x` is
        of integers), else float32, and is rounded once to the result's dtype.
    return_stats : bool
        Return the statistic too.

    Returns
    -------
    ndarray or tuple
        The result, in `x`'s shape and memory order, or ``(result, rstd)``: a float64 array of `x`'s shape with the
        normalised axes of length 1.

    Raises
    ------
    ValueError
        If a shape, `eps`, or a repeated or empty `axis` is wrong, or `out` is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `axis` is out of range.
    TypeError
        If a dtype is not supported, or `x` or `weight` is a masked array.

    Notes
    -----
    PyTorch's ``rms_norm`` takes `eps` from the dtype when it is None: 1.19e-7 for float32, float16 and bfloat16,
    2.2e-16 for float64. ONNX's RMSNormalization has ``epsilon=1e-5`` by default. Models that round to bfloat16 before
    they multiply by `weight` differ in the last bit: here it is float32 until the one rounding at the end.

    References
    ----------
    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> fastnorm.rms_norm(np.array([3.0, 4.0, 0.0, 0.0])).round(6)
    array([1.2, 1.6, 0. , 0. ])
    """
    if dtype is None and not return_stats:
        answer = plain.over_axis(x, weight, None, axis, eps, out, SQUARES)
        if answer is not None:
            return answer
    y, statistics = normalize(
        x,
        weight,
        None,
        axis=axis,
        eps=eps,
        statistic=SQUARES,
        out=out,
        dtype=dtype,
        return_stats=return_stats,
    )
    return (y, statistics.rstd) if return_stats else y
