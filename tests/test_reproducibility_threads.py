"""The same bits for any number of threads, where threads divide whole statistics, tiles of them, or parts of one.

Every size is above what a second thread is worth (2 MB moved), and 16 threads share what is cut into far fewer
statistics or tiles than that, on however few CPUs.
"""

import numpy as np
import pytest
from arrays import normal
from calls import bits, layer_norm_of, moments_of, others, rms_norm_of
from families import make

import fastnorm

THREADS = (1, 2, 3, 7, 16)
# What threads have to do with: (shape, channel axis, kinds of norms).
CHANNELS = ["batch", "batch eval", "instance", "instance eval", "conditional", "adaptive", "group"]
ALL = [*CHANNELS, "standardize"]
SHAPES = {
    "one RGB image": ((1, 3, 500, 601), 1, ALL),
    "one RGB image, channels last": ((1, 500, 601, 3), -1, ALL),
    "two of them, channels last": ((2, 300, 511, 3), -1, ["instance", "group", "adaptive"]),
    "one channel": ((2, 1, 800, 611), 1, CHANNELS),
    "one channel, channels last": ((2, 800, 611, 1), -1, CHANNELS),
    "many samples of one element": ((1_000_003, 1), 1, ["batch", "batch eval", "standardize"]),
    "a table": ((60_001, 20), 1, ["batch", "batch eval", "standardize"]),
    "a wide table": ((2_100, 601), 1, ["batch", "batch eval", "standardize"]),
    "a table of one tile and a bit": ((2_049, 513), 1, ["batch", "batch eval", "standardize"]),
    "planes that fill a leaf in 20": ((500, 40, 7, 7), 1, ["batch", "batch eval", "instance", "group"]),
    "planes side by side": ((1_201, 40, 5, 5), 1, ["batch", "batch eval", "instance", "group"]),
    "long sequences": ((1, 7_001, 130), -1, CHANNELS),
    "groups down the rows": ((2, 4_500, 130), -1, ["group"]),
    "a volume": ((1, 2, 70, 80, 85), 1, CHANNELS),
    "a volume, channels last": ((1, 70, 80, 85, 2), -1, CHANNELS),
}


def same_for_all(call, x, name):
    results = set()
    for n in THREADS:
        with fastnorm.threads(n):
            results.add(bits(call, x))
    assert len(results) == 1, name


@pytest.mark.parametrize("shape", SHAPES)
def test_families(shape):
    shape, channel_axis, kinds = SHAPES[shape]
    for kind in kinds:
        problem = make(kind, shape, channel_axis=channel_axis, names=("weight", "bias"))
        same_for_all(problem.call, problem.x, kind)


# The first is worth all 16 threads.
@pytest.mark.parametrize(("shape", "channel_axis"), [((2, 5, 430, 521), 1), ((2, 300, 511, 3), -1), ((2_100, 601), 1)])
def test_other_functions(shape, channel_axis):
    x = normal(shape, offset=1.0)
    calls = others(x, channel_axis)
    del calls["fused"]  # by NumPy alone
    for name, call in calls.items():
        same_for_all(call, x, name)


@pytest.mark.parametrize("shape", ["one RGB image, channels last", "a table", "planes side by side", "a volume"])
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_dtypes(shape, dtype):
    shape, channel_axis, kinds = SHAPES[shape]
    for kind in set(kinds) & {"batch", "batch eval", "group"}:
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight",))
        same_for_all(problem.call, problem.x, kind)


@pytest.mark.parametrize("unusual", [1e30, np.nan])
@pytest.mark.parametrize("shape", ["one RGB image", "one RGB image, channels last", "a wide table"])
def test_unusual_values(shape, unusual):
    """Statistics that are surveyed and summed again are shared, too, and the tiles that hold them."""
    shape, channel_axis, kinds = SHAPES[shape]
    for kind in set(kinds) & {"batch", "standardize"}:
        problem = make(kind, shape, channel_axis=channel_axis)
        some = np.moveaxis(problem.x, channel_axis, 0)[1]
        if np.isfinite(unusual):
            some *= np.float32(unusual)
        else:
            some[0] = unusual
        same_for_all(problem.call, problem.x, kind)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 1), (1, 2), (2, 3), (0, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 400, 401), (1, 700, 31, 33)])
def test_axes(shape, axis):
    x = normal(shape, offset=1.0)
    for call in (layer_norm_of(axis, x), rms_norm_of(axis), moments_of(axis)):
        same_for_all(call, x, axis)


def test_running_statistics():
    for shape, channel_axis in [((1, 3, 700, 601), 1), ((1, 700, 601, 3), -1), ((60_001, 20), 1)]:
        x, results = normal(shape, offset=3.0), set()
        for n in THREADS:
            mean, var = np.zeros(shape[channel_axis]), np.ones(shape[channel_axis])
            with fastnorm.threads(n):
                fastnorm.batch_norm(x, mean, var, training=True, channel_axis=channel_axis)
            results.add(mean.tobytes() + var.tobytes())
        assert len(results) == 1
