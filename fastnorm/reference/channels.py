"""The norms of feature maps: which axes share a statistic follows from the channel axis; axis 0 holds the samples."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm.reference import _steps
from fastnorm.reference._steps import Values


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
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel; see `fastnorm.batch_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import reference
    >>> running_mean, running_var = np.zeros(2), np.ones(2)
    >>> reference.batch_norm([[1, 10], [3, 30]], running_mean, running_var, training=True, eps=0.0)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> running_mean, running_var
    (array([0.2, 2. ]), array([ 1.1, 20.9]))
    """
    values, channel, dtype = _steps.prepare(x, channel_axis, dtype)
    axes = tuple(axis for axis in range(values.ndim) if axis not in channel)
    if training:
        mean = _steps.mean(values, axes)
        variance = _steps.mean((values - mean) ** 2, axes)
        n = _steps.length(values, axes)
        if n > 0 and running_mean is not None and running_var is not None:
            _update(running_mean, mean, momentum)
            _update(running_var, variance * n / (n - running_ddof), momentum)
    else:
        mean = _given("running_mean", running_mean, values, channel)
        variance = _given("running_var", running_var, values, channel)
    rstd = 1 / np.sqrt(variance + eps)
    y = (values - mean) * rstd * _steps.spread(weight, values, channel, 1.0)
    y = _steps.rounded(y + _steps.spread(bias, values, channel, 0.0), dtype)
    return (y, mean.ravel(), rstd.ravel()) if return_stats else y


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
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each sample and channel; see `fastnorm.instance_norm`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.instance_norm([[[1.0, 3.0], [10.0, 30.0]]], eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    values, channel, dtype = _steps.prepare(x, channel_axis, dtype)
    kept = (0, *channel)
    axes = tuple(axis for axis in range(values.ndim) if axis not in kept)
    if use_input_stats:
        mean = _steps.mean(values, axes)
        variance = _steps.mean((values - mean) ** 2, axes)
        n = _steps.length(values, axes)
        if values.size > 0 and running_mean is not None and running_var is not None:
            _update(running_mean, _steps.mean(mean, (0,)), momentum)
            _update(running_var, _steps.mean(variance * n / (n - 1), (0,)), momentum)
    else:
        mean = _given("running_mean", running_mean, values, channel)
        variance = _given("running_var", running_var, values, channel)
    rstd = 1 / np.sqrt(variance + eps)
    y = (values - mean) * rstd * _per_sample(weight, values, channel, 1.0) + _per_sample(bias, values, channel, 0.0)
    y = _steps.rounded(y, dtype)
    if not return_stats:
        return y
    samples = np.ones((values.shape[0], *[1] * (values.ndim - 1)))
    return y, *((samples * one).reshape([values.shape[axis] for axis in kept]) for one in (mean, rstd))


def conditional_instance_norm(
    x: ArrayLike,
    labels: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """`instance_norm` with the weight and bias that each sample's label picks; see `fastnorm`'s function.

    Examples
    --------
    >>> from fastnorm import reference
    >>> x = [[[1.0, 3.0]], [[1.0, 3.0]]]
    >>> reference.conditional_instance_norm(x, labels=[1, 0], weight=[[1.0], [5.0]], bias=[[0.0], [100.0]], eps=0.0)
    array([[[ 95., 105.]],
    <BLANKLINE>
           [[ -1.,   1.]]])
    """
    chosen = np.asarray(labels)
    return instance_norm(
        x,
        weight=np.asarray(weight)[chosen],
        bias=np.asarray(bias)[chosen],
        eps=eps,
        channel_axis=channel_axis,
        dtype=dtype,
        return_stats=return_stats,
    )


def adaptive_instance_norm(
    content: ArrayLike,
    style: ArrayLike,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """(content - mean) / std * (std of style) + (mean of style); see `fastnorm.adaptive_instance_norm`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.adaptive_instance_norm([[[1.0, 3.0]]], style=[[[50.0, 70.0, 70.0, 50.0]]], eps=0.0)
    array([[[50., 70.]]])
    """
    like, channel, _ = _steps.prepare(style, channel_axis, None)
    axes = tuple(axis for axis in range(1, like.ndim) if axis not in channel)
    mean = _steps.mean(like, axes)
    std = np.sqrt(_steps.mean((like - mean) ** 2, axes) + eps)
    per_channel = like.shape[0], like.shape[channel[0]]
    return instance_norm(
        content,
        weight=std.reshape(per_channel),
        bias=mean.reshape(per_channel),
        eps=eps,
        channel_axis=channel_axis,
        dtype=dtype,
        return_stats=return_stats,
    )


def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each sample and group; see `fastnorm.group_norm`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.group_norm([[1.0, 3.0, 10.0, 30.0]], 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    values, channel, dtype = _steps.prepare(x, channel_axis, dtype)
    (split,) = channel
    grouped = values.reshape(
        *values.shape[:split], num_groups, values.shape[split] // num_groups, *values.shape[split + 1 :]
    )
    axes = tuple(axis for axis in range(1, grouped.ndim) if axis != split)
    mean = _steps.mean(grouped, axes)
    rstd = 1 / np.sqrt(_steps.mean((grouped - mean) ** 2, axes) + eps)
    y = ((grouped - mean) * rstd).reshape(values.shape) * _steps.spread(weight, values, channel, 1.0)
    y = _steps.rounded(y + _steps.spread(bias, values, channel, 0.0), dtype)
    if not return_stats:
        return y
    shape = values.shape[0], num_groups
    return y, mean.reshape(shape), rstd.reshape(shape)


def _per_sample(parameter: ArrayLike | None, x: Values, channel: tuple[int, ...], neutral: float) -> Values:
    """The parameter in x's rank, given as (N, C) or in any form of `_steps.spread`; N may be 1."""
    if parameter is None or np.ndim(parameter) != 2 or x.ndim == 2:
        return _steps.spread(parameter, x, channel, neutral)
    values = np.asarray(parameter).astype(np.float64)
    return values.reshape([values.shape[0], *(x.shape[axis] if axis in channel else 1 for axis in range(1, x.ndim))])


def _given(name: str, running: NDArray[Any] | None, x: Values, channel: tuple[int, ...]) -> Values:
    if running is None:
        raise ValueError(f"{name} is None, expected an array: the statistics are not to be those of x")
    return _steps.spread(running, x, channel, 0.0)


def _update(running: NDArray[Any], batch: Values, momentum: float) -> None:
    moved = (1 - momentum) * running.astype(np.float64) + momentum * batch.ravel()
    running[...] = _steps.rounded(moved, running.dtype)
