"""The doors of plain calls: the bits of the way that all others take, and nothing that they should decline."""

import numpy as np
import pytest
from arrays import normal
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm._kernels import plain

DOORS = ("over_axis", "over_channels", "by_running")
LENGTHS = [1, 2, 3, 5, 7, 8, 14, 16, 17, 31, 32, 33, 49, 64, 65]
SHAPES = st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=5).filter(lambda shape: np.prod(shape) <= 60_000)


def calls(x, axis, affine, num_groups):
    """Every function that has such a door, as a function of out; x's parameters lie along `axis`."""
    length, dtype = x.shape[axis], x.dtype.name
    weight, bias = normal((2, length), dtype, seed=1) if affine else (None, None)
    mean, var = normal(length, "float64", seed=2), np.abs(normal(length, "float32", seed=3))
    found = {
        "layer_norm": lambda **more: fastnorm.layer_norm(x, weight, bias, axis=axis, **more),
        "rms_norm": lambda **more: fastnorm.rms_norm(x, weight, axis=axis, **more),
        "normalize": lambda **more: fastnorm.normalize(x, axis=axis, **more),
        "batch_norm": lambda **more: fastnorm.batch_norm(x, mean, var, weight, bias, channel_axis=axis, **more),
    }
    if axis > 0:
        by_channel = {"weight": weight, "bias": bias, "channel_axis": axis}
        found["instance_norm"] = lambda **more: fastnorm.instance_norm(x, **by_channel, **more)
        found["group_norm"] = lambda **more: fastnorm.group_norm(x, num_groups, **by_channel, **more)
    return found


def check_bits_of_the_other_way(x, axis, affine, num_groups):
    for name, call in calls(x, axis, affine, num_groups).items():
        with pytest.MonkeyPatch.context() as patch:
            for door in DOORS:
                patch.setattr(plain, door, lambda *arguments: None)
            expected = call()
        assert call().tobytes() == expected.tobytes(), name
        out = np.full_like(x, np.nan)
        assert call(out=out) is out
        assert out.tobytes() == expected.tobytes(), name
        kept = x.copy()
        assert call(out=x).tobytes() == expected.tobytes(), name
        x[...] = kept


@given(SHAPES, st.sampled_from(["float32", "float64"]), st.booleans(), st.sampled_from([1.0, 1e30, 1e-30]), st.data())
def test_bits_of_the_other_way(shape, dtype, affine, scale, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    num_groups = data.draw(st.sampled_from([n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0]))
    x = normal(shape, dtype, offset=3.0) * np.dtype(dtype).type(scale)
    check_bits_of_the_other_way(x, axis, affine, num_groups)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5000, 96), 1), ((2, 700_000), 1), ((99_999, 3), 1), ((8, 66, 31, 33), 1), ((9, 28, 28, 64), 3), ((3000, 99), 0)],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_ones_have_them_too(shape, axis, dtype, threads):
    """Also where threads share tasks, and where results are written past the caches."""
    with fastnorm.threads(threads):
        check_bits_of_the_other_way(normal(shape, dtype, offset=3.0), axis, True, 2 if shape[axis] % 2 == 0 else 1)


@pytest.mark.parametrize("shape", [(2, 16, 7, 7), (2, 7, 7, 16), (4, 64)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_calls_are_answered(shape, dtype, monkeypatch):
    """So that the test above compares two ways."""
    answered = []
    for door in DOORS:
        function = getattr(plain, door)
        monkeypatch.setattr(plain, door, lambda *given, f=function: answered.append(f(*given)) or answered[-1])
    axis = len(shape) - 1 if shape[-1] == 16 else 1
    for name, call in calls(normal(shape, dtype), axis, True, 4).items():
        answered.clear()
        y = call()
        assert len(answered) == 1, name
        assert answered[0] is y, name


X = normal((2, 16, 7, 7))


@pytest.mark.parametrize(
    "x",
    [
        X[::-1],
        X[..., ::2],
        X.astype("float16"),
        X.astype(">f4"),
        np.asfortranarray(X),
        X[:0],
        X.tolist(),
        np.ma.array(X),
        np.float32(1),
    ],
    ids=["reversed", "strided", "half", "swapped", "Fortran", "empty", "list", "masked", "scalar"],
)
def test_the_rest_is_declined(x):
    ones = np.ones(16, "float32")
    assert plain.over_axis(x, None, None, 1, 1e-5, None, 0) is None
    assert plain.over_channels(x, None, None, None, 1e-5, 1, None) is None
    assert plain.by_running(x, ones, ones, None, None, 1e-5, 1, None) is None


@pytest.mark.parametrize("eps", [-1.0, np.inf, np.nan, 1, "1", None])
@pytest.mark.parametrize("axis", [-5, 4, 2**80, True, 1.0, (1,)])
def test_odd_scalars_are_declined(eps, axis):
    ones = np.ones(16, "float32")
    for e, a in ((eps, 1), (1e-5, axis)):
        assert plain.over_axis(X, None, None, a, e, None, 0) is None
        assert plain.over_channels(X, None, None, None, e, a, None) is None
        assert plain.by_running(X, ones, ones, None, None, e, a, None) is None
    for num_groups in (0, -1, 3, 17, 4.0, 2**80):
        assert plain.over_channels(X, None, None, num_groups, 1e-5, 1, None) is None


def test_memory_that_is_shared_is_declined():
    x, ones = X.copy(), np.ones(16, "float32")
    room = np.ones(16 + x.size, "float32")
    shifted = room[:-16].reshape(x.shape)
    for out in (x[::-1], shifted, np.empty_like(x)[:1], np.empty(x.shape), X[0], None):
        parameters = (room[8:24], None)
        declined = out is not None
        assert (plain.over_channels(x, *parameters, None, 1e-5, 1, out) is None) == declined
        assert (plain.by_running(x, room[8:24], ones, None, None, 1e-5, 1, out) is None) == declined
        assert (plain.by_running(x, ones, room[8:24], None, None, 1e-5, 1, out) is None) == declined


def test_no_number_of_groups_is_no_instance_norm():
    with pytest.raises(TypeError, match="num_groups is None, expected an int"):
        fastnorm.group_norm(X, None)
