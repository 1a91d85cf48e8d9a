"""What callers may pass and what they may not.

A refusal is of the right class, names the argument, what came and what was expected, and leaves `out` as it was. What
is accepted at the border (subclasses, lists, integers, empty arrays, memory of every kind, overlaps) gives a plain
ndarray with the bits of the plain call.
"""

import itertools
import re
import tempfile

import ml_dtypes
import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, OTHER_ORDER, dtype_of, normal
from numpy.lib.stride_tricks import as_strided

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import error

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace
X = normal((2, 4), offset=1.0)
SENTINEL = 77


@pytest.fixture(params=["layer_norm", "rms_norm"])
def norm(request):
    """Each public function."""
    return getattr(fastnorm, request.param)


PARAMETERS = ["layer_norm weight", "layer_norm bias", "rms_norm weight"]


@pytest.fixture(params=["layer_norm x", "rms_norm x", *PARAMETERS])
def place(request):
    """Each public function with each of its array_like arguments."""
    function, name = request.param.split()
    return getattr(fastnorm, function), name


def foreign(a):
    """The same values in the other byte order."""
    return a.byteswap().view(a.dtype.newbyteorder())


def mapped(a):
    """The same values in a file."""
    with tempfile.TemporaryFile() as file:
        view = np.memmap(file, a.dtype, "w+", shape=a.shape)
    view[...] = a
    return view


LAYOUTS = LAYOUTS | {"foreign": foreign, "mapped": mapped}


def refuse(norm, x, kind, message, **options):
    """`norm` must refuse, with and without statistics, and leave `out` as it was."""
    if "out" not in options:
        options["out"] = np.full(np.shape(x), SENTINEL, np.float32)
    before = np.array(options["out"]).tobytes()
    for return_stats in (False, True):
        with pytest.raises(kind, match=message):
            norm(x, return_stats=return_stats, **options)
    assert np.array(options["out"]).tobytes() == before


FLOAT8 = (ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn)
KINDS = ("c8", "c16", "O", "U3", "S3", "M8[s]", "m8[s]", np.longdouble, *FLOAT8, ml_dtypes.int4, [("a", "f4")])
BAD_DTYPES = [np.dtype(kind) for kind in KINDS]


@pytest.mark.parametrize("dtype", BAD_DTYPES, ids=str)
def test_dtypes_of_inputs_are_refused(place, dtype):
    norm, name = place
    message = rf"^{name} has dtype {re.escape(str(dtype))}, expected "
    refuse(norm, **{"x": X, name: np.ones(4).astype(dtype)}, kind=TypeError, message=message)


@pytest.mark.parametrize("dtype", [*BAD_DTYPES, np.dtype("i4"), np.dtype("?")], ids=str)
def test_dtypes_of_results_are_refused(norm, dtype):
    message = rf"{re.escape(str(dtype))}, expected float16, bfloat16, float32 or float64$"
    refuse(norm, X, TypeError, "^out has dtype " + message, out=np.zeros(X.shape, dtype))
    refuse(norm, X, TypeError, "^dtype is " + message, dtype=dtype)


@pytest.mark.parametrize("bad", ["float33", "f4,,", 5, [1]])
def test_what_is_no_dtype_is_refused(norm, bad):
    refuse(norm, X, TypeError, rf"^dtype is .*{re.escape(str(bad))}.*, expected ", dtype=bad)


def test_dtype_and_out_must_agree(norm):
    message = "^dtype is float64, but out has dtype float32: expected the same$"
    refuse(norm, X, TypeError, message, dtype="float64")
    refuse(norm, X, TypeError, message.replace("float32", ">f4"), dtype="f8", out=np.zeros(X.shape, ">f4"))


def test_masked_arrays_are_refused(place):
    norm, name = place
    masked = np.ma.array(np.ones(4, np.float32), mask=[0, 1, 0, 0])
    message = f"^{name} is a masked array, whose mask would be ignored; pass {name}.filled"
    refuse(norm, **{"x": X, name: masked}, kind=TypeError, message=message)


def test_ragged_lists_are_refused(place):
    norm, name = place
    refuse(norm, **{"x": X, "out": None, name: [[1, 2], [3]]}, kind=ValueError, message=rf"^{name}\b")


@pytest.mark.parametrize("place", PARAMETERS, indirect=True)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(3,), (5,), (1,), (0,), (), (3, 4), (2, 3), (4, 1), (1, 2, 4), (2, 4, 1)])
def test_shapes_of_parameters_are_refused(place, shape, dtype):
    norm, name = place
    expected = r"expected \(4,\) for x of shape \(2, 4\) normalised over axis -1$"
    message = rf"^{name} has shape {re.escape(str(shape))}, {expected}"
    refuse(norm, X, ValueError, message, **{name: np.ones(shape, dtype)})


def test_shapes_of_parameters_over_several_axes(norm):
    x = normal((2, 3, 4))
    over = r" for x of shape \(2, 3, 4\) normalised over axes \(-2, -1\)$"
    for shape in [(12,), (4,), (4, 3), (3, 4, 1), (3, 1)]:
        message = rf"^weight has shape {re.escape(str(shape))}, expected \(3, 4\)" + over
        refuse(norm, x, ValueError, message, weight=np.ones(shape), axis=(2, 1))
    refuse(norm, np.ones((0, 4)), ValueError, r"^weight has shape \(3,\), expected \(4,\)", weight=np.ones(3))


NO_AXES = (1.0, None, "0", b"0", (0.5,), (None,), {0}, np.array([0, 1]), np.float32(1), 1j)
AXES = [
    *((axis, AxisError, f"axis {axis} is out of bounds for array of dimension 2") for axis in (2, -3, 10**30)),
    ((0, 2), AxisError, "axis 2 is out of bounds for array of dimension 2"),
    *((axis, ValueError, "^axis is empty, expected at least one") for axis in ((), [])),
    *((axis, ValueError, "^axis is .*, which names an axis of x twice") for axis in ((0, 0), (1, -1), [-2, 0])),
    *((axis, TypeError, "^axis (is|has type) .*, expected an int or a tuple of ints") for axis in NO_AXES),
]


@pytest.mark.parametrize(("axis", "kind", "message"), AXES, ids=lambda value: str(value)[:20])
def test_axes_are_refused(norm, axis, kind, message):
    refuse(norm, X, kind, message, axis=axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [1, -2, 7, -(2**70)])
def test_axes_of_a_vector_are_refused(norm, axis, dtype):
    x = normal((4,), dtype)
    message = f"axis {axis} is out of bounds for array of dimension 1"
    refuse(norm, x, AxisError, message, axis=axis, out=x.copy())
    with pytest.raises(AxisError, match="dimension 1"):
        norm(x, axis=axis)


def test_no_axes_are_refused(norm):
    for x in (3.0, np.float32(3), np.array(3)):
        refuse(norm, x, AxisError, "axis -1 is out of bounds for array of dimension 0")
    refuse(norm, 3.0, ValueError, "^axis is empty", axis=())


@pytest.mark.parametrize("eps", [-1e-9, -1, np.nan, np.inf, -np.inf, 10**400], ids=lambda value: str(value)[:20])
def test_values_of_eps_are_refused(norm, eps):
    refuse(norm, X, ValueError, r"^eps is .*, expected a finite number >= 0$", eps=eps)


@pytest.mark.parametrize("eps", ["1e-5", b"1e-5", None, 1j, [1e-5], np.full(2, 1e-5), "much"], ids=repr)
def test_what_is_no_eps_is_refused(norm, eps):
    refuse(norm, X, TypeError, rf"^eps is {re.escape(repr(eps))}, expected a number$", eps=eps)


RESULTS = {
    "too short": (np.zeros((2, 3), "f4"), ValueError, r"has shape \(2, 3\), expected \(2, 4\), the shape of x$"),
    "transposed": (np.zeros((4, 2), "f4"), ValueError, r"has shape \(4, 2\), expected \(2, 4\)"),
    "too many axes": (np.zeros((1, 2, 4), "f4"), ValueError, r"has shape \(1, 2, 4\), expected \(2, 4\)"),
    "read-only": (LAYOUTS["read-only"](X), ValueError, "is read-only, expected a writeable array$"),
    "broadcast": (np.broadcast_to(np.zeros(4, "f4"), (2, 4)), ValueError, "is read-only"),
    "masked": (np.ma.zeros((2, 4), "f4"), TypeError, "has type MaskedArray, expected an unmasked numpy.ndarray$"),
    "list": ([[0.0] * 4] * 2, TypeError, "has type list, expected an unmasked numpy.ndarray$"),
    "scalar": (np.float32(1), TypeError, "has type float32, expected an unmasked numpy.ndarray$"),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results_are_refused(norm, case):
    out, kind, message = RESULTS[case]
    refuse(norm, X, kind, "^out " + message, out=out)


def test_options_are_keywords(norm):
    with pytest.raises(TypeError, match="positional argument"):
        norm(X, None, None, -1)


class Subclass(np.ndarray):
    """Nothing but another class."""


@pytest.mark.parametrize("make", [np.matrix, lambda a: a.view(Subclass), lambda a: a.view(np.memmap)])
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_give_a_plain_array(norm, make):
    y, *statistics = norm(make(X), weight=make(X)[:1], return_stats=True)
    assert {type(one) for one in (y, *statistics, norm(make(X)))} == {np.ndarray}
    assert y.tobytes() == norm(X, weight=X[:1]).tobytes()
    out = make(np.zeros_like(X))
    assert norm(X, out=out) is out
    assert out.tobytes() == norm(X).tobytes()


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "uint64", ">i4"])
def test_integers_are_converted_to_float64(norm, dtype):
    x = np.array([[0, 1, 1, 3], [2, 0, 5, 100]]).astype(dtype)
    assert norm(x).tobytes() == norm(x.astype(float)).tobytes()
    assert norm(x, weight=x[1]).tobytes() == norm(x.astype(float), weight=x[1].astype(float)).tobytes()
    assert norm(x, dtype="float32").dtype == norm(x, out=np.zeros(x.shape, "f4")).dtype == np.float32


def test_lists_are_arrays(norm):
    assert norm(X.tolist()).tobytes() == norm(X.astype(float)).tobytes()
    assert norm([[1, 2, True]]).tobytes() == norm(np.array([[1.0, 2.0, 1.0]])).tobytes()
    assert norm(X, [1, 2, 3, 4]).tobytes() == norm(X, np.array([1, 2, 3, 4], "f4")).tobytes()
    assert norm(X, axis=[0, 1]).tobytes() == norm(X, axis=(1, 0)).tobytes()
    assert norm(X, axis=np.int8(1), eps=np.float64(1e-3)).tobytes() == norm(X, eps=1e-3).tobytes()
    assert norm(X, eps=0).tobytes() == norm(X, eps=-0.0).tobytes()


EMPTY = [((0,), 0), ((2, 0), -1), ((0, 4), -1), ((0, 4), 0), ((0, 0), 1), ((2, 0, 3), (1, 2)), ((2, 0, 3), (0, 2))]


@pytest.mark.parametrize("dtype", [*DTYPES, "int64", ">f4"])
@pytest.mark.parametrize(("shape", "axis"), EMPTY)
def test_empty(norm, shape, axis, dtype):
    x = np.empty(shape, dtype_of(dtype))
    own = [shape[i] for i in sorted(np.atleast_1d(axis) % len(shape))]
    expected = dtype_of("float64" if dtype == "int64" else dtype.replace(">", ""))
    y, *statistics = norm(x, np.ones(own), axis=axis, return_stats=True)
    for one in (y, norm(x, axis=axis)):
        assert (one.shape, one.dtype) == (shape, expected)
    for one in statistics:
        assert one.dtype == np.float64
        assert one.shape == x.astype(float).sum(axis=axis, keepdims=True).shape
        assert np.isnan(one).all()
    out = np.empty(shape, np.float16)
    assert norm(x, axis=axis, out=out) is out


def test_empty_but_huge(norm):
    assert norm(np.broadcast_to(np.empty((1, 0), "f4"), (2**40, 0))).shape == (2**40, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["x", "weight", "bias", "out"])
def test_memory_of_every_kind(name, layout, dtype):
    arrays = {"x": normal((3, 40), dtype, offset=1.0), "weight": normal(40, dtype), "bias": normal(40, dtype)}
    expected = fastnorm.layer_norm(**arrays)
    arrays["out"] = np.full(expected.shape, SENTINEL, expected.dtype)
    before = {key: value.tobytes() for key, value in arrays.items() if key != "out"}
    arrays[name] = LAYOUTS[layout](arrays[name])
    if name == "x" and layout in OTHER_ORDER:  # bits follow x's memory order
        expected = fastnorm.layer_norm(**arrays | {"x": arrays["x"].copy(order="K"), "out": None})
    if (name, layout) == ("out", "read-only"):
        refuse(fastnorm.layer_norm, **arrays, kind=ValueError, message="^out is read-only")
        return
    y = fastnorm.layer_norm(**arrays)
    assert y is arrays["out"]
    assert y.astype(expected.dtype).tobytes() == expected.tobytes()
    for key, value in before.items():
        assert arrays[key].astype(expected.dtype).tobytes() == value


@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8"])
def test_foreign_results_are_asked_for_by_out_alone(norm, dtype):
    x = foreign(X.astype(np.dtype(dtype).newbyteorder()))
    assert norm(x).dtype.isnative
    assert norm(x, dtype=dtype).tobytes() == norm(x).tobytes()
    expected = norm(x)
    assert norm(x, out=x, dtype=dtype) is x
    assert np.array_equal(x, expected)


BROADCAST = {
    "rows": (np.broadcast_to(normal(40), (3, 5, 40)), -1),
    "middle": (np.broadcast_to(normal((3, 1, 40)), (3, 5, 40)), -1),
    "along the normalised axis": (np.broadcast_to(normal((3, 5, 1)), (3, 5, 40)), -1),
    "part of the normalised axes": (np.broadcast_to(normal((3, 1, 40)), (3, 5, 40)), (1, 2)),
    "one element": (np.broadcast_to(np.float32(3), (3, 5, 40)), (0, 2)),
    "huge": (np.broadcast_to(normal(8), (500, 1000, 8)), -1),
    "windows": (as_strided(normal(60), (12, 40), (4, 4), writeable=False), -1),
    "windows down": (as_strided(normal(60), (12, 40), (4, 4), writeable=False), 0),
}


@pytest.mark.parametrize("case", BROADCAST)
def test_elements_that_share_memory(norm, case):
    x, axis = BROADCAST[case]
    y = norm(x, axis=axis)
    assert y.strides == np.empty_like(x).strides
    assert error(y, x, axis=axis, reference_function=getattr(reference, norm.__name__)) <= 1
    out = np.full(x.shape, SENTINEL, np.float32)
    assert np.array_equal(norm(x, axis=axis, out=out), y)


def test_result_has_the_memory_order_of_empty_like(norm):
    big = normal((4, 6, 5, 3))
    for axes in itertools.permutations(range(4)):
        x = big.transpose(axes)
        for view in (x, x[1:, :2], x[:, ::-1, :, ::-1], x[..., :1], x[:, None, :1], x[::2, :, ::2]):
            for dtype in (None, "float64", "float16"):
                y = norm(view, dtype=dtype, axis=(0, 1))
                assert y.strides == np.empty_like(view, dtype=dtype).strides


@pytest.mark.parametrize("length", [1, 5])
def test_axes_of_length_1(norm, length):
    values, weight = normal((3, length), offset=1.0), normal(length, seed=1)
    expected, *statistics = norm(values, weight, return_stats=True)
    shapes = [((1, 3, 1, length, 1), (3, 4)), ((3, 1, 1, length), (1, -1)), ((1,) * 29 + (3, length), -1)]
    for shape, axis in shapes:
        plain = values.reshape(shape)
        strides = [999 if n == 1 else step for n, step in zip(shape, plain.strides, strict=True)]
        for x in (plain, as_strided(values, shape, strides)):
            own = weight.reshape([shape[i] for i in sorted(np.atleast_1d(axis) % len(shape))])
            y, *others = norm(x, own, axis=axis, return_stats=True)
            assert y.tobytes() == expected.tobytes()
            assert [one.tobytes() for one in others] == [one.tobytes() for one in statistics]
            assert others[0].shape == x.sum(axis=axis, keepdims=True).shape


def shifted(rows, elements):
    """A result that starts this far from x, in the same memory."""
    return lambda flat, x: flat[(1 + rows) * x.shape[1] + elements :][: x.size].reshape(x.shape)


OVERLAPS = {
    "itself": lambda flat, x: x,
    "a row down": shifted(1, 0),
    "a row up": shifted(-1, 0),
    "an element on": shifted(0, 1),
    "an element back": shifted(0, -1),
    "half a row on": shifted(0, 16),
    "rows reversed": lambda flat, x: x[::-1],
    "elements reversed": lambda flat, x: x[:, ::-1],
    "both reversed": lambda flat, x: x[::-1, ::-1],
    "transposed": lambda flat, x: x.T,
    "narrower": lambda flat, x: x.reshape(-1).view("f2")[: x.size].reshape(x.shape),
    "wider": lambda flat, x: flat.view("f8")[: x.size].reshape(x.shape),
    "half an element on": lambda flat, x: flat.view("u1")[2:][: x.nbytes].view("f4").reshape(x.shape),
}


@pytest.mark.parametrize("side", [32, 1024], ids=["small", "threads"])
@pytest.mark.parametrize("case", OVERLAPS)
def test_result_overlaps_x(norm, case, side):
    flat = normal(2 * (side + 2) * side, offset=1.0)
    x = flat[side:][: side * side].reshape(side, side)
    out = OVERLAPS[case](flat, x)
    assert np.shares_memory(out, x)
    expected = norm(x.copy(), dtype=out.dtype)
    with fastnorm.threads(2):
        assert norm(x, out=out) is out
    assert np.array_equal(out, expected)


def test_x_that_overlaps_itself_in_place(norm):
    """Where elements of x share memory, out=x keeps one of their results: each from the x that came."""
    memory = normal(64, offset=1.0)
    x = as_strided(memory, (8, 16), (16, 4))
    expected = norm(x.copy())
    norm(x, out=x)
    for place in range(44):
        candidates = [expected[row, place - 4 * row] for row in range(8) if 0 <= place - 4 * row < 16]
        assert memory[place] in candidates, place


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("in_place", [False, True])
def test_result_overlaps_parameters(in_place, axis, dtype):
    memory = normal((16, 16), dtype, offset=1.0)
    x = memory if in_place else normal((16, 16), dtype, seed=1)
    for weight, bias in [(memory[3], memory[7]), (memory[:, 2], None), (None, memory[0, ::-1]), (memory, memory.T)]:
        kept, expected = memory.copy(), fastnorm.layer_norm(x, weight, bias, axis=axis)
        fastnorm.layer_norm(x, weight, bias, axis=axis, out=memory)
        assert np.array_equal(memory, expected)
        memory[...] = kept


@pytest.mark.parametrize("axis", [4, 1, (0, 2), (1, 3, 4), (0, 1, 2, 3, 4)])
def test_parameters_that_vary_over_any_axes(axis):
    """Per sample, per position, constant along the normalised axes, and every mixture of weight and bias."""
    x = normal((2, 3, 2, 3, 4), offset=1.0)
    masks = list(itertools.product((False, True), repeat=5))
    for pair in zip(masks, masks[7:] + masks[:7], strict=True):
        weight, bias = (normal(np.where(mask, x.shape, 1), seed=2) for mask in pair)
        y = fastnorm.layer_norm(x, weight, bias, axis=axis)
        assert error(y, x, weight, bias, axis=axis, reference_function=reference.layer_norm) <= 1, pair
        y = fastnorm.rms_norm(x, weight, axis=axis)
        assert error(y, x, weight, axis=axis, reference_function=reference.rms_norm) <= 1, pair
