"""Times of every case under pytest-benchmark, to compare one commit with another.

``pytest benchmarks --benchmark-autosave``, then ``--benchmark-compare``. The comparison with a copy
and with other libraries in full is ``python -m fastnorm bench``.
"""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from fastnorm._bench import timing
from fastnorm._bench.cases import Case, Inputs
from fastnorm._bench.run import copy_call


def test_norm(benchmark: BenchmarkFixture, case: Case, inputs: Inputs, threads: int) -> None:
    copy = timing.measure({"copy": copy_call(inputs)}, seconds=0.05)["copy"].median
    benchmark(case.call(inputs))
    # pytest-benchmark holds the whole session's --benchmark-disable as a run without statistics.
    if benchmark.stats is not None:
        median = benchmark.stats.stats.median
        benchmark.extra_info["bytes_moved"] = case.bytes_moved
        benchmark.extra_info["GB/s"] = case.bytes_moved / median / 1e9
        benchmark.extra_info["share_of_copy"] = copy / median
