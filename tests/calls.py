"""Every function of fastnorm as a call on memory that holds its values, for tests of what its bits may not depend on.

A call takes `x` and, save for those in `NO_OUT`, `out`; it gives back the result alone or, with `return_stats`, a tuple
of all that comes of it: statistics, masks, running arrays. Its parameters do not depend on x's memory.
"""

import numpy as np
from arrays import normal
from families import KINDS, copied, make

import fastnorm

AXES = {"layer norm": [0, 1, -1, (0, 1), (0, -1)], "rms norm": [0, -1], "moments": [None, 0, -1, (0, -1)]}
NO_OUT = ("moments", "fused", "cell")
# Whose samples do not see one another, and whose parameters are the same for all of them.
PER_SAMPLE = (
    "layer norm, axis -1",
    "rms norm, axis -1",
    "moments, axis -1",
    "range, axis -1",
    "norm",
    "window",
    "cell",
)


def layer_norm_of(axis, x, **fixed):
    """With parameters along the axes."""
    lengths = [x.shape[one] for one in sorted(one % x.ndim for one in np.atleast_1d(axis))]
    weight, bias = normal(lengths, offset=1.0, seed=1), normal(lengths, seed=2)

    def call(x, **options):
        return fastnorm.layer_norm(x, weight, bias, axis=axis, **fixed, **options)

    return call


def rms_norm_of(axis):
    def call(x, **options):
        return fastnorm.rms_norm(x, axis=axis, **options)

    return call


def moments_of(axis):
    def call(x, return_stats=True):
        found = fastnorm.moments(x, axis=axis)
        return np.asarray(found.mean), np.asarray(found.m2)

    return call


def without_statistics(function, *arguments, **fixed):
    def call(x, return_stats=False, **options):
        y = function(x, *arguments, **fixed, **options)
        return (y,) if return_stats else y

    return call


def updating(problem):
    """With running statistics that the call updates."""
    channels = problem.x.shape[problem.channel]
    running = {"running_mean": normal(channels, seed=3), "running_var": normal(channels, seed=4) ** 2}

    def call(x, return_stats=False, **options):
        moved = copied(running)
        y = problem.call(x, return_stats=return_stats, **moved, **options)
        return (*y, *moved.values()) if return_stats else y

    return call


def dropout(x, return_stats=False, **options):
    """The statistics are the mask."""
    return fastnorm.dropout(x, 0.3, rng=1, return_mask=return_stats, **options)


def cell_of(x):
    """Products with rows of zeros but for one element are exact, whatever BLAS does."""
    hidden, size = x.shape[1], x.shape[1] + 2
    state, gain, bias = normal((3, size), x.dtype.name, offset=0.5, seed=5)
    gain[0], bias[0] = 1e-39, 0
    picked = np.eye(size, dtype=np.float32)

    def call(x, return_stats=False):
        h = np.broadcast_to(state, (len(x), size))
        y = fastnorm.layer_norm_rnn_cell(x, h, picked[:, :hidden], picked[::-1], gain, bias)
        return (y,) if return_stats else y

    return call


def image_of(channels):
    mean, std = normal(channels, offset=0.5, seed=7), np.exp2(np.arange(channels) % 5 - 2)
    mean[0] = 0  # so that a small number stays one, as with the gain of the cell

    def call(x, return_stats=False, **options):
        dtype = x.dtype.newbyteorder("=")
        y = fastnorm.normalize_image(x, mean, std, scale=0.5, layout="HWC->HWC", dtype=dtype, **options)
        return (y,) if return_stats else y

    return call


def fused(x, return_stats=False):
    """A layer's weight and bias, with a batch norm."""
    bias, mean, var = normal((3, len(x)), "float64", seed=6)
    y, shift = fastnorm.fuse_conv_batch_norm(x, bias, mean, var**2)
    return (y, shift) if return_stats else y


def others(x, channel_axis):
    """What is not of `families` and has no axes of its own."""
    calls = {"layer norm, not centred": layer_norm_of(-1, x, center=False), "dropout": dropout, "fused": fused}
    zeros = np.zeros(x.shape[channel_axis], np.float32)
    calls["eval at zero"] = without_statistics(
        fastnorm.batch_norm, zeros, zeros + 1, eps=0.0, channel_axis=channel_axis
    )
    for size, options in ((5, {}), (4, {"beta": 0.6})):
        calls[f"window of {size}"] = without_statistics(
            fastnorm.local_response_norm, size, alpha=size / 2, channel_axis=channel_axis, **options
        )
    for p, axis in ((2, 1), (2, -1), (1, -1), (np.inf, 1), (3, -1)):
        calls[f"norm {p}, axis {axis}"] = without_statistics(fastnorm.normalize, p=p, axis=axis)
    for axis in (0, -1):
        calls[f"range, axis {axis}"] = without_statistics(fastnorm.min_max_scale, axis=axis, feature_range=(-0.3, 0.7))
    if x.ndim in (3, 4):
        calls["image"] = image_of(x.shape[-1])
    if x.ndim == 2:
        calls["cell"] = cell_of(x)
    return calls


def functions(shape, dtype="float32", channel_axis=1, kinds=KINDS):
    """x, and each call by a name for messages."""
    x = make("standardize", shape, dtype).x
    calls = {}
    for kind in kinds:
        if kind != "batch" or x.size > shape[channel_axis]:
            calls[kind] = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight", "bias")).call
    calls["instance, no parameters"] = make("instance", shape, dtype, channel_axis=channel_axis).call
    for kind in ("batch", "instance"):
        if x.size > shape[channel_axis] * (shape[0] if kind == "instance" else 1):
            calls[f"{kind}, updating"] = updating(make(kind, shape, dtype, channel_axis=channel_axis))
    for axis in AXES["layer norm"]:
        calls[f"layer norm, axis {axis}"] = layer_norm_of(axis, x)
    calls |= {f"rms norm, axis {axis}": rms_norm_of(axis) for axis in AXES["rms norm"]}
    calls |= {f"moments, axis {axis}": moments_of(axis) for axis in AXES["moments"]}
    return x, calls | others(x, channel_axis)


def bits(call, x, **options):
    """Of all that comes back; without `return_stats` of the result, that a shorter way may have made."""
    found = call(x, **{"return_stats": True, **options})
    return b"".join(np.asarray(one).tobytes() for one in (found if isinstance(found, tuple) else (found,)))
