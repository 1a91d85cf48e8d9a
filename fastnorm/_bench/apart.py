"""Each peer in a process of its own: no library's threads, allocator or OpenMP runtime disturbs another's times.

One process after the other: first fastnorm, a copy and NumPy, then fastnorm beside each peer in turns. A peer is
compared with fastnorm in its own process only. Processes are started afresh for each number of threads, because some
libraries fix theirs when they start. One that dies, or hangs and is ended, is reported with the case it was at, and
another goes on with the next case.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from fastnorm._bench import peers, run
from fastnorm._bench.cases import Case

T = TypeVar("T")

# Seconds without a row or section after which a process is taken to hang, where `DEFAULT` seconds are given to each.
PATIENCE = 600.0
DEFAULT = 0.1


class Died(Exception):
    """A process ended, or had to be ended, before its work did: the text says how."""


@dataclass
class About:
    """Version of a peer, and what a reader of its times must know."""

    version: str
    note: str


@dataclass
class Runs:
    """What all processes measured.

    Attributes
    ----------
    rows : list of Row
        In the order of the cases, then of the threads.
    peers : dict of str to About
        NumPy first.
    failures : list of str
        One line for each process that died.
    """

    rows: list[run.Row] = field(default_factory=list)
    peers: dict[str, About] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def iterate(function: Callable[..., Iterator[T]], *arguments: Any, patience: float = PATIENCE) -> Iterator[T]:
    """What a generator function, called in a fresh process, yields.

    Raises
    ------
    Died
        The process ended with an error, whose traceback it has written to stderr, or yielded nothing for `patience`
        seconds.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function, *arguments), daemon=True)
    process.start()
    sender.close()
    try:
        while receiver.poll(patience):
            if not (item := receiver.recv()):
                return
            yield item[0]
        raise Died(f"hung for {patience:g} s")
    except (EOFError, OSError):  # before a message, or within one
        process.join()
        status = process.exitcode or 0
        raise Died(f"died with signal {-status}" if status < 0 else f"died with exit status {status}") from None
    finally:
        process.kill()  # which is running only if it hangs, or nobody wants the rest
        process.join()
        receiver.close()


def call(function: Callable[..., Any], *arguments: Any, patience: float = PATIENCE) -> tuple[Any, str | None]:
    """What a function, called in a fresh process, returns; or None, and how the process died."""
    try:
        (result,) = iterate(_once, function, *arguments, patience=patience)
    except Died as end:
        return None, str(end)
    return result, None


def patience(seconds: float) -> float:
    """`PATIENCE`, and more where a row or section gets more seconds than `DEFAULT`."""
    return PATIENCE * max(1.0, seconds / DEFAULT)


def bench(
    cases: Sequence[Case],
    threads: Sequence[int],
    names: Sequence[str],
    seconds: float,
    say: Callable[[str], None],
) -> Runs:
    """Measure each case as `run.bench` does, beside one peer at a time.

    Parameters
    ----------
    names : sequence of str
        Installed peers beside NumPy.
    say : callable
        Told of each process when it has ended.
    """
    runs = Runs()
    merged: dict[tuple[Case, int], run.Row] = {}
    for n in threads:
        for name in ("numpy", *names):
            start, timed = time.perf_counter(), 0
            for item in _peer_rows(name, cases, n, seconds):
                if isinstance(item, About):
                    runs.peers[name] = item
                elif isinstance(item, str):
                    runs.failures.append(item)
                    say(item)
                else:
                    if (row := merge(merged.get((item.case, n)), item, name)) is not None:
                        merged[item.case, n] = row
                    timed += name in item.samples
            say(f"{name}, {_count(n)}: {timed} of {len(cases)} cases in {time.perf_counter() - start:.0f} s")
    runs.rows = [row for case in cases for n in threads if (row := merged.get((case, n))) is not None]
    return runs


def merge(row: run.Row | None, other: run.Row, name: str) -> run.Row | None:
    """A row with a peer's column from another process; if there is none yet, that of the other process."""
    if row is None:
        return other if other.samples else None
    wrong = (*row.wrong, *other.wrong)
    if name not in other.samples:
        return replace(row, wrong=wrong)
    samples = {**row.samples, name: other.samples[name]}
    return replace(row, samples=samples, wrong=wrong, beside={**row.beside, name: other.samples["fastnorm"]})


def _peer_rows(name: str, cases: Sequence[Case], n: int, seconds: float) -> Iterator[About | run.Row | str]:
    """What is to be known of a peer, its rows, and a line for each process that died."""
    rest = list(cases)
    while rest:
        started = False
        try:
            for item in iterate(_measure, name, rest, n, seconds, patience=patience(seconds)):
                yield item
                if isinstance(item, run.Row):
                    rest.pop(0)
                started = True
            return
        except Died as end:
            where = f"at {rest.pop(0).id}" if started else "at its start, so nothing of it was timed"
            yield f"{name}, {_count(n)}: {end} {where}"
            if not started:
                return


def _measure(name: str, cases: Sequence[Case], n: int, seconds: float) -> Iterator[About | run.Row]:
    os.environ["PJRT_NPROC"] = str(n)  # JAX's only limit, read when it starts
    peer = peers.load([] if name == "numpy" else [name])[0][name]
    yield About(peer.version, peer.note)
    yield from run.bench(cases, [n], {name: peer}, seconds, alone=name == "numpy")
    yield About(peer.version, peer.note)  # which may have learnt something


def _once(function: Callable[..., T], *arguments: Any) -> Iterator[T]:
    yield function(*arguments)


def _send(sender: Connection, function: Callable[..., Iterator[Any]], *arguments: Any) -> None:
    for item in function(*arguments):
        sender.send((item,))
    sender.send(())


def _count(n: int) -> str:
    return f"{n} thread" + "s" * (n != 1)
