"""The caller's floating-point mode shows in no bit: neither its rounding mode nor that it flushes subnormal numbers.

A library that was linked with -ffast-math sets flush-to-zero for the thread that loads it, and threads inherit the mode
of the one that starts them. So each mode has a thread of its own here, whose first large call starts its own team: what
runs in a worker without a guard of its own would be seen.
"""

import ctypes
import platform
import threading

import pytest
from calls import bits, functions

import fastnorm

# Where fenv_t holds the mode, as a number of 32-bit words, and its bits there: of MXCSR, and of FPCR.
WORD, MODES = {
    "x86_64": (7, {"up": 0x4000, "down": 0x2000, "to zero": 0x6000, "flush": 0x8040}),
    "aarch64": (0, {"up": 1 << 22, "down": 2 << 22, "to zero": 3 << 22, "flush": 1 << 24}),
}.get(platform.machine(), (0, {}))
pytestmark = pytest.mark.skipif(not MODES, reason="knows the modes of x86-64 and AArch64 only")
ALL = sum({bit for mode in MODES.values() for bit in (1 << i for i in range(32)) if mode & bit})

# Their numbers for each channel or for the call are NumPy's, before or after the kernel: in the caller's rounding mode.
BY_NUMPY = (
    "batch eval",
    "instance eval",
    "adaptive",
    "batch, updating",
    "instance, updating",
    "norm 3",
    "range",
    "cell",
)

# Maps in both channel orders and a table; and what three threads share.
SMALL = {"NCHW": ((3, 8, 12, 9), 1), "NHWC": ((3, 12, 9, 8), -1), "NC": ((40, 21), 1)}
LARGE = {"NCHW": ((2, 5, 240, 251), 1), "NHWC": ((2, 240, 251, 5), -1), "NC": ((760, 801), 1)}


def in_mode(mode, call):
    """What `call` returns in a thread of this mode, which it must keep."""
    libm, found = ctypes.CDLL(None), []

    def run():
        state, kept = (ctypes.c_uint32 * 16)(), (ctypes.c_uint32 * 16)()
        libm.fegetenv(state)
        state[WORD] = state[WORD] & ~ALL | MODES[mode]
        libm.fesetenv(state)
        result = call()
        libm.fegetenv(kept)
        found.extend([result, kept[WORD] & ALL])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, kept = found
    assert kept == MODES[mode]
    return result


def check(shape, channel_axis, dtype, mode, threads):
    x, calls = functions(shape, dtype, channel_axis)
    del calls["fused"]  # by NumPy alone
    if mode == "flush":
        x *= x.dtype.type(1e-40 if dtype == "float32" else 1e-310)
        assert not in_mode(mode, lambda: (x * x.dtype.type(1)).any())
    else:
        calls = {name: call for name, call in calls.items() if not name.startswith(BY_NUMPY)}

    def of(name):
        with fastnorm.threads(threads):
            # With statistics no call takes the way of small ones.
            short = b"" if threads > 1 or "moments" in name else bits(calls[name], x, return_stats=False)
            return bits(calls[name], x) + short

    for name in calls:
        expected = of(name)
        assert any(expected), name
        assert in_mode(mode, lambda name=name: of(name)) == expected, name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SMALL)
def test_mode_of_the_caller(shape, dtype, mode):
    check(*SMALL[shape], dtype, mode, threads=1)


@pytest.mark.parametrize("mode", ["up", "flush"])
@pytest.mark.parametrize("shape", LARGE)
def test_mode_that_the_team_inherits(shape, mode):
    check(*LARGE[shape], "float32", mode, threads=3)
