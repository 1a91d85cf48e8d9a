"""Peers in processes of their own: what comes back from them, also when they die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fastnorm.__main__ import main
from fastnorm._bench import apart, cases, document, run, timing
from fastnorm._bench.cases import Case

TINY = (
    Case("layer_norm", (4, 8)),
    Case("layer_norm", (4, 8), mode="out"),
    Case("rms_norm", (4, 8)),
    Case("rms_norm", (4, 8), "float64"),
)


def times(*seconds):
    return timing.Samples(seconds, loops=1)


def counting(n):
    yield from range(n)


def dying(n, status):
    yield from range(n)
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


def failing():
    yield os.getpid()
    raise ValueError("made up")


def test_iterate_yields_what_another_process_yields():
    assert list(apart.iterate(counting, 3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("status", "text"), [(3, "exit status 3"), (0, "exit status 0"), (-signal.SIGKILL, "signal 9")]
)
def test_iterate_gives_what_came_before_a_death_and_says_how_it_was(status, text):
    items = apart.iterate(dying, 2, status)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(apart.Died, match=text):
        next(items)


def test_exception_in_another_process_is_shown_and_is_a_death(capfd):
    items = apart.iterate(failing)
    assert next(items) != os.getpid()
    with pytest.raises(apart.Died, match="exit status 1"):
        next(items)
    assert "ValueError: made up" in capfd.readouterr().err


def test_call_returns_or_says_how_the_process_died():
    assert apart.call(abs, -3) == (3, None)
    assert apart.call(sys.exit, 7) == (None, "died with exit status 7")


def test_process_that_hangs_is_ended_and_is_a_death():
    assert apart.call(time.sleep, 600, patience=0.1) == (None, "hung for 0.1 s")
    assert multiprocessing.active_children() == []


def test_patience_grows_with_the_seconds_of_a_row():
    assert apart.patience(0) == apart.patience(apart.DEFAULT) == apart.PATIENCE
    assert apart.patience(3 * apart.DEFAULT) == pytest.approx(3 * apart.PATIENCE)


def made_up(name, selected, n, seconds):
    """In place of `apart._measure`: jax dies at the second case, opencv at its start, openvino hangs at the third."""
    if name == "opencv":
        os._exit(2)
    yield apart.About(f"{name} 1", "")
    for case in selected:
        if (name, case) == ("openvino", TINY[2]):
            time.sleep(600)
        if (name, case) == ("jax", TINY[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        own = {"numpy": 1.0, "torch": 2.0, "jax": 4.0, "openvino": 1.0}[name]
        wrong = ("torch",) if (name, case) == ("torch", TINY[2]) else ()
        samples = {"fastnorm": times(own, own), "copy": times(3 * own, 3 * own), name: times(6.0, 6.0)}
        samples = {} if wrong else samples
        yield run.Row(case, n, samples, wrong)


def test_apart_merges_processes_and_loses_no_more_than_one_died_at(monkeypatch):
    monkeypatch.setattr(apart, "_measure", made_up)
    said = []
    runs = apart.bench(TINY, [2], ["torch", "jax", "opencv"], 0, said.append)
    assert runs.peers == {name: apart.About(f"{name} 1", "") for name in ("numpy", "torch", "jax")}
    assert [(row.case, row.threads) for row in runs.rows] == [(case, 2) for case in TINY]
    assert [row.ratio("numpy") for row in runs.rows] == [6, 6, 6, 6]
    assert [row.ratio("torch") for row in runs.rows] == [3, 3, None, 3]  # over fastnorm's time beside it
    assert [row.ratio("jax") for row in runs.rows] == [1.5, None, 1.5, 1.5]
    assert [row.ratio("copy") for row in runs.rows] == [3, 3, 3, 3]
    assert [row.best_ratio() for row in runs.rows] == [1.5, 3, 1.5, 1.5]
    assert [row.wrong for row in runs.rows] == [(), (), ("torch",), ()]
    assert runs.failures == [
        f"jax, 2 threads: died with signal 9 at {TINY[1].id}",
        "opencv, 2 threads: died with exit status 2 at its start, so nothing of it was timed",
    ]
    assert set(runs.failures) < set(said)
    assert any(line.startswith("torch, 2 threads: 3 of 4 cases") for line in said)


def test_apart_goes_on_after_a_case_that_hangs(monkeypatch):
    monkeypatch.setattr(apart, "_measure", made_up)
    monkeypatch.setattr(apart, "PATIENCE", 5.0)  # in which a process has to start, too
    runs = apart.bench(TINY, [1], ["openvino"], 0, lambda line: None)
    assert runs.failures == [f"openvino, 1 thread: hung for 5 s at {TINY[2].id}"]
    assert [row.ratio("openvino") for row in runs.rows] == [6, 6, None, 6]


def test_row_without_its_first_process_is_that_of_the_next():
    other = run.Row(TINY[0], 1, {"fastnorm": times(2, 2), "copy": times(3, 3), "jax": times(5, 5)}, ())
    assert apart.merge(None, other, "jax").ratio("jax") == 2.5
    assert apart.merge(None, run.Row(TINY[0], 1, {}, ("jax",)), "jax") is None


def test_case_that_no_peer_has_is_timed_alone_or_not_at_all():
    peer = SimpleNamespace(version="1", note="", prepare=lambda case, inputs, n: None)
    (row,) = run.bench(TINY[:1], [1], {"idle": peer}, 0, alone=False)
    assert (row.samples, row.wrong) == ({}, ())
    (row,) = run.bench(TINY[:1], [1], {"idle": peer}, 0)
    assert set(row.samples) == {"fastnorm", "copy"}


def test_note_that_a_peer_learns_is_kept(monkeypatch):
    monkeypatch.setattr(apart, "_measure", learning)
    assert apart.bench(TINY, [1], [], 0, lambda line: None).peers == {"numpy": apart.About("1", "learnt")}


def test_what_is_known_of_a_peer_comes_before_its_rows_and_after(monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "set in another process otherwise")
    first, *rows, last = apart._measure("numpy", TINY, 1, 0)
    assert first == last == apart.About(np.__version__, "")
    assert [row.case for row in rows] == list(TINY)
    assert all(set(row.samples) == {"fastnorm", "copy", "numpy"} for row in rows)


def learning(name, selected, n, seconds):
    """In place of `apart._measure`: with a note at the end."""
    yield apart.About("1", "")
    yield from (run.Row(case, n, {}, ()) for case in selected)
    yield apart.About("1", "learnt")


def test_jax_apart_has_the_threads_of_the_row():
    pytest.importorskip("jax")
    (note, few), (_, more) = (apart.call(start_jax, n)[0] for n in (1, 4))
    assert note == ""
    assert few < more


def start_jax(n):
    about = next(apart._measure("jax", (), n, 0))
    import jax

    jax.numpy.zeros(1).block_until_ready()
    return about.note, len(os.listdir("/proc/self/task"))


def test_bench_apart_measures_all_and_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cases, "CASES", TINY[:2])
    monkeypatch.setitem(apart.peers.PEERS, "torch", ("no_such_package",))
    path = tmp_path / "bench.json"
    arguments = ["--apart", "--peers", "torch", "--threads", "1", "--seconds", "0", "--json", str(path)]
    assert main(["bench", *arguments]) == 0
    results = document.read(path)
    assert results["apart"]
    assert [row["id"] for row in results["rows"]] == [case.id for case in TINY[:2]]
    lines = capsys.readouterr().out.splitlines()
    assert "torch: no_such_package: not installed, skipped" in lines
    assert any(line.startswith("numpy, 1 thread: 2 of 2 cases") for line in lines)
    assert lines[-1].startswith("geometric mean")
