"""The benchmark's pieces on tiny shapes: what it must catch, refuse, print and write."""

from __future__ import annotations

import functools
import importlib
import json
import math
import subprocess
import sys
import timeit
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from fastnorm.__main__ import main
from fastnorm._bench import agreement, cases, document, peers, report, run, timing
from fastnorm._bench.cases import CASES, Case

TINY = (
    Case("layer_norm", (4, 8)),
    Case("layer_norm", (2, 3, 4, 4), options={"axis": 1}),
    Case("rms_norm", (4, 8), "float16", "out"),
    Case("rms_norm", (1, 40), mode="out", options={"weight": None}),
)


@pytest.fixture
def tiny(monkeypatch):
    """Put `TINY` in place of the real table."""
    monkeypatch.setattr(cases, "CASES", TINY)


@pytest.fixture
def wrong(monkeypatch):
    """Make fastnorm's layer norm slightly wrong."""
    right = fastnorm.layer_norm
    monkeypatch.setattr(fastnorm, "layer_norm", lambda *a, **k: right(*a, **k) + np.float32(1e-4))


def test_case_ids_are_unique():
    assert len({case.id for case in CASES}) == len(CASES)


def test_table_without_bfloat16(monkeypatch):
    assert "bfloat16" in {case.dtype for case in CASES}
    monkeypatch.setattr(cases.importlib.util, "find_spec", lambda name: None)
    assert cases._table() == tuple(case for case in CASES if case.dtype != "bfloat16")


def test_case_describes_itself():
    case = Case("layer_norm", (2, 3, 4, 4), options={"axis": 1})
    assert case.id == "layer_norm-2x3x4x4-float32-alloc-axis=1"
    assert case.parameter_shape("bias") == (3,)
    assert case.settings["eps"] == 1e-5
    assert case.bytes_moved == 4 * (2 * 96 + 2 * 3)


def test_option_none_leaves_out_a_parameter():
    case = TINY[3]
    assert case.make_inputs().parameters == {}
    assert case.bytes_moved == 4 * 2 * 40


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.id)
def test_inputs_repeat_and_the_call_uses_them(case):
    inputs = case.make_inputs()
    np.testing.assert_array_equal(inputs.x, case.make_inputs().x)
    y = case.call(inputs)()
    assert (y is inputs.out) == (case.mode == "out")
    assert agreement.case_error(case, inputs, y) <= 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_error_passes_one_rounding_and_catches_what_exceeds_the_tolerance(dtype):
    x = np.random.default_rng(0).standard_normal((64, 32)).astype(dtype)
    weight = np.full(32, 2.0, dtype)
    y = reference.rms_norm(x, weight)
    assert agreement.error(y, x, weight, reference_function=reference.rms_norm) <= 1
    off = y + np.abs(y).max() * np.finfo(dtype).eps * 30
    assert agreement.error(off.astype(dtype), x, weight, reference_function=reference.rms_norm) > 1


def test_error_wants_nan_and_inf_where_the_reference_has_them():
    x = np.ones((3, 4), np.float32)
    x[1, 2] = np.nan
    x[2, 0] = np.inf
    with np.errstate(invalid="ignore"):
        y = reference.rms_norm(x)
    assert agreement.error(y, x, reference_function=reference.rms_norm) <= 1
    for row, column, value in [(0, 0, np.nan), (0, 0, np.inf), (1, 0, 0.0), (2, 1, np.nan)]:
        bad = y.copy()
        bad[row, column] = value
        assert agreement.error(bad, x, reference_function=reference.rms_norm) == math.inf


def test_error_takes_overflow_of_the_result_as_infinity():
    x = np.array([[1.0, -1.0]], np.float16)
    weight = np.full(2, 6e4, np.float16)
    bias = np.array([6e4, 0.0], np.float16)
    y = np.array([[np.inf, -6e4]], np.float16)
    arguments = {"reference_function": reference.layer_norm, "axis": (-1,)}
    assert agreement.error(y, x, weight, bias, **arguments) <= 1
    assert agreement.error(-y, x, weight, bias, **arguments) == math.inf


def test_result_of_another_shape_or_dtype_is_wrong():
    x = np.ones((2, 4), np.float32)
    assert agreement.error(x[:1], x, reference_function=reference.rms_norm) == math.inf
    assert agreement.distance(x[:1], x.astype(float), np.ones(x.shape)) == math.inf
    inputs = TINY[0].make_inputs()
    y = TINY[0].call(inputs)()
    for other in (y[:1], y.astype("float64")):
        assert agreement.case_error(TINY[0], inputs, other) == math.inf
    assert not agreement.agrees(TINY[0], inputs, y[:1])


def test_slabs_cover_a_case_once(monkeypatch):
    monkeypatch.setattr(agreement, "SLAB", 7)
    for case in TINY:
        seen = np.zeros(case.shape, int)
        for slab in agreement.slabs(case):
            seen[slab] += 1
        assert (seen == 1).all()


@pytest.mark.usefixtures("tiny")
def test_check_prints_one_line_for_each_case(capsys):
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [case.id for case in TINY]
    assert all(line.endswith("ok") for line in lines)


@pytest.mark.usefixtures("tiny", "wrong")
def test_check_fails_on_a_wrong_result(capsys):
    assert main(["check"]) == 1
    verdicts = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert verdicts == ["FAILED", "FAILED", "ok", "ok"]


@pytest.mark.usefixtures("tiny", "wrong")
def test_bench_times_nothing_after_a_wrong_result(capsys):
    assert main(["bench", "--peers", "none"]) == 1
    out = capsys.readouterr().out
    assert "2 of 4 cases" in out
    assert TINY[0].id in out
    assert "GB/s" not in out


@pytest.mark.usefixtures("tiny")
def test_bench_prints_a_row_for_each_case_and_number_of_threads(capsys):
    assert main(["bench", "--peers", "none", "--threads", "1", "2", "--seconds", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    title = next(i for i, line in enumerate(lines) if line.startswith("function"))
    assert lines[title].split()[-5:] == ["GB/s", "copy", "numpy", "best", "peer"]
    rows = lines[title + 1 : -1]
    assert len(rows) == 2 * len(TINY)
    assert all(row.endswith("x") for row in rows)
    assert lines[-1].startswith("geometric mean")


@pytest.mark.usefixtures("tiny")
def test_bench_writes_json(tmp_path, capsys):
    path = tmp_path / "bench.json"
    arguments = ["--filter", "rms", "--threads", "1", "--seconds", "0", "--json", str(path)]
    assert main(["bench", "--peers", "none", *arguments]) == 0
    results = json.loads(path.read_text())
    assert set(results) == {
        "machine", "versions", "notes", "config", "threads", "seconds", "apart", "failures", "agreement", "rows"
    }  # fmt: skip
    assert results["versions"]["numpy"] == np.__version__
    assert results["threads"] == [1]
    assert set(results["agreement"]) == {case.id for case in TINY[2:]}
    assert [row["id"] for row in results["rows"]] == [case.id for case in TINY[2:]]
    for row in results["rows"]:
        assert set(row["contenders"]) == {"fastnorm", "copy", "numpy"}
        for times in row["contenders"].values():
            assert set(times) == {"median", "min", "iqr", "samples", "loops", "ratio"}
            assert 0 < times["min"] <= times["median"]
            assert times["samples"] >= 2  # and `timing.MIN_ROUNDS`, unless the machine stood still meanwhile


@pytest.mark.usefixtures("tiny")
def test_readme_table_names_what_is_missing_and_what_is_wrong(tmp_path, monkeypatch, capsys):
    path = tmp_path / "bench.json"
    arguments = ["--filter", TINY[1].id, "--threads", "1", "--seconds", "0", "--json", str(path)]
    assert main(["bench", "--peers", "none", *arguments]) == 0
    results = json.loads(path.read_text())
    results["versions"] |= {"absent": "1", "other": "1"}
    results["rows"][0]["wrong"] = ["other"]
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    text = importlib.import_module("readme").speed(results)
    title, _, row, means = text[text.index("| |") :].splitlines()[:4]
    assert title.endswith("| copy | numpy | absent | other |")
    assert row.startswith("| layer_norm 2x3x4x4 axis=1 | 1 |")
    assert row.endswith("|  | wrong |")
    assert means.endswith("|  |  |")


@pytest.mark.usefixtures("tiny")
def test_absent_peer_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    arguments = ["--filter", TINY[0].id, "--threads", "1", "--seconds", "0"]
    assert main(["bench", "--peers", "torch", *arguments]) == 0
    assert capsys.readouterr().out.splitlines().count("torch: not installed, skipped") == 1


def test_peer_that_lacks_a_second_package_says_which(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "numpy", ("numpy", "no_such_package"))
    _, skipped = peers.load(["numpy"])
    assert skipped == ["numpy: no_such_package: not installed, skipped"]


def test_peer_that_computes_something_else_is_not_timed():
    def prepare(case, inputs, threads):
        return lambda: reference.layer_norm(inputs.x, **inputs.parameters, eps=1.0)

    peer = SimpleNamespace(version="1", note="", prepare=prepare, to_numpy=np.asarray)
    (row,) = run.bench(TINY[:1], [1], {"other": peer}, seconds=0)
    assert row.wrong == ("other",)
    assert "other" not in row.samples
    assert report.Table(["other"]).row(row).split()[-2:] == ["wrong", "-"]


def test_peer_that_writes_nothing_is_wrong():
    peer = SimpleNamespace(
        version="1",
        note="",
        to_numpy=np.asarray,
        prepare=lambda case, inputs, n: lambda: inputs.out,
    )
    (row,) = run.bench(TINY[2:3], [1], {"idle": peer}, seconds=0)
    assert row.wrong == ("idle",)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("--threads", "0", "expected at least 1"),
        ("--peers", "tensorflow", "unknown peer 'tensorflow'"),
        ("--filter", "no such case", "no case has this in its name"),
        ("--json", "no/such/directory/file.json", "is not a directory"),
    ],
)
def test_bench_refuses_bad_arguments(argument, value, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", argument, value])
    assert message in capsys.readouterr().err


def test_bare_command_prints_the_help(capsys):
    assert main([]) == 0
    assert "bench" in capsys.readouterr().out


def test_info_shows_the_configuration(capsys):
    assert main(["info"]) == 0
    assert fastnorm.__version__ in capsys.readouterr().out


def test_module_is_a_command():
    done = subprocess.run([sys.executable, "-m", "fastnorm", "info"], capture_output=True, check=True, text=True)
    assert fastnorm.__version__ in done.stdout
    assert subprocess.run([sys.executable, "-m", "fastnorm", "no"], capture_output=True, check=False).returncode == 2


def test_import_leaves_the_benchmark_alone():
    code = "import sys, fastnorm; print(any('_bench' in name for name in sys.modules))"
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run_.stdout.strip() == "False"


def test_samples_summarise():
    samples = timing.Samples((1.0, 2.0, 3.0, 4.0, 5.0), loops=1)
    assert (samples.median, samples.min, samples.iqr) == (3.0, 1.0, 2.0)


@pytest.fixture
def takes(monkeypatch):
    """Calls that take so many seconds of a clock that nothing else moves, and how many of them were made."""
    now, calls = [0.0], Counter()
    monkeypatch.setattr(timing.timeit, "Timer", functools.partial(timeit.Timer, timer=lambda: now[0]))

    def call(seconds):
        now[0] += seconds
        calls[seconds] += 1

    return lambda seconds: functools.partial(call, seconds), calls


def test_measure_makes_the_least_rounds_and_long_samples(takes):
    make, calls = takes
    samples = timing.measure({"quick": make(1e-6)}, seconds=0)["quick"]
    assert samples.seconds == pytest.approx([1e-6] * timing.MIN_ROUNDS)
    assert 1 <= samples.loops * 1e-6 / timing.SAMPLE <= 1.5
    assert calls[1e-6] > timing.MIN_ROUNDS * (samples.loops + 1)  # each round warms up


def test_slow_contender_leaves_after_two_samples(takes):
    make, calls = takes
    samples = timing.measure({"slow": make(0.06), "quick": make(1e-6)}, seconds=0.1)
    assert samples["slow"].seconds == pytest.approx([0.06] * 2)
    assert calls[0.06] == 2
    assert len(samples["quick"].seconds) >= timing.MIN_ROUNDS


@pytest.mark.parametrize("system", ["Linux", "elsewhere"])
def test_cpu_is_named(monkeypatch, system):
    monkeypatch.setattr(document.platform, "system", lambda: system)
    assert document.machine()["cpu"]
