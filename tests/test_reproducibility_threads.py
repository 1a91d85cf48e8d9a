"""The same bits for any number of threads, where threads divide whole statistics, tiles of them, or parts of one.

Every size is above what a second thread is worth (2 MB moved), and 16 threads share what is cut into far fewer
statistics or tiles than that, on however few CPUs. And the same for callers that share their input, each with a team of
its own, or none.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from arrays import LAYOUTS, normal
from calls import bits, functions, layer_norm_of, moments_of, others, rms_norm_of
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


CALLERS = 8
SHARED = {  # the larger ones are just worth a team
    "small": ((3, 8, 6, 5), 1, "contiguous"),
    "a small table": ((40, 24), 1, "contiguous"),
    "planes": ((4, 6, 106, 107), 1, "contiguous"),
    "channels last": ((4, 70, 42, 24), -1, "contiguous"),
    "long rows": ((1, 2, 1, 1, 150_001), 1, "contiguous"),
    "a tall table": ((30_001, 20), 1, "contiguous"),
    "gathered": ((3, 12, 90, 92), 1, "crop"),
}


@pytest.mark.parametrize("case", SHARED)
def test_callers_at_once(case):
    """Of every function: all of them in the same one, or each in another, as one caller alone."""
    shape, channel_axis, layout = SHARED[case]
    dense, calls = functions(shape, channel_axis=channel_axis, kinds=ALL if len(shape) > 2 else SHAPES["a table"][2])
    # By NumPy alone; by one power after the other; of as many statistics as elements.
    slow = ["fused", "norm 3, axis -1"]
    if len(dense) == 1:
        slow += ["standardize", *(name for name in calls if "axis 0" in name)]
    calls = {name: call for name, call in calls.items() if name not in slow}
    x = LAYOUTS[layout](dense)
    before, names = x.tobytes(), list(calls)
    with fastnorm.threads(1):
        expected = {name: bits(call, x) for name, call in calls.items()}
    start = threading.Barrier(CALLERS)

    def wrong(caller):
        start.wait(60)
        shift = caller * (caller % 2)  # some go together, some apart
        with fastnorm.threads(1 + caller % 4):
            return [name for name in names[shift:] + names[:shift] if bits(calls[name], x) != expected[name]]

    with ThreadPoolExecutor(CALLERS) as pool:
        assert list(pool.map(wrong, range(CALLERS))) == [[]] * CALLERS
    assert x.tobytes() == before
