"""The norms of feature maps and data sets as tests see them: the call, and which results its rounding may give.

A `Problem` has what the tolerance of `agreement` is derived from: where the statistics lie, how many elements each has,
and what weight and bias multiply and shift. Its reference is computed once, for any number of results to be judged.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from arrays import normal

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import UNIT_ROUNDOFF, distance, roundings, tolerance

KINDS = ("batch", "batch eval", "instance", "instance eval", "conditional", "adaptive", "group", "standardize")
FUNCTIONS = {
    "batch": "batch_norm",
    "batch eval": "batch_norm",
    "instance": "instance_norm",
    "instance eval": "instance_norm",
    "conditional": "conditional_instance_norm",
    "adaptive": "adaptive_instance_norm",
    "group": "group_norm",
    "standardize": "standardize",
}
PARAMETERS = {"none": (), "weight": ("weight",), "bias": ("bias",), "both": ("weight", "bias")}


def copied(options):
    """The same options, with arrays of their own: a call may update running statistics."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in options.items()}


@dataclass
class Problem:
    """A function of fastnorm, its input and further arguments."""

    kind: str
    x: np.ndarray
    options: dict
    channel_axis: int = 1
    num_groups: int | None = None

    @property
    def keywords(self):
        """All but x, as the function is called."""
        axis = {} if self.kind == "standardize" else {"channel_axis": self.channel_axis}
        return copied(self.options) | axis

    def call(self, x=None, **options):
        """What fastnorm returns, for x or for the same values in other memory."""
        return getattr(fastnorm, FUNCTIONS[self.kind])(self.x if x is None else x, **{**self.keywords, **options})

    def reference(self, **options):
        """What the reference returns, in float64."""
        function = getattr(reference, FUNCTIONS[self.kind])
        return function(self.x, **{**self.keywords, "dtype": np.float64, **options})

    @cached_property
    def expected(self):
        """The reference's result and its statistics."""
        with np.errstate(all="ignore"):
            return self.reference(return_stats=True)

    @property
    def channel(self):
        """The channel axis, not negative."""
        return self.channel_axis % self.x.ndim

    @property
    def grouped_shape(self):
        """x's shape with each axis cut in two, so that group norm's statistics lie over whole axes, too."""
        shape = []
        for axis, length in enumerate(self.x.shape):
            groups = self.num_groups if self.num_groups and axis == self.channel else length
            shape += [groups, length // groups]
        return shape

    @property
    def shared(self):
        """The axes of `grouped_shape` that share a statistic."""
        if self.kind == "standardize":
            axes = self.options.get("axis", 0)
            kept = set(range(self.x.ndim)) - {
                one % self.x.ndim for one in (axes if isinstance(axes, tuple) else (axes,))
            }
        elif self.kind.startswith("batch"):
            kept = {self.channel}
        else:
            kept = {0, self.channel}
        return tuple(axis for axis in range(2 * self.x.ndim) if axis // 2 not in kept or (self.num_groups and axis % 2))

    @property
    def length(self):
        """How many elements each statistic is of; 1 where it is given."""
        return 1 if "eval" in self.kind else math.prod(self.grouped_shape[axis] for axis in self.shared)

    def largest(self, values):
        """For each element, the largest magnitude among those that share its statistic; x's shape."""
        split = np.abs(values).reshape(self.grouped_shape)
        most = np.fmax.reduce(split, axis=self.shared, keepdims=True, initial=0.0)
        return np.broadcast_to(most, self.grouped_shape).reshape(self.x.shape)

    def spread(self, parameter):
        """A parameter in x's rank: of (C,) or (N, C), or of that rank already."""
        values = np.abs(np.asarray(parameter, np.float64))
        if values.ndim == self.x.ndim:
            return values
        axes = {0: (), 1: (self.channel,), 2: (0, self.channel)}[values.ndim]
        return np.expand_dims(values, tuple(axis for axis in range(self.x.ndim) if axis not in axes))

    @cached_property
    def parameters(self):
        """|weight| and |bias| in x's rank, and the roundings that computing them adds."""
        weight, bias, more = self.options.get("weight"), self.options.get("bias"), 0.0
        if self.kind == "conditional":
            weight, bias = weight[self.options["labels"]], bias[self.options["labels"]]
        elif self.kind == "adaptive":
            style = self.options["style"].astype(np.float64)
            axes = tuple(axis for axis in range(1, style.ndim) if axis != self.channel_axis % style.ndim)
            weight, bias = np.sqrt(style.var(axis=axes) + 1e-5), np.abs(style.mean(axis=axes))
            # A sum of deviations from the mean rounds in proportion to the largest.
            bias = bias + np.abs(style - style.mean(axis=axes, keepdims=True)).max(axis=axes, initial=0.0)
            more = roundings(style.size // bias.size)
        return self.spread(1.0 if weight is None else weight), self.spread(0.0 if bias is None else bias), more

    @cached_property
    def normalized(self):
        """Before weight and bias, by the function that shares the statistics and has both."""
        if self.kind in ("conditional", "adaptive"):
            return reference.instance_norm(self.x, channel_axis=self.channel_axis, dtype=np.float64)
        return self.reference(**{name: None for name in ("weight", "bias") if name in self.options})

    @cached_property
    def uncentred(self):
        """|weight| (max|x| + |mean|) / deviation: where x is not first centred, errors are in proportion to this."""
        _, mean, rstd = self.expected
        if self.num_groups:
            each = self.x.shape[self.channel] // self.num_groups
            mean, rstd = (np.repeat(one, each, axis=1) for one in (mean, rstd))
        largest = self.largest(self.x.astype(np.float64))
        return (largest + self.spread(mean)) * self.spread(rstd) * self.parameters[0]

    def allowed(self, dtype):
        """How far from the reference a result of this dtype may be; the reference's own mean is rounded, too."""
        weight, bias, more = self.parameters
        scale = self.largest(self.normalized) * weight + bias
        wide = "float64" in (self.x.dtype.name, dtype)
        ours = tolerance(self.expected[0], scale, roundings(self.length) + more, dtype, wide=wide)
        return ours + UNIT_ROUNDOFF["float64"] * self.uncentred

    def allowed_folded(self, dtype):
        """How far a peer may be that computes x * scale + shift."""
        _, bias, _ = self.parameters
        wide = self.x.dtype == np.float64
        return tolerance(self.expected[0], self.uncentred + bias, roundings(self.length), dtype, wide=wide)

    def error(self, y):
        """Worst error of a result in units of the tolerance; at most 1 passes."""
        return distance(y, self.expected[0], self.allowed(y.dtype.name))


def make(kind, shape, dtype="float32", *, channel_axis=1, names=(), per_sample=False, seed=0):
    """A problem of this kind, with the parameters of these names where it has any."""
    x = normal(shape, dtype, offset=1.0, scale=2.0, seed=seed)
    channels, samples = shape[channel_axis], shape[0]
    own = (samples, channels) if per_sample else (channels,)
    options = {name: normal(own, dtype, offset=0.5, seed=seed + 7 + i) for i, name in enumerate(names)}
    num_groups = None
    if kind == "batch":
        options["training"] = True
    elif kind.endswith("eval"):
        options["running_mean"] = normal(channels, "float32", offset=1.0, seed=seed + 1)
        options["running_var"] = normal(channels, "float32", seed=seed + 2) ** 2 + np.float32(0.5)
        if kind == "instance eval":
            options["use_input_stats"] = False
    elif kind == "conditional":
        table = normal((2, 5, channels), dtype, offset=0.5, seed=seed + 7)
        options = {"weight": table[0], "bias": table[1]}
        options["labels"] = np.random.default_rng(seed).integers(0, 5, samples)
    elif kind == "adaptive":
        style = [n if axis in (0, channel_axis % len(shape)) else n + 3 for axis, n in enumerate(shape)]
        options = {"style": normal(style, dtype, offset=-1.0, scale=0.5, seed=seed + 3)}
    elif kind == "group":
        num_groups = options["num_groups"] = next(n for n in (4, 3, 2, 1) if channels % n == 0)
    elif kind == "standardize":
        options = {}
    return Problem(kind, x, options, channel_axis, num_groups)
