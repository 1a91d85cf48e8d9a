"""Ctrl-C, or any signal whose handler raises, stops a call: running statistics stay, and `out` is partly written.

A loop asks for signals at the end of each turn. Turns are made so short here that small arrays see many; the last test
measures nothing, but has a call of ordinary turns that would take longer than its alarm allows.
"""

import signal
import threading

import numpy as np
import pytest
from arrays import normal

import fastnorm
from fastnorm._kernels import tasks

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")


class Stop(Exception):
    pass


@pytest.fixture
def short_turns():
    before = tasks.set_turn(0)
    yield
    tasks.set_turn(before)


@pytest.fixture
def stop_after():
    """A function that has Stop raised in the main thread after so many seconds, once."""

    def handler(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


X = normal((4, 16, 256, 256), offset=3.0)
TABLE = X.reshape(-1, 16)
IMAGES = (X > 3).astype(np.uint8).reshape(-1, 256, 256, 1)
CALLS = {
    "rows": lambda out: fastnorm.layer_norm(X.reshape(-1, 256), out=out.reshape(-1, 256)),
    "pieces of one row": lambda out: fastnorm.layer_norm(X.reshape(1, -1), out=out.reshape(1, -1)),
    "planes": lambda out: fastnorm.group_norm(X, 4, out=out),
    "columns": lambda out: fastnorm.layer_norm(X, axis=1, out=out),
    "parts of columns": lambda out: fastnorm.standardize(TABLE, out=out.reshape(-1, 16)),
    "given": lambda out: fastnorm.batch_norm(X, np.ones(16, "f4"), np.ones(16, "f4"), out=out),
    "extremes": lambda out: fastnorm.min_max_scale(TABLE, out=out.reshape(-1, 16)),
    "powers": lambda out: fastnorm.normalize(X, p=2.5, axis=1, out=out),
    "windows": lambda out: fastnorm.local_response_norm(X, 5, out=out),
    "dropout": lambda out: fastnorm.dropout(X, 0.5, rng=1, out=out),
    "images": lambda out: fastnorm.normalize_image(IMAGES, mean=[0.5], std=[0.5], out=out.reshape(-1, 1, 256, 256)),
    "gathered": lambda out: fastnorm.layer_norm(X[..., ::-1], axis=(1, 3), out=out),
}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("call", CALLS)
def test_turns_change_no_bit(short_turns, call, n):
    out, expected = np.empty_like(X), np.empty_like(X)
    with fastnorm.threads(n):
        CALLS[call](out)
    tasks.set_turn(10**9)
    CALLS[call](expected)
    assert out.tobytes() == expected.tobytes()


def is_stopped_halfway(call, out, stop_after):
    """Whether some of out, but not all, is written after a signal inside the call, at a time to be found."""
    sample, seconds = out.reshape(-1)[::1021], 1e-3
    for _ in range(300):
        sample.fill(np.nan)
        try:
            stop_after(seconds)
            call(out)
            stop_after(0)
        except Stop:
            pass
        missing = np.isnan(sample).mean()
        if 0 < missing < 1:
            return True
        seconds *= 1.1 if missing else 0.85
    return False


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("call", [call for call in CALLS if call != "powers"])  # whose last pass is a moment's
def test_a_handler_that_raises_stops_the_call(short_turns, stop_after, call, n):
    if call in ("pieces of one row", "parts of columns", "extremes", "windows"):
        # One thread takes the whole in one task, unless it is long: below.
        if not fastnorm.show_config("dicts")["openmp"]:
            pytest.skip("this build has no OpenMP")
        n = max(n, 2)
    with fastnorm.threads(n):
        assert is_stopped_halfway(CALLS[call], np.empty_like(X), stop_after)


# More than 256 MB moved for one statistic.
LONG = {"row": ((1, (1 << 26) + 1), -1), "columns": (((1 << 24) + 1, 4), 0)}


@pytest.mark.parametrize("name", LONG)
def test_one_thread_cuts_what_is_long(short_turns, stop_after, name):
    shape, axis = LONG[name]
    x, out = np.zeros(shape, np.float16), np.empty(shape, np.float16)
    x[:: 1 << 20, ::3] = 5
    with fastnorm.threads(1):
        assert is_stopped_halfway(lambda out: fastnorm.layer_norm(x, axis=axis, out=out), out, stop_after)
        fastnorm.layer_norm(x, axis=axis, out=out)
    with fastnorm.threads(3):
        assert fastnorm.layer_norm(x, axis=axis, out=x).tobytes() == out.tobytes()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("channel_axis", [1, -1])
def test_running_statistics_stay(short_turns, stop_after, channel_axis, n):
    """Or are both moved, where the signal came too late."""
    channels = X.shape[channel_axis]
    before = np.stack([normal(channels, seed=1), normal(channels, seed=2) ** 2])
    after = before.copy()
    fastnorm.batch_norm(X, *after, training=True, channel_axis=channel_axis)
    stayed = 0
    with fastnorm.threads(n):
        for seconds in np.geomspace(2e-4, 1.0, 60):
            running = before.copy()
            try:
                stop_after(seconds)
                fastnorm.batch_norm(X, *running, training=True, channel_axis=channel_axis)
                stop_after(0)
            except Stop:
                stayed += running.tobytes() == before.tobytes()
            assert running.tobytes() in (before.tobytes(), after.tobytes())
    assert stayed


def test_keyboard_interrupt(short_turns):
    def press():
        timer.start()
        with fastnorm.threads(3):
            for _ in range(1000):
                fastnorm.layer_norm(X)

    # What runs in a shell's background has inherited that it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
    try:
        with pytest.raises(KeyboardInterrupt):
            press()
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_calls_from_other_threads_go_on(short_turns, stop_after):
    """Only the main thread's call is for a handler to stop."""
    expected, answers, stop = fastnorm.layer_norm(X).tobytes(), [], threading.Event()

    def call():
        while not stop.is_set():
            answers.append(fastnorm.layer_norm(X).tobytes())

    thread = threading.Thread(target=call)
    thread.start()
    try:
        stop_after(0.2)
        with pytest.raises(Stop):
            call()
    finally:
        stop.set()
        thread.join()
    assert set(answers) == {expected}


def test_a_handler_may_call_fastnorm(short_turns):
    nested = []

    def handler(*_):
        nested.append(fastnorm.layer_norm(X).tobytes())

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with fastnorm.threads(3):
            for seconds in np.geomspace(1e-4, 1e-2, 8):
                signal.setitimer(signal.ITIMER_REAL, seconds)
                answer = fastnorm.layer_norm(X).tobytes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(nested) == {answer}


def test_within_a_turn(stop_after):
    """One thread, windows of 2^12 channels: 2^36 additions."""
    x = np.ones((1, 1 << 12, 1 << 12), np.float16)
    stop_after(0.05)
    with pytest.raises(Stop), fastnorm.threads(1):
        fastnorm.local_response_norm(x, 1 << 12, out=x)
    assert (x[0, :, -1] == 1).all()
