"""Properties on random shapes, axes, memory and values; and what a call may allocate."""

import tracemalloc

import numpy as np
import pytest
from arrays import normal
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import error

FLOATS = st.sampled_from([np.float32, np.float64, np.float16])


@st.composite
def strided(draw):
    """Any transposed, sliced or reversed view, and its axes to normalise over."""
    dtype = draw(FLOATS)
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=5, max_side=9))
    big = [length + draw(st.integers(0, 2)) for length in shape]
    limit = 100.0 if dtype == np.float16 else 1e4
    values = draw(hnp.arrays(dtype, big, elements=st.floats(-limit, limit, width=16), fill=st.just(1.5)))
    slices = tuple(slice(0, length) for length in shape)
    x = values[slices]
    x = x[tuple(slice(None, None, draw(st.sampled_from([1, -1, 2]))) for _ in shape)]
    x = x.transpose(draw(st.permutations(range(x.ndim))))
    axes = draw(st.lists(st.sampled_from(range(x.ndim)), min_size=1, unique=True))
    return x, tuple(axes)


@given(strided(), st.booleans(), st.sampled_from([1e-5, 1.0]))
def test_layer_norm_is_the_reference(case, center, eps):
    x, axes = case
    y = fastnorm.layer_norm(x, axis=axes, center=center, eps=eps)
    assert y.dtype == x.dtype
    options = {"axis": axes, "center": center, "eps": eps}
    if x.dtype != np.float64:
        assert error(y, x, reference_function=reference.layer_norm, **options) <= 1
        return
    # Here the reference's own rounding of the mean shows, magnified where the data is nearly constant.
    expected, mean, rstd = reference.layer_norm(x, **options, return_stats=True)
    allowed = 2.0**-53 * (8 * np.abs(expected) + 16 * (1 + np.abs(x - mean).max() + np.abs(mean)) * rstd)
    assert (np.abs(y - expected) <= allowed).all()


@given(strided())
def test_statistics_normalise_the_input(case):
    x, axes = case
    y, mean, rstd = fastnorm.layer_norm(x, axis=axes, dtype=np.float64, return_stats=True)
    wide = x.astype(np.float64)
    bound = 2.0**-40 * (1 + np.abs(wide).max(initial=0)) * np.abs(rstd).max(initial=1)
    assert (np.abs(y - (wide - mean) * rstd) <= bound).all()


@given(strided(), st.data())
def test_out_of_any_memory_gives_the_same_bits(case, data):
    x, axes = case
    expected = fastnorm.layer_norm(x, axis=axes)
    order = data.draw(st.permutations(range(x.ndim)))
    out = np.empty([x.shape[axis] for axis in order], x.dtype).transpose(np.argsort(order))
    assert fastnorm.layer_norm(x, axis=axes, out=out) is out
    assert out.tobytes() == expected.tobytes()


@given(strided(), st.integers(-2, 2), st.data())
def test_overlap_gives_what_separate_memory_gives(case, shift, data):
    """out shares x's memory, moved by some elements."""
    x, axes = case
    memory = np.zeros(x.size + 4, x.dtype)
    source = memory[2 : 2 + x.size].reshape(x.shape)
    source[...] = x
    expected = fastnorm.layer_norm(source.copy(), axis=axes)
    target = memory[2 + shift : 2 + shift + x.size].reshape(x.shape)
    if data.draw(st.booleans()):
        target = target[::-1]
    fastnorm.layer_norm(source, axis=axes, out=target)
    assert target.tobytes() == expected.tobytes()


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 70)), elements=st.floats(width=32)))
def test_any_values_at_all(x):
    """NaN, infinities, subnormals, the largest: no crash, no warning, and each row stands for itself."""
    y = fastnorm.layer_norm(x)
    rms = fastnorm.rms_norm(x)
    for i, row in enumerate(x):
        assert fastnorm.layer_norm(row).tobytes() == y[i].tobytes()
        assert fastnorm.rms_norm(row).tobytes() == rms[i].tobytes()
        assert np.isfinite(y[i]).all() == np.isfinite(row).all()


@pytest.mark.parametrize("function", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_no_temporary_of_the_size_of_the_input(function, dtype):
    x = normal((1000, 1000), dtype)
    out = np.empty_like(x)
    weight = normal(1000, dtype)
    call = getattr(fastnorm, function)
    call(x, weight, out=out)
    tracemalloc.start()
    try:
        call(x, weight, out=out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    assert error(out, x, weight, reference_function=getattr(reference, function)) <= 1
