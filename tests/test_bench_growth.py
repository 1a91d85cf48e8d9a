"""Growth, small calls and their charts on few and tiny shapes: rows are complete, and a made-up cliff is found."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastnorm
from fastnorm._bench import agreement, growth, machine, small, timing
from fastnorm._bench.cases import Case

COMMON = {"family": "made up", "bytes": 8, "caches": {"L1": 10**5, "L2": 10**6}, "others": 0.0, "left_out": None}


def made_up(times, *, series="size", threads=1, others=0.0):
    """Rows of one series that take so long for each element."""
    return [
        COMMON
        | {"series": series, "place": place, "size": 10**place, "shape": [10**place], "threads": threads}
        | {"bytes": 8 * 10**place, "seconds_per_element": time, "median_seconds_per_element": time}
        | {"copy_seconds_per_element": 1e-10, "others": others}
        for place, time in enumerate(times, start=2)
    ]


def test_smooth_growth_has_no_cliff():
    # A fixed cost that fades, a plateau in each cache, and the steps between them.
    assert growth.cliffs(made_up([1e-6, 1e-7, 1e-9, 1e-9, 3e-9, 3e-9, 9e-9, 9e-9])) == []


def test_cliff_is_found_once_and_only_in_its_series():
    rows = made_up([1e-9, 1e-9, 1.6e-9, 1e-9, 1e-9])
    flat = made_up([1e-9] * 5, threads=2) + made_up([1e-9] * 5, series="length")
    assert growth.cliffs([*flat, *reversed(rows)]) == [rows[2]]
    rows[2]["seconds_per_element"] = 1.4e-9
    assert growth.cliffs(rows) == []


def test_both_neighbours_have_to_be_faster():
    assert growth.cliffs(made_up([1e-9, 1e-9, 2e-9, 2e-9, 1e-9])) == []


def test_step_up_is_a_cliff_only_where_a_length_is_swept():
    times = [3e-9, 1e-9, 1e-9, 1.6e-9, 1.6e-9, 1.2e-9]
    rows = made_up(times, series="length")
    assert growth.cliffs(rows) == [rows[3]]
    assert growth.cliffs(made_up(times)) == []


def test_slow_teams_are_those_below_their_share():
    alone = made_up([1e-9, 1e-9, 1e-9])
    team = made_up([1.04e-9, 1.06e-9, 0.5e-9], threads=2)
    assert growth.slow_teams(alone + team) == [(team[1], pytest.approx(1 / 1.06))]


def test_team_that_others_disturbed_is_no_finding():
    disturbed = {"others": growth.QUIET + 0.1}
    cliff = [1e-9, 1e-9, 9e-9, 1e-9]
    assert growth.cliffs(made_up(cliff, threads=2, **disturbed)) == []
    assert len(growth.cliffs(made_up(cliff, **disturbed))) == 1  # one thread's fastest sample is its own
    assert growth.slow_teams(made_up([1e-9]) + made_up([9e-9], threads=2, **disturbed)) == []


def test_regime_is_the_first_cache_that_holds_all():
    rows = made_up([1e-9] * 6)
    assert [growth.regime(row) for row in rows] == ["L1", "L1", "L1", "L2", "memory", "memory"]


@pytest.mark.parametrize("family", growth.FAMILIES.values(), ids=list(growth.FAMILIES))
def test_shapes_grow_and_keep_to_what_is_swept(family):
    found = list(family.shapes(10**9))
    sizes = [math.prod(shape) for series, _, shape in found if series == "size"]
    assert sizes == sorted(sizes)
    assert len(sizes) == len(set(sizes)) >= 19
    assert 50 <= sizes[0] <= growth.SMALLEST
    assert 0.9e9 < sizes[-1] <= 1e9
    assert all(after < 5 * before for before, after in itertools.pairwise(sizes))
    swept = {place: shape for series, place, shape in found if series == "length"}
    assert tuple(swept) == family.lengths
    assert all(place in shape for place, shape in swept.items())
    assert all(0.75 < math.prod(shape) / growth.SWEPT < 1.25 for shape in swept.values())


@pytest.mark.parametrize("family", growth.FAMILIES.values(), ids=list(growth.FAMILIES))
def test_calls_of_a_family_are_right(family):
    case = family.case(family.grow(400))
    inputs = case.make_inputs()
    assert agreement.case_error(case, inputs, case.as_array(case.call(inputs)())) <= 1


def test_rows_of_growth_are_complete(monkeypatch):
    monkeypatch.setattr(growth, "ATTEMPTS", 1)
    rows = growth.measure(0, largest=1000, threads=(1, 2), families=("RMS norm", "normalize image"))
    assert json.loads(json.dumps(rows)) == rows
    assert {row["family"] for row in rows} == {"RMS norm", "normalize image"}
    for row in rows:
        assert 0 < row["seconds_per_element"] <= row["median_seconds_per_element"]
        assert row["copy_seconds_per_element"] > 0
        assert row["size"] == math.prod(row["shape"])
        assert row["bytes"] > row["size"]
        assert row["left_out"] is None
    assert [row["threads"] for row in rows] == [1, 2] * (len(rows) // 2)
    assert list(growth.lines(rows))[-1] == f"{len(rows)} rows"


def test_what_memory_cannot_hold_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 4000)
    rows = growth.measure(0, largest=1000, threads=(1,), families=("RMS norm",))
    left_out = [row for row in rows if row["left_out"]]
    assert [row["size"] for row in left_out] == [464, 768]
    assert left_out[0]["seconds_per_element"] is None
    assert sum("GB free" in line for line in growth.lines(rows)) == 2
    assert growth.cliffs(rows) == growth.slow_teams(rows) == []


def test_what_stands_out_is_said():
    alone, team = made_up([1e-9, 1e-9, 2e-9, 1e-9]), made_up([2e-9, 1e-9, 1e-9, 1e-9], threads=2)
    assert list(growth.lines(alone + team)) == [
        "cliff      made up 10000, 1 thr, L1: 2.00 ns (median 2.00)",
        "slow team  made up 100, 2 thr, L1: 2.00 ns (median 2.00), 0.50 of one thread's speed",
        "8 rows",
    ]


@pytest.mark.parametrize(
    ("seconds", "others"),
    [([0, 1e9, 0, 0], 0), ([0, 2e9, 0, 1e9, 0, 3e9], 1e9), ([None, None], None)],
    ids=["quiet at last", "never quiet", "unknown"],
)
def test_disturbed_samples_are_taken_again(monkeypatch, seconds, others):
    clock, used = itertools.count(), iter(seconds)
    monkeypatch.setattr(growth, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(growth.timing, "measure", lambda contenders, seconds, within: {})
    monkeypatch.setattr(machine, "others_seconds", lambda: next(used))
    assert growth._quiet_samples({}, 0) == ({}, others)
    assert next(used, "all") == "all"


def test_machine_that_says_nothing(monkeypatch, tmp_path):
    assert machine.others_seconds() is None or machine.others_seconds() > 0
    monkeypatch.setattr(machine, "Path", lambda name: tmp_path / name[1:])
    assert machine.caches() == {}
    assert machine.others_seconds() is None
    assert machine.free_memory() is None or machine.free_memory() > 0
    monkeypatch.delattr(machine.os, "sysconf", raising=False)
    assert machine.free_memory() is None


def test_samples_are_taken_within_the_contenders_context():
    seen = {}
    calls = {str(n): (lambda n=n: seen.setdefault(n, fastnorm.get_num_threads())) for n in (1, 3)}
    timing.measure(calls, 0, within=lambda name: fastnorm.threads(int(name)))
    assert seen == {1: 1, 3: 3 if fastnorm.show_config(mode="dicts")["openmp"] else 1}


@pytest.mark.parametrize(
    ("case", "path"),
    [
        (Case("layer_norm", (1, 64), mode="out"), "plain"),
        (Case("layer_norm", (2, 6, 4), mode="out", options={"axis": (0, 2)}), "general"),
        (Case("instance_norm", (1, 4, 3, 3), mode="out"), None),
    ],
    ids=lambda one: getattr(one, "id", one),
)
def test_layers_of_a_small_call_add_up(case, path):
    rows = small.measure(0, [case])
    assert json.loads(json.dumps(rows)) == rows
    assert [row["mode"] for row in rows] == ["out", "alloc"]
    for row in rows:
        assert path in (None, row["path"])
        assert sum(row["layers"].values()) == pytest.approx(row["nanoseconds"])
        assert set(row["layers"]) <= set(small.LAYERS)
        assert ("layout" in row["layers"]) == (row["path"] == "general")
        assert ("result" in row["layers"]) == (row["mode"] == "alloc")
    assert fastnorm.layer_norm.__module__ == "fastnorm.norms"
    assert len(list(small.lines(rows))) == 2


def test_without_pytorch_nothing_is_missing_but_its_time(monkeypatch):
    monkeypatch.setattr(small.importlib.util, "find_spec", lambda name: None)
    rows = small.measure(0, small.CASES[:1])
    assert [row["torch_nanoseconds"] for row in rows] == [None, None]
    assert "torch" not in "".join(small.lines(rows))


@pytest.mark.parametrize("what", ["size", "length", "small"])
def test_chart_is_one_svg(what, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    if what != "small":
        rows = made_up([1e-9, 1e-9, 2e-9, 1e-9], series=what) + made_up([1e-9] * 4, series=what, threads=2)
        rows.append(rows[-1] | {"left_out": "too large", "seconds_per_element": None})
        texts = ["made up", "2 threads", "copy", "cliff", {"size": "> L2<", "length": "contiguous length"}[what]]
        draw = functools.partial(growth.draw, series=what)
    else:
        row = {"function": "layer_norm", "options": "", "mode": "alloc", "path": "plain", "nanoseconds": 900.0}
        row |= {"layers": {"timer": 50.0, "kernel": 850.0, "checks": -3.0}, "torch_nanoseconds": 3600.0}
        rows = [row | {"shape": [1, 64]}, row | {"shape": [1, 4, 3, 3], "torch_nanoseconds": None}]
        texts = ["layer_norm 1x64", "kernel", "4.0x"]
        draw = small.draw
    figure = Figure(layout="constrained")
    draw(figure, rows)
    with pytest.MonkeyPatch.context() as patch:
        import matplotlib

        patch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
        figure.savefig(tmp_path / "chart.svg")
    svg = (tmp_path / "chart.svg").read_text()
    assert "<svg" in svg
    assert all(text in svg for text in texts)


def test_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    monkeypatch.setattr(small, "CASES", small.CASES[:1])
    monkeypatch.setattr(small.measure, "__defaults__", (small.CASES,))
    path = tmp_path / "small.json"
    importlib.import_module("growth").main(["--small", "--seconds", "0", "--json", str(path)])
    assert len(json.loads(path.read_text())) == 2
    assert capsys.readouterr().out.count("layer_norm 1x64") == 2
