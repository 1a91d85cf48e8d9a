"""Every public function as a call whose arrays have names, so that a test can put each of them anywhere in memory.

Unlike those of `calls`, nothing is bound: the arrays are the caller's to copy, move, spoil or withhold.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from arrays import normal

import fastnorm
from fastnorm import reference


@dataclass(frozen=True)
class Call:
    """A function of fastnorm, the arrays it takes, and its other arguments."""

    function: str
    arrays: dict[str, Any]
    options: dict[str, Any]
    moves: tuple[str, ...] = ()  # the arrays that it updates
    out: tuple[int, ...] | None = None  # the shape of the result that it can write to
    dtype: Any = None  # of that result
    details: str | None = None  # the option that asks for more than the result

    def __call__(self, **more):
        return getattr(fastnorm, self.function)(**{**self.arrays, **self.options, **more})

    def on(self, arrays):
        """The same call on other arrays."""
        return replace(self, arrays=arrays)

    def reference(self, **more):
        """What the formula gives; its own arrays, because running ones move."""
        arrays = {name: np.array(one) if name in self.moves else one for name, one in self.arrays.items()}
        return getattr(reference, self.function)(**{**arrays, **self.options, **more})


STATS = "return_stats"


def over_channels(x, axis, dtype):
    """The norms with a channel axis; only those that x's shape allows."""
    shape = x.shape
    channels, samples = shape[axis], shape[0]
    weight, bias, mean, var = normal((4, channels), dtype, offset=0.5, seed=1)
    var = np.abs(var) + var.dtype.type(0.5)
    given = {"weight": weight, "bias": bias}
    running = {"running_mean": mean, "running_var": var}
    each = {"channel_axis": axis}
    common = {"out": shape, "dtype": x.dtype, "details": STATS}
    moves = tuple(running)
    yield "batch eval", Call("batch_norm", {"x": x, **running, **given}, each, **common)
    if x.size != channels:
        training = {**each, "training": True}
        yield "batch", Call("batch_norm", {"x": x, **running, **given}, training, moves, **common)
    if axis % len(shape) == 0:
        return
    own = normal((2, samples, channels), dtype, offset=0.5, seed=2)
    yield "instance", Call("instance_norm", {"x": x, **given}, each, **common)
    yield "instance, per sample", Call("instance_norm", {"x": x, "weight": own[0], "bias": own[1]}, each, **common)
    yield (
        "instance eval",
        Call("instance_norm", {"x": x, **running, **given}, {**each, "use_input_stats": False}, **common),
    )
    if x.size != channels * samples:
        yield "instance, updating", Call("instance_norm", {"x": x, **running, **given}, each, moves, **common)
    table = normal((2, 3, channels), dtype, offset=0.5, seed=3)
    labels = np.arange(samples) % 3
    yield (
        "conditional",
        Call(
            "conditional_instance_norm",
            {"x": x, "labels": labels, "weight": table[0], "bias": table[1]},
            each,
            **common,
        ),
    )
    style = normal([n if one in (0, axis % len(shape)) else n + 1 for one, n in enumerate(shape)], dtype, seed=4)
    yield "adaptive", Call("adaptive_instance_norm", {"content": x, "style": style}, each, **common)
    groups = next(n for n in (4, 3, 2, 1) if channels % n == 0)
    yield "group", Call("group_norm", {"x": x, **given}, {**each, "num_groups": groups}, **common)


def over_axes(x, channel_axis, dtype):
    """The norms over axes of x's own choice: the last, the first, all."""
    common = {"out": x.shape, "dtype": x.dtype}
    every = tuple(range(x.ndim))
    for axis in dict.fromkeys([-1, 0, every]):
        lengths = x.shape if axis == every else x.shape[axis]
        weight, bias = normal((2, *np.atleast_1d(lengths)), dtype, offset=0.5, seed=5)
        given = {"weight": weight, "bias": bias}
        yield f"layer {axis}", Call("layer_norm", {"x": x, **given}, {"axis": axis}, **common, details=STATS)
        yield f"rms {axis}", Call("rms_norm", {"x": x, "weight": weight}, {"axis": axis}, **common, details=STATS)
        yield f"moments {axis}", Call("moments", {"x": x}, {"axis": axis})
        if axis == every:
            continue
        yield f"standardize {axis}", Call("standardize", {"x": x}, {"axis": axis}, **common, details=STATS)
        yield f"range {axis}", Call("min_max_scale", {"x": x}, {"axis": axis, "feature_range": (-1, 2)}, **common)
        for p in (2, 1, np.inf, 3):
            yield f"norm {p} {axis}", Call("normalize", {"x": x}, {"axis": axis, "p": p}, **common)
    yield "layer, not centred", Call("layer_norm", {"x": x}, {"center": False}, **common, details=STATS)


def others(x, axis, dtype):
    """What takes no statistics, or is of nothing but parameters."""
    common = {"out": x.shape, "dtype": x.dtype}
    for size, beta in ((5, 0.75), (4, 0.6)):
        options = {"size": size, "alpha": 1.0, "beta": beta, "channel_axis": axis}
        yield f"window {size}", Call("local_response_norm", {"x": x}, options, **common)
    yield "dropout", Call("dropout", {"x": x}, {"p": 0.3, "rng": 1}, **common, details="return_mask")
    if x.ndim in (3, 4):
        channels = x.shape[-1]
        mean, std = normal((2, channels), "float64", offset=0.5, seed=6)
        picture = {"image": x, "mean": mean, "std": np.abs(std) + 0.5}
        planes = (*x.shape[:-3], channels, *x.shape[-3:-1])
        for layout, shape in (("HWC->HWC", x.shape), ("HWC->CHW", planes)):
            for image in (x, np.arange(x.size).astype(np.uint8).reshape(x.shape)):
                options = {"layout": layout, "dtype": x.dtype}
                name = f"image {layout} {'u8' if image.dtype == np.uint8 else ''}"
                yield name, Call("normalize_image", {**picture, "image": image}, options, out=shape, dtype=x.dtype)
    if x.ndim == 2:
        batch, inputs = x.shape
        h, gain, bias = normal((batch, 5), dtype), *normal((2, 5), dtype, offset=0.5, seed=7)
        # Sums of a few elements and zeros: BLAS may add in any order, which the bits must not show.
        weights = {"weight_ih": np.eye(5, inputs, dtype=x.dtype), "weight_hh": np.eye(5, dtype=x.dtype)[::-1]}
        yield "cell", Call("layer_norm_rnn_cell", {"x": x, "h": h, **weights, "gain": gain, "bias": bias}, {})
    rows = x.shape[0]
    given = dict(zip(("bias", "running_mean", "running_var"), normal((3, rows), dtype, seed=10) ** 2, strict=True))
    if x.ndim == 1:
        yield "fold", Call("fold_batch_norm", {"weight": x, **given}, {})
    elif x.ndim == 2:
        yield "fused", Call("fuse_linear_batch_norm", {"weight": x, **given}, {})
    else:
        yield "fused", Call("fuse_conv_batch_norm", {"weight": x, **given}, {})


FAMILIES = {"channels": over_channels, "axes": over_axes, "others": others}


def calls(shape, dtype="float32", channel_axis=1, families=FAMILIES):
    """Every call of these families that x of this shape allows, by a name for messages."""
    x = normal(shape, dtype, offset=1.0, scale=2.0)
    return {name: call for family in families for name, call in FAMILIES[family](x, channel_axis, dtype)}


def parts(found):
    """Whatever a call has returned, as a list of arrays."""
    if isinstance(found, (fastnorm.Moments, reference.Moments)):
        found = (np.asarray(found.count), found.mean, found.m2)
    return [np.asarray(one) for one in (found if isinstance(found, tuple) else (found,))]


def bits(found):
    return [one.tobytes() for one in parts(found)]
