"""What one norm is of another: two calls that share little code, and that differ by no more than both may round."""

import numpy as np
import pytest
from arrays import LAYOUTS, normal
from families import Problem, make
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import UNIT_ROUNDOFF, distance, roundings

DTYPES = st.sampled_from(["float32", "float64", "float16"])
MEMORY = st.sampled_from(["contiguous", "axis 1 innermost", "Fortran", "crop", "every second"])
SIDE = st.integers(1, 9)
SAMPLES = st.integers(1, 4)
CHANNELS = st.integers(1, 40)


@st.composite
def maps(draw, kind, *, samples=SAMPLES, channels=CHANNELS, min_space=1):
    """A problem on feature maps of any rank, away from the origin, and x in memory of some kind."""
    space = draw(st.lists(SIDE, min_size=min_space, max_size=3))
    shape = (draw(samples), draw(channels), *space)
    names = draw(st.sampled_from([(), ("weight",), ("bias",), ("weight", "bias")]))
    problem = make(kind, shape, draw(DTYPES), names=names, seed=draw(st.integers(0, 99)))
    return problem, LAYOUTS[draw(MEMORY)](problem.x)


def assert_same(problem, y, other):
    """Both are results of `problem`, each within its tolerance."""
    assert y.dtype == other.dtype
    allowed = 2 * problem.allowed(y.dtype.name)
    assert distance(y, other.astype(np.float64), allowed) <= 1


def full_rank(problem):
    """The parameters in x's rank, as `layer_norm` takes them over other axes than its own."""
    shape = (1, -1) + (1,) * (problem.x.ndim - 2)
    return {name: problem.options[name].reshape(shape) for name in ("weight", "bias") if name in problem.options}


@given(maps("group", min_space=0))
def test_one_group_is_layer_norm_over_all_but_the_samples(case):
    problem, x = case
    problem.num_groups = problem.options["num_groups"] = 1
    expected = fastnorm.layer_norm(x, **full_rank(problem), axis=tuple(range(1, x.ndim)))
    assert_same(problem, problem.call(x), expected)


@given(maps("group", min_space=0))
def test_a_group_for_each_channel_is_instance_norm(case):
    problem, x = case
    problem.num_groups = problem.options["num_groups"] = x.shape[1]
    parameters = {name: value for name, value in problem.options.items() if name != "num_groups"}
    assert_same(problem, problem.call(x), fastnorm.instance_norm(x, **parameters))


@given(maps("group", channels=st.sampled_from([2, 4, 6, 12, 30])))
def test_groups_are_layer_norms_of_slices(case):
    problem, x = case
    size = x.shape[1] // problem.num_groups
    slices = [x[:, start : start + size] for start in range(0, x.shape[1], size)]
    whole = fastnorm.group_norm(x, problem.num_groups)
    parts = [fastnorm.layer_norm(one, axis=tuple(range(1, x.ndim))) for one in slices]
    bare = Problem("group", problem.x, {"num_groups": problem.num_groups}, 1, problem.num_groups)
    assert_same(bare, whole, np.concatenate(parts, axis=1))


@given(maps("batch", samples=st.just(1)).filter(lambda case: case[1][0, 0].size > 1))
def test_batch_norm_of_one_sample_is_instance_norm(case):
    problem, x = case
    parameters = {name: value for name, value in problem.options.items() if name != "training"}
    assert_same(problem, problem.call(x), fastnorm.instance_norm(x, **parameters))


@given(maps("batch", samples=st.integers(2, 5), min_space=0))
def test_batch_norm_is_layer_norm_over_all_but_the_channels(case):
    problem, x = case
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    assert_same(problem, problem.call(x), fastnorm.layer_norm(x, **full_rank(problem), axis=axes))


@given(maps("batch", samples=st.integers(2, 5)))
def test_evaluation_with_the_statistics_of_the_batch_is_training(case):
    problem, x = case
    mean, var = np.zeros((2, x.shape[1]))
    expected = problem.call(x, running_mean=mean, running_var=var, momentum=1.0, running_ddof=0)
    y = problem.call(x, running_mean=mean, running_var=var, training=False)
    assert_same(problem, y, expected)


@given(maps("instance eval"))
def test_instance_norm_of_given_statistics_is_that_of_batch_norm(case):
    problem, x = case
    options = {name: value for name, value in problem.options.items() if name != "use_input_stats"}
    assert_same(problem, problem.call(x), fastnorm.batch_norm(x, **options))


@given(maps("conditional"))
def test_conditional_instance_norm_is_instance_norm_with_gathered_parameters(case):
    problem, x = case
    labels, weight, bias = (problem.options[name] for name in ("labels", "weight", "bias"))
    expected = fastnorm.instance_norm(x, weight=weight[labels], bias=bias[labels])
    assert_same(problem, problem.call(x), expected)


@given(maps("adaptive"))
def test_adaptive_instance_norm_is_instance_norm_with_the_moments_of_the_style(case):
    problem, x = case
    style = fastnorm.moments(problem.options["style"], axis=tuple(range(2, x.ndim)))
    expected = fastnorm.instance_norm(x, weight=np.sqrt(style.var() + 1e-5), bias=style.mean)
    assert_same(problem, problem.call(x), expected)


@given(maps("instance"))
def test_another_channel_axis_is_a_transpose(case):
    """channel_axis=-1 of the moved axes is channel_axis=1; the result is moved likewise."""
    problem, x = case
    last = np.moveaxis(x, 1, -1)
    y = problem.call(last, channel_axis=-1)
    assert_same(problem, problem.call(x), np.moveaxis(y, -1, 1))
    assert_same(problem, problem.call(x), np.moveaxis(problem.call(last.copy(), channel_axis=-1), -1, 1))


class Layer(Problem):
    """Layer norm over axis 1: what shares a statistic with an element is all that differs from it in that axis."""

    @property
    def shared(self):
        return (2, 3)

    def reference(self, **options):
        return reference.layer_norm(self.x, **{**self.options, "axis": 1, "dtype": np.float64, **options})


@given(maps("instance"))
def test_layer_norm_over_the_channels_is_transpose_norm_transpose(case):
    problem, x = case
    layer = Layer("layer", problem.x, problem.options)
    y = fastnorm.layer_norm(x, **problem.options, axis=1)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    assert_same(layer, y, np.moveaxis(fastnorm.layer_norm(last, **problem.options), -1, 1))
    assert y.strides == np.empty_like(x).strides


@given(maps("standardize", samples=st.integers(2, 30), min_space=0))
def test_standardize_is_layer_norm_without_eps(case):
    """Where no feature is constant: one that is gives 0 here, and NaN there."""
    problem, x = case
    y, _, rstd = problem.call(x, return_stats=True)
    with np.errstate(all="ignore"):
        expected = fastnorm.layer_norm(x, axis=0, eps=0)
    assert_same(problem, y, np.where(rstd == 0, 0, expected).astype(x.dtype))


@given(
    maps("batch", samples=st.integers(2, 5)),
    st.sampled_from(["batch", "instance", "group", "standardize"]),
    st.integers(-(2**19), 2**19),
)
def test_an_integer_added_to_integers_changes_nothing(case, kind, shift):
    """Both inputs are exact in float32, so what differs is the rounding of the norm alone."""
    integers = np.rint(case[0].x.astype(np.float32) * 20)
    options = {"batch": {"training": True}, "group": {"num_groups": 1}}.get(kind, {})
    problem = Problem(kind, integers, options, 1, options.get("num_groups"))
    assert_same(problem, problem.call(), problem.call(integers + np.float32(shift)))


@given(
    DTYPES,
    st.lists(st.integers(0, 40), min_size=1, max_size=8),
    st.integers(1, 20),
    st.integers(0, 99),
    st.randoms(use_true_random=False),
)
def test_moments_of_the_parts_are_the_moments_of_the_whole(dtype, lengths, features, seed, random):
    """In any order of merging."""
    x = normal((sum(lengths), features), dtype, offset=3.0, seed=seed)
    parts = [fastnorm.moments(part, axis=0) for part in np.split(x, np.cumsum(lengths)[:-1])]
    while len(parts) > 1:
        one = parts.pop(random.randrange(len(parts)))
        i = random.randrange(len(parts))
        parts[i] = parts[i].merge(one)
    whole = fastnorm.moments(x, axis=0)
    assert parts[0].count == whole.count == len(x)
    # Each element is added once, each merge rounds a few times more.
    u = (len(x) + 8 * len(lengths)) * UNIT_ROUNDOFF["float64"]
    largest = np.abs(x.astype(np.float64)).max(axis=0, initial=0.0)
    close = {"rtol": 0, "equal_nan": True}
    np.testing.assert_allclose(parts[0].mean, whole.mean, atol=u * largest.max(initial=1.0), **close)
    np.testing.assert_allclose(parts[0].m2, whole.m2, atol=len(x) * u * largest.max(initial=1.0) ** 2, **close)


@given(maps("batch", samples=st.integers(2, 4)), st.integers(1, 8))
def test_running_statistics_reach_those_of_the_population(case, batches):
    """With momentum 1 / (t + 1) they are the plain average over the batches, whatever they began as."""
    problem, _ = case
    x = np.concatenate([problem.x + np.asarray(t, problem.x.dtype) for t in range(batches)])
    parts = np.split(x, batches)
    mean, var = np.full((2, x.shape[1]), 1e3)
    for t, part in enumerate(parts):
        fastnorm.batch_norm(part, mean, var, training=True, momentum=1 / (t + 1))
    n = parts[0][:, 0].size
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    of_parts = [part.astype(np.float64) for part in parts]
    # One batch's statistics round as the arithmetic does, the average of them as float64: thrice for each batch.
    k = roundings(n) * UNIT_ROUNDOFF["float64" if x.dtype == np.float64 else "float32"]
    k += 3 * batches * UNIT_ROUNDOFF["float64"]
    largest = np.abs(x.astype(np.float64)).max() + n * UNIT_ROUNDOFF["float64"]
    expected = np.mean([part.mean(axis=axes) for part in of_parts], axis=0)
    np.testing.assert_allclose(mean, expected, rtol=0, atol=k * largest)
    expected = np.mean([part.var(axis=axes, ddof=1) for part in of_parts], axis=0)
    np.testing.assert_allclose(var, expected, rtol=0, atol=2 * k * largest**2)


def test_population_statistics_are_exact_where_all_is():
    """Powers of two all through: E[mean] and m / (m - 1) E[var] to the last bit."""
    mean, var = np.full(1, 7.0), np.full(1, 9.0)
    for t, part in enumerate([[1.0, 3.0], [5.0, 9.0]]):
        fastnorm.batch_norm(np.array(part)[:, None], mean, var, training=True, momentum=1 / (t + 1))
    assert mean == (2 + 7) / 2
    assert var == (2 + 8) / 2


@pytest.mark.parametrize("wrong", [1e-5, -1e-5])
def test_a_difference_would_fail(wrong):
    """The check itself, on an error in the sixth digit."""
    problem = make("instance", (2, 6, 5, 4))
    y = problem.call()
    assert_same(problem, y, y)
    with pytest.raises(AssertionError):
        assert_same(problem, y, y * np.float32(1 + wrong))
