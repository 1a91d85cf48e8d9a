"""Random calls of every public function, right and wrong ones, on memory of every kind; and what must hold of each.

A call that is right in all gives what the formula gives, and changes no byte beside its results. One with something
wrong raises an error that names it, and changes no byte at all.

`test_fuzz_calls` makes some. `python tests/fuzz_calls.py --seconds N --seed S` makes as many as it can in that time and
prints how many had which outcome; what it finds is printed with its number.
"""

import argparse
import functools
import inspect
import re
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from arrays import DTYPES, dtype_of
from odd_memory import GAP, Chance, Sub, lay, marked, overlaps_itself
from signatures import FAMILIES, Call, calls, parts

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import UNIT_ROUNDOFF

INTEGERS = ["int8", "uint8", "int32", "int64", "bool"]
UNSUPPORTED = ["complex64", "object", "S3", "datetime64[s]"]
UNSUPPORTED += ["longdouble"] * (np.dtype("longdouble") != np.float64)
LENGTHS = [1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64, 65, 130]
MOST = 6000  # elements
RUNNING = ("running_mean", "running_var")

# Other values of arguments that are as right, and wrong ones.
RIGHT = {
    "eps": [1e-5, 0.0, 1, np.float32(0.1), True],
    "momentum": [0.1, 0, 1, np.float64(0.5)],
    "running_ddof": [0, 1, np.int8(1)],
    "rng": [0, 3, np.random.SeedSequence(5)],
    "size": [1, 2, 9, 2**70],
    "alpha": [1e-4, 1, 0.5],
    "beta": [0.75, 0.5, 1, 0.3],
    "k": [1.0, 2],
    "feature_range": [(0, 1), (-1.0, 3.5), [0, 2]],
    "dtype": [None, *DTYPES, ">f4", np.float64],
    "activation": ["identity", "relu", "sigmoid", "tanh"],
    "scale": [None, 0.5, -2],
    "ddof": [0, 1, -3, 5, 10**6],
}
WRONG = {
    "eps": [-1.0, np.nan, np.inf, "1", None, 1j, [1.0]],
    "axis": [99, -99, "0", 1.0, (), (0, 0), (0, 99), {0}, np.array([0.0])],
    "channel_axis": [99, -99, "1", 1.5, None, (1,), 2**80],
    "momentum": [-0.1, 1.1, np.nan, "x", None],
    "running_ddof": [2, -1, 1.0, None],
    "num_groups": [0, -1, 1.5, None, "2"],
    "training": ["no", 1, None],
    "use_input_stats": ["no", 1, None],
    "dtype": [*UNSUPPORTED, "int32", "nonsense"],
    "p": [np.nan, "2", None, 1j],
    "rng": [-1, "x", 1.5],
    "size": [0, -1, 1.5, "3", None],
    "alpha": [np.inf, np.nan, "x", None],
    "beta": [np.inf, np.nan, "x", None],
    "k": [-np.inf, np.nan, "x", None],
    "feature_range": [(1, 0), (0, 0), (np.nan, 1), 5, "ab", (0, 1, 2), (0, 1e400), None],
    "scale": [0, np.nan, np.inf, "x"],
    "layout": ["CHW", None, 3],
    "activation": ["gelu", None, 2],
    "ddof": [1.5, 2**60, None, "1"],
}
WRONG_PROBABILITY = [-0.1, 1.1, np.nan, True, "x", None]
MAY_BE_NONE = ("weight", "bias", "gain", "out")


@dataclass
class Trial:
    """A call, the memory that its arrays lie in, and the arguments that an error may name."""

    call: Call
    arguments: dict[str, Any]
    memory: list[np.ndarray] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    may_be_right: bool = False  # another shape, which may fit
    odd_values: bool = False  # NaN and infinities, which other tests compare

    @property
    def takes(self):
        return parameters_of(self.call.function)

    def lay(self, chance, values, dtype, **options):
        array, memory = lay(chance, values, dtype_of(dtype) if isinstance(dtype, str) else dtype, **options)
        self.memory.append(memory)
        return array

    def __str__(self):
        def shown(value):
            if not isinstance(value, np.ndarray):
                return f"{value!s:.200}"
            flags = "" if value.flags.writeable else ", read-only"
            return f"{type(value).__name__}({value.shape}, {value.dtype}, strides {value.strides}{flags})"

        arguments = ", ".join(f"{name}={shown(value)}" for name, value in self.arguments.items())
        return f"{self.call.function}({arguments}), wrong: {sorted(self.wrong)}"


@functools.cache
def parameters_of(function):
    return frozenset(inspect.signature(getattr(fastnorm, function)).parameters)


some_calls = functools.lru_cache(maxsize=2000)(calls)


def make(chance):
    """A random call."""
    family, rank = chance.choice(list(FAMILIES)), chance.number(1, 4)
    shape = [chance.choice(LENGTHS) for _ in range(rank)]
    while np.prod(shape) > MOST:
        shape[chance.number(0, rank - 1)] = 2
    if chance.once_in(12):
        shape[chance.number(0, rank - 1)] = 0
    channel_axis = chance.choice([1, -1, rank - 1]) if rank > 1 else 0
    table = some_calls(tuple(shape), chance.choice(DTYPES), channel_axis, (family,))
    call = table[chance.choice(list(table))]
    trial = Trial(call, dict(call.options))
    place_inputs(chance, trial)
    change_options(chance, trial)
    place_output(chance, trial)
    for name in list(trial.arguments):
        change_form(chance, trial, name)
    if chance.once_in(3):
        spoil(chance, trial)
    out = trial.arguments.get("out")
    if trial.call.function in ("batch_norm", "instance_norm") and isinstance(out, np.ndarray):
        arrays = [trial.arguments[name] for name in RUNNING if isinstance(trial.arguments.get(name), np.ndarray)]
        if any(np.shares_memory(one, out) for one in arrays):
            trial.wrong |= set(RUNNING)
    return trial


def place_inputs(chance, trial):
    """Of any dtype, in any memory. Quarters, that every dtype holds and of which some statistics are constant."""
    call = trial.call
    for place, (name, one) in enumerate(call.arrays.items()):
        dtype, values = one.dtype, one
        if name == "labels":
            dtype = chance.choice(["int64", "int64", "uint8", "int32"])
        elif one.dtype != np.uint8:  # bytes of an image stay bytes
            span = chance.choice([40, 2])
            rng = np.random.default_rng(chance.number(0, 1 << 16))
            values = rng.integers(-span, span, one.shape, endpoint=True) / 4
            if name in ("running_var", "std"):
                values = np.abs(values) + 1
            if place == 0 and one.size and chance.once_in(20):
                values.flat[chance.number(0, one.size - 1)] = chance.choice([np.nan, np.inf, -np.inf, 1e30])
                trial.odd_values = True
            if chance.once_in(3):
                dtype = chance.choice(DTYPES if name == "image" or name in RUNNING else DTYPES + INTEGERS)
        trial.arguments[name] = trial.lay(chance, values, dtype, written=name in call.moves)
    for name in ("weight", "bias"):
        if name in call.arrays and "channel_axis" in call.options and "labels" not in call.arrays and chance.once_in(6):
            trial.arguments[name] = None


def change_options(chance, trial):
    """Other values that are as right."""
    for name in sorted(trial.takes & set(RIGHT)):
        if (name in trial.call.options or name in ("eps", "dtype", "momentum")) and chance.once_in(4):
            trial.arguments[name] = chance.choice(RIGHT[name])
    if list(trial.call.arrays) == ["x"] and "axis" in trial.call.options and chance.once_in(2):
        rank = trial.arguments["x"].ndim
        axes = [axis - rank * chance.once_in(3) for axis in range(rank) if chance.once_in(2)]
        trial.arguments["axis"] = tuple(axes) or chance.number(-rank, rank - 1)
    if trial.call.details and chance.once_in(2):
        trial.arguments[trial.call.details] = True


def place_output(chance, trial):
    """None; apart; x itself; or in the memory of some argument."""
    shape, kind = trial.call.out, chance.choice(["none", "apart", "apart", "input", "over", "around"])
    if shape is None or kind == "none":
        return
    x, dtype = trial.arguments[next(iter(trial.call.arrays))], dtype_of(chance.choice(DTYPES))
    memory = chance.choice(trial.memory)
    left = memory.size - int(np.prod(shape)) * dtype.itemsize
    if kind == "input" and x.shape == shape and x.dtype.kind in "fV":
        out = x
    elif kind == "over" and left >= 0:
        out = np.ndarray(shape, dtype, memory, chance.number(0, min(left, 32)))
        out = out[::-1] if chance.once_in(3) else out
    elif kind == "around":
        out = around(chance, trial, np.empty(shape, dtype))
    else:
        out = trial.lay(chance, np.full(shape, 77.0), dtype, written=True)
    trial.arguments["out"] = out
    asked = trial.arguments.get("dtype")
    if asked is not None and native(dtype_of(asked) if isinstance(asked, str) else np.dtype(asked)) != native(
        out.dtype
    ):
        trial.arguments["dtype"] = None


def around(chance, trial, like):
    """An array that some argument lies in or beside, which moves there."""
    names = [name for name in trial.call.arrays if trial.arguments[name] is not None]
    name = chance.choice(names)
    one = trial.arguments[name]
    memory = np.full(like.nbytes + one.nbytes + 64, GAP, np.uint8)
    trial.memory.append(memory)
    moved = np.ndarray(one.shape, one.dtype, memory, chance.number(0, like.nbytes // 8) * 8)
    moved[...] = one
    trial.arguments[name] = moved
    return np.ndarray(like.shape, like.dtype, memory, 8 * chance.number(0, 4))


def native(dtype):
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def change_form(chance, trial, name):
    """The same array as a list, a subclass, or read-only."""
    one = trial.arguments[name]
    if not isinstance(one, np.ndarray):
        return
    is_read = name not in (*trial.call.moves, "out") and trial.arguments.get("out") is not one
    if is_read and name not in RUNNING and one.dtype == np.float64 and one.size and chance.once_in(12):
        trial.arguments[name] = one.tolist()
    elif chance.once_in(8):
        trial.arguments[name] = one.view(np.matrix if one.ndim == 2 and chance.once_in(2) else Sub)
    elif is_read and chance.once_in(6):
        trial.arguments[name] = one[...]
        trial.arguments[name].flags.writeable = False


def spoil(chance, trial):
    """Make one argument wrong."""
    candidates = [name for name, one in trial.arguments.items() if name in WRONG or isinstance(one, np.ndarray)]
    name = chance.choice(sorted(candidates) or ["eps"])
    if not isinstance(trial.arguments.get(name), np.ndarray):
        is_probability = name == "p" and trial.call.function == "dropout"
        trial.arguments[name] = chance.choice(WRONG_PROBABILITY if is_probability else WRONG[name])
        trial.wrong.add(name)
    else:
        spoil_array(chance, trial, name, trial.arguments[name])


def spoil_array(chance, trial, name, one):
    is_state = name == "out" or (name in RUNNING and trial.call.function in ("batch_norm", "instance_norm"))
    kind = chance.choice(["dtype", "masked", "shape", "none", "list", "read-only"])
    trial.wrong.add(name)
    if kind == "shape":
        lengths = (*one.shape, 3) if chance.once_in(2) else [n + 1 for n in one.shape]
        trial.arguments[name] = np.zeros(lengths, one.dtype)
        trial.wrong |= {*trial.call.arrays, "out", "axis", "channel_axis", "num_groups"}
        trial.may_be_right = True
    elif kind == "none" and name not in MAY_BE_NONE:
        trial.arguments[name] = None
        trial.wrong |= set(RUNNING) & set(trial.call.arrays)
    elif kind == "list" and is_state:
        trial.arguments[name] = one.tolist()
    elif kind == "read-only" and name in ("out", *trial.call.moves):
        trial.arguments[name] = one[...]
        trial.arguments[name].flags.writeable = False
    elif kind == "masked":
        trial.arguments[name] = np.ma.array(np.asarray(one))
    else:
        kinds = UNSUPPORTED + ["int32"] * (is_state or name == "image") + ["float16"] * (name == "labels")
        trial.arguments[name] = np.zeros(one.shape, chance.choice(kinds))


def expected(trial):
    """What the formula gives in float64, and where it moves the running arrays."""
    arguments = {name: one for name, one in trial.arguments.items() if name not in ("out", "dtype")}
    for name in trial.call.arrays:
        one = None if arguments[name] is None else np.asarray(arguments[name])
        if one is not None:
            arguments[name] = np.array(one) if one.dtype == np.uint8 or name == "labels" else one.astype(np.float64)
    if "dtype" in trial.takes:
        arguments["dtype"] = np.float64
    with np.errstate(all="ignore"):
        found = getattr(reference, trial.call.function)(**arguments)
    return parts(found), [arguments[name] for name in trial.call.moves]


def near(got, wanted, unit):
    """Within some thousand units of the largest number: a wrong element, axis or stride is off by far more."""
    if got.shape != np.shape(wanted):
        return False
    with np.errstate(all="ignore"):
        unit = 4000 * unit + 1.01 * UNIT_ROUNDOFF.get(got.dtype.name, 0)
        finite = np.abs(wanted[np.isfinite(wanted)])
        stored = np.asarray(wanted).astype(got.dtype).astype(np.float64)  # infinite where the dtype ends
        got = got.astype(np.float64)
        close = np.abs(got - wanted) <= unit * (1 + finite.max(initial=0.0))
    return bool(np.all(close | (got == stored) | (np.isnan(got) & np.isnan(stored))))


def arithmetic_of(trial):
    """At least; a float64 result of float32 is computed in float64, too."""
    dtype = np.asarray(trial.arguments[next(iter(trial.call.arrays))]).dtype
    is_image = trial.call.function == "normalize_image"
    is_wide = (dtype.kind in "iub" and not is_image) or native(dtype) == np.float64
    return "float64" if is_wide and trial.call.function != "layer_norm_rnn_cell" else "float32"


def run(trial):
    """Make the call and judge it; the outcome in a word."""
    memory, call = trial.memory, trial.call
    before = [one.copy() for one in memory]
    wanted = None if trial.wrong else expected(trial)
    refusal = None
    try:
        found = getattr(fastnorm, call.function)(**trial.arguments)
    except (TypeError, ValueError) as error:
        refusal = error
    out = trial.arguments.get("out")
    written = [trial.arguments[name] for name in call.moves] + ([] if out is None else [out])
    for old, new in zip(before, memory, strict=True):
        beside = np.s_[:] if refusal else marked(new, written) == 0
        assert old[beside].tobytes() == new[beside].tobytes(), "something was written"
    if refusal:
        named = re.split(r"[\s:,]", str(refusal), maxsplit=1)[0]
        assert named in trial.wrong, f"refused: {refusal!r}"
        return type(refusal).__name__
    assert not trial.wrong or trial.may_be_right, "not refused"
    got = found if isinstance(found, tuple) else (found,)
    assert type(got[0]) is np.ndarray or got[0] is out or call.function == "moments"
    assert all(type(one) is np.ndarray for one in got[1:])
    assert out is None or got[0] is out
    if trial.may_be_right:
        return "of another shape"
    if trial.odd_values:
        return "of odd values"
    if out is not None and overlaps_itself(out):
        return "into out that overlaps itself"
    results, moved = wanted
    moving = [trial.arguments[name] for name in call.moves]
    for one, right in [*zip(parts(found), results, strict=True), *zip(moving, moved, strict=True)]:
        assert near(one, right, UNIT_ROUNDOFF[arithmetic_of(trial)]) or overlaps_itself(one), (one, right)
    return "right" if out is None else "right, into out"


def main(seconds, seed):
    warnings.simplefilter("error")
    outcomes, found, number, end = Counter(), 0, 0, time.monotonic() + seconds
    while time.monotonic() < end and found < 20:
        trial = None
        try:
            trial = make(Chance(f"{seed} {number}"))
            outcomes[run(trial)] += 1
        except Exception:
            found += 1
            print(f"number {number}: {trial}", traceback.format_exc(limit=-4), sep="\n", flush=True)
        number += 1
    print(f"{number} calls of seed {seed}, {found} found:", dict(outcomes.most_common()))
    return 1 if found else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(main(arguments.seconds, arguments.seed))
