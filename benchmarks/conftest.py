"""Inputs of the benchmark cases, made and checked once for all thread counts of a case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastnorm
from fastnorm._bench import agreement
from fastnorm._bench.cases import CASES, Case, Inputs


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.id)
def case(request: pytest.FixtureRequest) -> Case:
    """One row of the table."""
    selected: Case = request.param
    return selected


@pytest.fixture(scope="module")
def inputs(case: Case) -> Inputs:
    """Arrays of the case, on which fastnorm agrees with the reference."""
    arrays = case.make_inputs()
    assert agreement.case_error(case, arrays, case.as_array(case.call(arrays)())) <= 1
    return arrays


@pytest.fixture(params=sorted({1, fastnorm.get_num_threads()}), ids=lambda n: f"{n}thr")
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Threads that fastnorm may use while the test runs."""
    with fastnorm.threads(request.param):
        yield request.param
