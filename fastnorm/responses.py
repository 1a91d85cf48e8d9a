"""Local response norm, of AlexNet: what it computes, its parameters, the checks, the call.

Nothing is shared by all of an axis here: each element is divided by what lies in a window around it.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._channel_arguments import as_channel_axis
from fastnorm._windows import respond


def local_response_norm(
    x: ArrayLike,
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
) -> Any:
    r"""Divide each element by a power of the mean square of its neighbours across channels.

    .. math:: y_c = x_c \Big/ \Big(k + \frac{\alpha}{size} \sum_{i = c - \lfloor size / 2 \rfloor}^{c +
              \lfloor (size - 1) / 2 \rfloor} x_i^2\Big)^\beta

    at each position, with channels beyond the first and the last counting as 0.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any strides: (N, C), (N, C, L), (N, C, H, W), or
        channels-last. Integers and bools compute in float64, and return it unless `out` says otherwise.
    size : int
        The number of channels in a window, at least 1. With an even one, one more lies below than above.
    alpha : float
        The weight of the mean square; finite.
    beta : float
        The exponent; finite. 0.5, 0.75 and 1 take roots and are fast, others a logarithm.
    k : float
        Added to the mean square; finite.
    channel_axis : int
        The axis of channels; -1 for channels-last.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.

    Returns
    -------
    ndarray
        The result, in `x`'s shape and memory order.

    Raises
    ------
    ValueError
        If `size` is less than 1, `alpha`, `beta` or `k` is not finite, `alpha / size` or `k` leaves the range of the
        arithmetic's dtype, or `out` has another shape or is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `channel_axis` is out of range.
    TypeError
        If a dtype is not supported, `size` is no int, or `x` is a masked array.

    Notes
    -----
    PyTorch has the same arguments and the same window. ONNX's LRN has ``bias`` for `k` and, for an even size, the
    longer side of its window above: ``local_response_norm(x[:, ::-1], size)[:, ::-1]``. TensorFlow's
    ``tf.nn.local_response_normalization`` and the paper weigh the sum, not the mean: ``size = 2 * depth_radius + 1``,
    ``alpha * size`` for their alpha, ``k`` for ``bias``, and TensorFlow's channels are last. So AlexNet, with n = 5,
    k = 2 and alpha = 1e-4 in the paper, is ``local_response_norm(x, 5, alpha=5e-4, k=2)``; Caffe weighs the mean, as
    here.

    Arithmetic is float64 if `x` or the result is float64 (or `x` is of integers), else float32, and is rounded once to
    the result's dtype. In float32 the squares of magnitudes above 1.8e19 overflow, which gives 0, as in PyTorch. Where
    `alpha` or `k` is negative or both are 0, what `beta` is the power of may be 0 (the result is infinite, or NaN for
    0 / 0) or negative (NaN, unless `beta` is an integer).

    Each window is summed anew from its lowest channel on, whatever the memory order: the same values give the same
    bits channels-first or channels-last, in any batch and for any number of threads.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
    section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> fastnorm.local_response_norm(np.array([[1.0, 2.0, 2.0, 4.0]]), 3, alpha=3.0, beta=0.5, k=0.0).round(3)
    array([[0.447, 0.667, 0.408, 0.894]])
    """
    array = arguments.as_input(x)
    size = arguments.as_int(size, "size")
    if size < 1:
        raise ValueError(f"size is {size}, expected at least 1")
    alpha, beta, k = (arguments.as_finite(value, name) for value, name in ((alpha, "alpha"), (beta, "beta"), (k, "k")))
    axis = as_channel_axis(channel_axis, array, "x", per_sample=False)
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(None, out, array)
    arithmetic = arguments.as_arithmetic(array, result_dtype)
    scale = alpha / arguments.as_float(size, "size")
    for name, number in (("alpha / size", scale), ("k", k)):
        if abs(number) > float(np.finfo(arithmetic).max):
            raise ValueError(f"{name} is {number}, expected a number in the range of {arithmetic}")
    reach = array.shape[axis] - 1
    return respond(
        array,
        out,
        result_dtype,
        axis,
        before=min(size // 2, reach),
        after=min((size - 1) // 2, reach),
        scale=scale,
        beta=beta,
        k=k,
    )
