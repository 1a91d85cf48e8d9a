"""Timing several contenders fairly on a machine that is never quite still.

Contenders take turns in rounds, in a new random order each round, so that a slow spell of the
machine hits all of them. A sample waits until the thread pools of the others have stopped spinning
(ONNX Runtime's do so for 30 ms after a call), repeats its own call, if it is not `LONG`, once
untimed to bring back its pool and its cache lines, and then lasts at least `SAMPLE` seconds. A
contender whose own samples have filled the time of the row leaves after two: nobody needs a slow
one's time to three digits.
"""

from __future__ import annotations

import contextlib
import math
import random
import statistics
import time
import timeit
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

MIN_ROUNDS = 5
SAMPLE = 1e-3

# Waking a pool and filling a cache are lost in a call that lasts so long.
LONG = 0.02

# Thread pools spin for milliseconds; nothing that a benchmark may wait for lasts longer than this.
PATIENCE = 0.1


@dataclass(frozen=True)
class Samples:
    """Times of one contender.

    Attributes
    ----------
    seconds : tuple of float
        Of one call, averaged over each sample.
    loops : int
        Calls in a sample.
    """

    seconds: tuple[float, ...]
    loops: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def min(self) -> float:
        return min(self.seconds)

    @property
    def iqr(self) -> float:
        """Distance between the quartiles."""
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return high - low


def measure(
    contenders: Mapping[str, Callable[[], Any]],
    seconds: float,
    seed: int = 0,
    within: Callable[[str], AbstractContextManager[Any]] = contextlib.nullcontext,
) -> dict[str, Samples]:
    """Time each contender.

    Parameters
    ----------
    contenders : mapping of str to callable
    seconds : float
        Time for all of them together; `MIN_ROUNDS` rounds are made even if they take longer, but a
        contender that has taken so long alone (and at least `LONG`) leaves after two samples.
    seed : int, optional
        Of the order within the rounds.
    within : callable, optional
        From a contender's name to the context, such as a number of threads, that its samples are taken in.

    Returns
    -------
    dict of str to Samples
    """
    order = random.Random(seed)
    end = time.perf_counter() + seconds
    timers = {name: timeit.Timer(call) for name, call in contenders.items()}
    loops: dict[str, int] = {}
    times: dict[str, list[float]] = {}
    for name, timer in timers.items():
        with within(name):
            loops[name], times[name] = _loops(timer)
    enough = max(seconds, LONG)
    rounds = 0
    while rounds < MIN_ROUNDS or time.perf_counter() < end:
        for name in order.sample(list(timers), len(timers)):
            if len(times[name]) > 1 and sum(times[name]) * loops[name] >= enough:
                continue
            settle()
            with within(name):
                if not times[name] or times[name][-1] < LONG:
                    timers[name].timeit(1)
                times[name].append(timers[name].timeit(loops[name]) / loops[name])
        rounds += 1
    return {name: Samples(tuple(times[name]), loops[name]) for name in contenders}


def settle(interval: float = 5e-4) -> None:
    """Sleep until this process uses no CPU while it sleeps, at most `PATIENCE` seconds."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        start = time.process_time()
        time.sleep(interval)
        if time.process_time() - start < interval / 2:
            return


def _loops(timer: timeit.Timer) -> tuple[int, list[float]]:
    """Calls that fill a sample, and the samples so far: the first call warms up, and counts if it is long."""
    loops = 1
    if (first := timer.timeit(1)) >= LONG:
        return loops, [first]
    while (elapsed := timer.timeit(loops)) < SAMPLE:
        loops = math.ceil(loops * min(10.0, 1.2 * SAMPLE / max(elapsed, 1e-9)))
    return loops, []
