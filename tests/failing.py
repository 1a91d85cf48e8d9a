"""Calls for which memory cannot be had: a script for `test_allocation_failure`, with `failing_malloc` preloaded.

Every allocation of a call fails once, on its own. The call then raises MemoryError, or does without and is right; what
it reads and the running statistics are as they were, and nothing is lost.
"""

import ctypes
import json
import os
import sys

import numpy as np
from arrays import LAYOUTS, normal
from signatures import Call, bits, calls

import fastnorm

LIBRARY = ctypes.CDLL(os.environ["LD_PRELOAD"])
LIBRARY.watch.argtypes = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_long
NUMPY = b"_multiarray_umath"
LEAST = 140 * 1024  # bytes: arrays, and none of the buffers that NumPy's own loops may want


def watched(call, library, number, least=0, **more):
    """What the call returns or raises while this allocation of the library fails, and how many it asked for."""
    try:
        LIBRARY.watch(library, least, number)
        found = call(**more)
    except MemoryError as error:
        found = error
    except SystemError as error:  # NumPy's indexing by labels forgets to say what is wrong
        found = MemoryError(str(error)) if library == NUMPY else error
    finally:
        seen, held = LIBRARY.count_seen(), LIBRARY.count_held()
        LIBRARY.watch(None, 0, -1)
    return found, seen, held


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def scratch(module, call):
    """Each allocation of one of our modules, alone: nothing else has been done when it fails."""
    library = f"fastnorm/_kernels/{module}.".encode()
    out = np.full(call.out, 77, call.dtype)
    arrays = {**call.arrays, "out": out}
    expected, sites, held = watched(call, library, -1)
    assert held == 0, "not all was freed"
    before = {name: one.tobytes() for name, one in arrays.items()}
    for number in range(sites):
        found, _, held = watched(call, library, number, out=out)
        assert isinstance(found, MemoryError), (module, number, found)
        assert "fastnorm needs " in str(found), (module, number, found)
        assert held == 0, (module, number, "not all was freed")
        assert before == {name: one.tobytes() for name, one in arrays.items()}, (
            module,
            number,
            "something was written",
        )
        for _ in range(100):  # so that what the interpreter keeps has grown
            watched(call, library, number, out=out)
        start = resident()
        for _ in range(1000):
            watched(call, library, number, out=out)
        assert resident() - start < 1 << 20, (module, number, "memory was lost")
    assert bits(call(out=out)) == bits(expected), module
    return sites


def temporaries(name, call):
    """Each larger array that NumPy would make for the call."""
    expected = bits(call.on({key: np.array(one) for key, one in call.arrays.items()})())
    number = failed = 0
    while True:
        arrays = {key: one.copy() if key in call.moves else one for key, one in call.arrays.items()}
        before = {key: one.tobytes() for key, one in arrays.items()}
        found, seen, _ = watched(call.on(arrays), NUMPY, number, LEAST)
        if isinstance(found, MemoryError):
            failed += 1
            assert before == {key: one.tobytes() for key, one in arrays.items()}, (name, number, "something has moved")
        else:
            assert bits(found) == expected, (name, number)
        if seen <= number:
            return failed
        number += 1


def main():
    pixels = np.zeros((40, 50, 3), np.uint8)
    tall, few, small = normal((60_000, 20), offset=1.0), normal((2, 700_001), offset=1.0), normal((4, 8, 5))
    ones = np.ones(8, np.float32)
    kernels = {
        "window": Call("local_response_norm", {"x": small}, {"size": 3}, out=small.shape, dtype="f4"),
        "plain": Call(
            "batch_norm",
            {"x": small, "running_mean": ones, "running_var": ones.copy()},
            {},
            out=small.shape,
            dtype="f4",
        ),
        "images": Call(
            "normalize_image", {"image": pixels}, {"mean": [0.5] * 3, "std": [2.0] * 3}, out=(3, 40, 50), dtype="f4"
        ),
    }
    if fastnorm.show_config("dicts")["openmp"]:
        running = {"running_mean": np.zeros(20), "running_var": np.ones(20)}
        kernels["columns"] = Call("batch_norm", {"x": tall, **running}, {"training": True}, out=tall.shape, dtype="f4")
        kernels["rows"] = Call("layer_norm", {"x": few}, {}, out=few.shape, dtype="f4")
    with fastnorm.threads(2):
        sites = {module: scratch(module, call) for module, call in kernels.items()}
    failed = 0
    for shape, dtype in (((3, 20_000), "bfloat16"), ((3, 20_000), "float32"), ((2, 250, 300), "float16")):
        for name, call in calls(shape, dtype).items():
            first = next(iter(call.arrays))
            for layout in ("contiguous", "crop", "unaligned") if name != "fused" else ():  # which is NumPy's alone
                moved = {first: LAYOUTS[layout](call.arrays[first])}
                failed += temporaries((name, shape, dtype, layout), call.on({**call.arrays, **moved}))
    print(json.dumps({"sites": sites, "failed": failed}))


if __name__ == "__main__":
    sys.exit(main())
