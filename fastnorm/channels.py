"""The norms of single channels: batch and instance norm. What each computes, its parameters, the checks, the call.

They differ in the axes that share a statistic, all but the channels' or all but samples' and channels'. What they have
in common is the running statistics, which replace those of x or are moved towards them. The plain small call has a door
of its own, as in `norms`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _channel_arguments as arguments
from fastnorm import _statistics as statistics
from fastnorm._arguments import as_bool
from fastnorm._kernels import plain
from fastnorm._normalize import solve


def batch_norm(
    x: ArrayLike,
    running_mean: NDArray[Any] | None = None,
    running_var: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    running_ddof: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Normalise each channel by its mean and variance, of this batch or of those before, then scale and shift.

    .. math:: y = \frac{x - mean}{\sqrt{var + \epsilon}} \cdot weight + bias

    with `running_mean` and `running_var`, or in training with the mean and the population variance over all axes but
    the channels'. Training moves the running arrays, where given, to the batch's statistics:
    ``running = (1 - momentum) * running + momentum * batch``.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides: (N, C), (N, C, L),
        (N, C, H, W), (N, C, D, H, W), or channels-last. Integers and bools compute in float64, and return it unless
        `dtype` or `out` says otherwise.
    running_mean, running_var : ndarray of shape (C,), optional
        Any float dtype above and any strides; both or neither. Needed for ``training=False``, which only reads them;
        updated in place by ``training=True``, in float64 and rounded once. They may not overlap `out`, nor, where they
        are updated, each other or `x`. An empty batch leaves them as they are.
    weight, bias : array_like, optional
        (C,), or `x`'s rank and broadcasting against it. Any float dtype; the result's dtype does not depend on it.
        Either may be given alone.
    training : bool
        Whether to normalise by the statistics of this batch.
    momentum : float
        The share of this batch in the running arrays, from 0 to 1. ``1 / (t + 1)`` at batch t = 0, 1, 2, ... makes them
        the average over all batches.
    eps : float
        Added to the variance; finite and >= 0. With 0, a constant channel gives NaN in training.
    channel_axis : int
        The axis of channels; -1 for channels-last.
    running_ddof : int
        1 averages the unbiased variance into `running_var`, 0 the population variance.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared with `x`,
        `weight` or `bias` in any other way is safe too.
    dtype : dtype, optional
        The result's dtype, by default `x`'s. Arithmetic is float64 if `x` or the result is float64 (or `x` is
        of integers), else float32, and is rounded once to the result's dtype.
    return_stats : bool
        Return the statistics that `x` was normalised by, too.

    Returns
    -------
    ndarray or tuple
        The result, in `x`'s shape and memory order, or ``(result, mean, rstd)``: float64 arrays of shape (C,).

    Raises
    ------
    ValueError
        If a shape, `eps`, `momentum` or `running_ddof` is wrong, a running array is missing, read-only or overlaps, a
        batch in training has one value per channel, or `out` is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `channel_axis` is out of range.
    TypeError
        If a dtype is not supported, `x` or a parameter is a masked array, a running array is no ndarray, or `training`
        no bool.

    Notes
    -----
    The order of the arrays, `momentum` and the variances are those of PyTorch, whose ``momentum=None`` is ``1 / (t +
    1)`` here. Without running arrays pass ``weight=`` and ``bias=`` by name: as second and third they would be taken
    for those, which training writes to. In ONNX and Keras `momentum` is the share of the old value, so pass one minus
    theirs (0.1 for ONNX's 0.9, 0.01 for Keras' 0.99), and ``running_ddof=0``. Keras also has ``epsilon=1e-3`` and
    channels-last.

    The mean is subtracted before scaling, with running statistics as well, so that the error does not grow with the
    mean. The same input gives the same bits for every number of threads.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    2015, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> mean, var = np.zeros(2), np.ones(2)
    >>> fastnorm.batch_norm(x, mean, var, training=True).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> mean, var
    (array([0.2, 2. ]), array([ 1.1, 20.9]))
    >>> fastnorm.batch_norm(x, mean, var).round(3)
    array([[0.763, 1.75 ],
           [2.67 , 6.125]])

    With ``momentum=1 / (t + 1)`` at batch t of a data set, the running arrays become the population statistics of the
    paper's inference: the average of the batches' means, and m / (m - 1) times that of their population variances, for
    batches of m values in each channel. What the arrays held before does not matter.

    >>> batches = [np.array([[1.0], [3.0]]), np.array([[5.0], [9.0]]), np.array([[0.0], [0.0]])]
    >>> mean, var = np.empty(1), np.empty(1)
    >>> for t, batch in enumerate(batches):
    ...     _ = fastnorm.batch_norm(batch, mean, var, training=True, momentum=1 / (t + 1))
    >>> mean, np.mean([batch.mean(axis=0) for batch in batches], axis=0)
    (array([3.]), array([3.]))
    >>> var, 2 / (2 - 1) * np.mean([batch.var(axis=0) for batch in batches], axis=0)
    (array([3.33333333]), array([3.33333333]))
    """
    momentum = arguments.as_momentum(momentum)
    running_ddof = arguments.as_running_ddof(running_ddof)
    if training is False and dtype is None and not return_stats:
        answer = plain.by_running(x, running_mean, running_var, weight, bias, eps, channel_axis, out)
        if answer is not None:
            return answer
    training = as_bool(training, "training")
    channels = arguments.as_channels(x, channel_axis, eps, out, dtype)
    running = arguments.as_running(running_mean, running_var, channels, update=training)
    weight = arguments.as_parameter(weight, "weight", channels)
    bias = arguments.as_parameter(bias, "bias", channels)
    if not training:
        y, mean, rstd = _by_running(channels, running, weight, bias, "training=False")
        return (y, mean, rstd) if return_stats else y

    count = channels.elements(channels.others)
    if count == 1 and channels.x.size:
        raise ValueError(f"x has shape {channels.x.shape}: one value per channel, expected more with training=True")
    y, moments = solve(
        channels.x,
        channels.out,
        channels.result_dtype,
        weight,
        bias,
        channels.others,
        eps=channels.eps,
        return_stats=return_stats or running is not None,
    )
    mean, rstd, m2 = (one.reshape(-1) for one in moments)
    if running is not None and channels.x.size:
        statistics.update(running, mean, m2, count, running_ddof, momentum)
    return (y, mean, rstd) if return_stats else y


def instance_norm(
    x: ArrayLike,
    running_mean: NDArray[Any] | None = None,
    running_var: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Normalise each channel of each sample to mean 0 and variance 1, then scale and shift.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot weight + bias

    with the mean and the population variance over all axes but samples' and channels', or with
    ``use_input_stats=False`` with `running_mean` and `running_var`.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any strides, samples along axis 0 and channels along
        another: (N, C, L), (N, C, H, W), or channels-last. Integers and bools compute in float64, and return it unless
        `dtype` or `out` says otherwise.
    running_mean, running_var : ndarray of shape (C,), optional
        As in `batch_norm`. Where given with ``use_input_stats=True``, they move by `momentum` to the average over
        samples of the means and of the unbiased variances.
    weight, bias : array_like, optional
        (C,), (N, C) for each sample its own, or `x`'s rank and broadcasting against it. Any float dtype; the result's
        dtype does not depend on it. Either may be given alone.
    use_input_stats : bool
        Whether to normalise by the statistics of `x`; else both running arrays are needed, and only read.
    momentum : float
        The share of this batch in the running arrays, from 0 to 1.
    eps : float
        Added to the variance; finite and >= 0. With 0, constant data gives NaN.
    channel_axis : int
        The axis of channels; -1 for channels-last.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared with `x`,
        `weight` or `bias` in any other way is safe too.
    dtype : dtype, optional
        The result's dtype, by default `x`'s. Arithmetic is float64 if `x` or the result is float64 (or `x` is
        of integers), else float32, and is rounded once to the result's dtype.
    return_stats : bool
        Return the statistics that `x` was normalised by, too.

    Returns
    -------
    ndarray or tuple
        The result, in `x`'s shape and memory order, or ``(result, mean, rstd)``: float64 arrays of shape (N, C).

    Raises
    ------
    ValueError
        If a shape, `channel_axis`, `eps` or `momentum` is wrong, a running array is missing, read-only or overlaps, or
        is to be updated from one element per instance, or `out` is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `channel_axis` is out of range.
    TypeError
        If a dtype is not supported, `x` or a parameter is a masked array, a running array is no ndarray, or
        `use_input_stats` no bool.

    Notes
    -----
    The order of the arrays and their meaning are PyTorch's, which refuses instances of one element; here they give
    `bias`. Without running arrays pass ``weight=`` and ``bias=`` by name: as second and third they would be taken for
    those, and written to. ONNX's InstanceNormalization is ``instance_norm(x, weight=scale, bias=B)``. Keras has
    ``GroupNormalization(groups=-1)``, with ``epsilon=1e-3`` and channels-last.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016,
    arXiv:1607.08022.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x = np.array([[[1.0, 3.0], [10.0, 30.0]]])
    >>> fastnorm.instance_norm(x, bias=[0.0, 5.0]).round(3)
    array([[[-1.,  1.],
            [ 4.,  6.]]])
    """
    momentum = arguments.as_momentum(momentum)
    if use_input_stats is True and running_mean is None and running_var is None and dtype is None and not return_stats:
        answer = plain.over_channels(x, weight, bias, None, eps, channel_axis, out)
        if answer is not None:
            return answer
    use_input_stats = as_bool(use_input_stats, "use_input_stats")
    channels = arguments.as_channels(x, channel_axis, eps, out, dtype, per_sample=True)
    running = arguments.as_running(running_mean, running_var, channels, update=use_input_stats)
    weight = arguments.as_parameter(weight, "weight", channels, per_sample=True)
    bias = arguments.as_parameter(bias, "bias", channels, per_sample=True)
    shape = (channels.x.shape[0], channels.number)
    if not use_input_stats:
        y, *ours = _by_running(channels, running, weight, bias, "use_input_stats=False")
        return (y, *(np.tile(one, (shape[0], 1)) for one in ours)) if return_stats else y

    count = channels.elements(channels.spatial)
    if running is not None and count == 1 and channels.x.size:
        raise ValueError(
            f"x has shape {channels.x.shape}: one element per instance, expected more to update running_var"
        )
    y, moments = solve(
        channels.x,
        channels.out,
        channels.result_dtype,
        weight,
        bias,
        channels.spatial,
        eps=channels.eps,
        return_stats=return_stats or running is not None,
    )
    if not (return_stats or running):
        return y
    mean, rstd, m2 = (one.reshape(shape) for one in moments)
    if running is not None and channels.x.size:
        statistics.update(running, mean, m2, count, 1, momentum)
    return (y, mean, rstd) if return_stats else y


def _by_running(
    channels: arguments.Channels,
    running: tuple[NDArray[Any], NDArray[Any]] | None,
    weight: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    option: str,
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    """The result of running statistics, and the mean and rstd that they stand for."""
    if running is None:
        raise ValueError(f"running_mean and running_var are None, expected both with {option}")
    mean, rstd = statistics.given(running, channels.eps)
    others = channels.others
    if any(one is not None and len(one) > 1 for one in (weight, bias)):
        others -= {0}  # each sample has its own map, as in a batch of one
    y, _ = solve(
        channels.x,
        channels.out,
        channels.result_dtype,
        weight,
        bias,
        others,
        eps=channels.eps,
        given=(channels.spread(mean), channels.spread(rstd)),
    )
    return y, mean, rstd
