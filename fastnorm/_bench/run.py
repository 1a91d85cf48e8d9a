"""The benchmark itself: agreement first, then fastnorm, a copy and the peers, case by case.

It yields rows as they are measured and prints nothing, so that the table and the JSON document
have the same numbers.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastnorm
from fastnorm._bench import agreement, timing
from fastnorm._bench.cases import Array, Case, Inputs
from fastnorm._bench.peers import Peer, as_array

# Peers that use one thread whatever they are told.
SERIAL = {"numpy", "sklearn"}


@dataclass(frozen=True)
class Row:
    """Measurements of one case with one number of threads.

    Attributes
    ----------
    samples : mapping of str to Samples
        By contender: ``fastnorm``, ``copy``, and the peers that have the operation.
    wrong : tuple of str
        Peers whose result disagrees with the reference; they are not timed.
    beside : mapping of str to Samples
        fastnorm's own samples beside a peer that had a process of its own.
    """

    case: Case
    threads: int
    samples: Mapping[str, timing.Samples]
    wrong: tuple[str, ...]
    beside: Mapping[str, timing.Samples] = field(default_factory=dict)

    @property
    def bandwidth(self) -> float:
        """Bytes a second through fastnorm, each byte counted once."""
        return self.case.bytes_moved / self.samples["fastnorm"].median

    def ratio(self, contender: str) -> float | None:
        """Time of a contender over that of fastnorm in the same process; above 1, fastnorm is faster."""
        if contender not in self.samples:
            return None
        return self.samples[contender].median / self.beside.get(contender, self.samples["fastnorm"]).median

    def best_ratio(self) -> float | None:
        """`ratio` of the fastest peer."""
        peers = self.samples.keys() - {"fastnorm", "copy"}
        return min((r for p in peers if (r := self.ratio(p)) is not None), default=None)


def check(cases: Sequence[Case]) -> Iterator[tuple[Case, float]]:
    """Each case with fastnorm's worst error in units of the tolerance."""
    for case in cases:
        yield case, agreement.check(case)


def bench(
    cases: Sequence[Case], threads: Sequence[int], peers: Mapping[str, Peer], seconds: float, *, alone: bool = True
) -> Iterator[Row]:
    """Measure each case with each number of threads, about `seconds` for each of the two.

    Slow peers of `SERIAL` are timed with the first number only, because it makes no difference to them. Unless fastnorm
    is to be timed `alone`, too, a case that no peer has is a row without samples.
    """
    for case in cases:
        inputs = case.make_inputs()
        slow: dict[str, timing.Samples] = {}
        for n in threads:
            rest = {name: peer for name, peer in peers.items() if name not in slow}
            calls, wrong = prepare_peers(case, inputs, n, rest)
            if not (calls or slow or alone):
                yield Row(case, n, {}, wrong)
                continue
            calls = {"fastnorm": case.call(inputs), "copy": copy_call(inputs), **calls}
            with as_users_have(n):
                samples = timing.measure(calls, seconds) | slow
            slow |= {name: samples[name] for name in SERIAL & samples.keys() if samples[name].median >= timing.LONG}
            yield Row(case, n, samples, wrong)


def as_users_have(n: int) -> contextlib.AbstractContextManager[None]:
    """n threads, by default where that is n: such a team rests where the pools of other libraries hold the CPUs."""
    return contextlib.nullcontext() if n == fastnorm.get_num_threads() else fastnorm.threads(n)


def copy_call(inputs: Inputs) -> Callable[[], Any]:
    """Copy of the input to where the result goes: fresh memory, or the reused array; bytes become float32."""
    if inputs.out is None:
        return functools.partial(_fresh_copy, inputs.x)
    return functools.partial(np.copyto, inputs.out, inputs.x)


def _fresh_copy(x: Array) -> Array:
    out = np.empty_like(x, dtype=np.float32 if x.dtype == np.uint8 else None)
    np.copyto(out, x)
    return out


def prepare_peers(
    case: Case, inputs: Inputs, threads: int, peers: Mapping[str, Peer]
) -> tuple[dict[str, Callable[[], Any]], tuple[str, ...]]:
    """Calls of the peers that have the operation and agree with the reference, and names of those that do not agree."""
    calls, wrong = {}, []
    for name, peer in peers.items():
        call = peer.prepare(case, inputs, threads)
        if call is None:
            continue
        if inputs.out is not None:
            inputs.out.fill(np.nan)  # another contender's result must not pass for this one's
        if agreement.agrees(case, inputs, as_array(peer, case, call())):
            calls[name] = call
        else:
            wrong.append(name)
    return calls, tuple(wrong)
