"""The same bits for the same input: for any number of threads, batch, position and alignment."""

import numpy as np
import pytest
from arrays import DTYPES, OTHER_ORDER, SAME_ORDER, dtype_of, normal, swapped

import fastnorm

SHAPES = [(64, 768), (3, 300_001), (2000, 257), (5, 70_001), (1, 1_000_003)]


def both(x, weight=None, **options):
    return fastnorm.layer_norm(x, weight, **options).tobytes() + fastnorm.rms_norm(x, weight, **options).tobytes()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_threads(shape, scale):
    x = normal(shape, offset=1.0) * np.float32(scale)
    results = set()
    for n in (1, 2, 3, 7, 16):
        with fastnorm.threads(n):
            results.add(both(x))
    assert len(results) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [5, 64, 769, 5000, 200_001])
def test_a_row_alone_and_in_any_batch(length, dtype):
    x = normal((7, length), dtype, offset=1.0)
    whole = fastnorm.layer_norm(x)
    for split in (1, 3, 6):
        parts = [fastnorm.layer_norm(x[:split]), fastnorm.layer_norm(x[split:])]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert b"".join(fastnorm.layer_norm(row).tobytes() for row in x) == whole.tobytes()


@pytest.mark.parametrize("length", [40, 1000])
def test_alignment(length):
    values = normal((3, length), offset=1.0)
    results = set()
    for offset in range(16):
        memory, target = np.zeros(values.size + 16, np.float32), np.zeros(values.size + 16, np.float32)
        x = memory[offset:][: values.size].reshape(values.shape)
        x[...] = values
        out = target[15 - offset :][: values.size].reshape(values.shape)
        results |= {both(x), both(x, out=out)}
    assert len(results) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", SAME_ORDER)
@pytest.mark.parametrize(("shape", "axis"), [((6, 1300), -1), ((3, 4, 50), (1, 2)), ((3, 40, 5), 1)])
def test_strides_of_the_same_order(shape, axis, layout, dtype):
    values = normal(shape, dtype, offset=1.0)
    expected = fastnorm.layer_norm(values, axis=axis).tobytes()
    x = SAME_ORDER[layout](values)
    assert fastnorm.layer_norm(x, axis=axis).tobytes() == expected
    for out_layout in (*SAME_ORDER, *OTHER_ORDER):
        if out_layout != "read-only":
            out = (SAME_ORDER | OTHER_ORDER)[out_layout](np.zeros_like(values))
            assert fastnorm.layer_norm(x, axis=axis, out=out).tobytes() == expected


@pytest.mark.parametrize("axis", [(0, 1), (0, 2), (1, 2), 1, -1])
def test_broadcast_input_however_it_is_copied(axis):
    """Unaligned and byte-swapped input is copied first: the copy must keep the order of the sums."""
    for values, shape in [(normal((1, 35, 40)), (3, 35, 40)), (normal((11, 1, 30)), (11, 9, 30))]:
        expected = fastnorm.layer_norm(np.broadcast_to(values, shape), axis=axis)
        for copied in (SAME_ORDER["unaligned"](values), swapped(values)):
            assert np.array_equal(fastnorm.layer_norm(np.broadcast_to(copied, shape), axis=axis), expected)


@pytest.mark.parametrize("layout", OTHER_ORDER)
def test_a_crop_of_another_order(layout):
    """Fortran or channels-last: the dense copy that keeps the order is the judge."""
    big = OTHER_ORDER[layout](normal((6, 12, 7)))
    crop = big[1:-1, 2:-2, 1:-1]
    dense = crop.copy(order="K")
    assert dense.strides != crop.strides
    for axis in (-1, 1, (0, 2)):
        assert np.array_equal(fastnorm.layer_norm(crop, axis=axis), fastnorm.layer_norm(dense, axis=axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place_and_dtype(dtype):
    x = normal((9, 777), dtype, offset=1.0)
    expected = fastnorm.layer_norm(x)
    assert fastnorm.layer_norm(x, dtype=dtype_of(dtype)).tobytes() == expected.tobytes()
    y, _, _ = fastnorm.layer_norm(x, return_stats=True)
    assert y.tobytes() == expected.tobytes()
    assert fastnorm.layer_norm(x, out=x) is x
    assert x.tobytes() == expected.tobytes()
