"""The norms over channels with arguments that they accept, and what must hold when they refuse others."""

import numpy as np
import pytest
from arrays import dtype_of, normal

import fastnorm

X = normal((2, 4, 3), offset=1.0)
SENTINEL = 77

# Each function with arguments that it accepts.
CALLS = {
    "batch_norm": {"training": True},
    "instance_norm": {},
    "conditional_instance_norm": {"labels": [2, 0], "weight": np.ones((3, 4)), "bias": np.zeros((3, 4))},
    "adaptive_instance_norm": {"style": normal((1, 4, 5), seed=1)},
    "group_norm": {"num_groups": 2},
}
RUNNING = ["batch_norm", "instance_norm"]
PER_SAMPLE = [name for name in CALLS if name != "batch_norm"]


def call(name, x=X, **options):
    """The function's result for arguments that it accepts, save for `options`."""
    return getattr(fastnorm, name)(x, **(CALLS[name] | options))


def running_arrays(dtype="float32", count=4):
    """Two arrays that are apart, writeable and of no special values."""
    return {"running_mean": np.arange(count).astype(dtype_of(dtype)), "running_var": np.full(count, 2, dtype_of(dtype))}


def refuse(name, kind, message, x=X, **options):
    """The function must refuse, and leave every array as it was."""
    if name in RUNNING:
        options = running_arrays() | options
    options = {"out": np.full(np.shape(x), SENTINEL, np.float32)} | options
    held = [one for one in options.values() if isinstance(one, np.ndarray)]
    before = [one.tobytes() for one in held]
    with pytest.raises(kind, match=message):
        call(name, x, **options)
    assert [one.tobytes() for one in held] == before
