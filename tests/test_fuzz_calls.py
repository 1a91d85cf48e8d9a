"""Random calls, right and wrong, on memory of every kind (`fuzz_calls`): the same ones in every run."""

import pytest
from fuzz_calls import make, run
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_memory import Chance


class Drawn(Chance):
    """Choices by hypothesis, which finds the simplest call that fails."""

    def __init__(self, data):
        self._data = data

    def number(self, low, high):
        return self._data.draw(st.integers(low, high))


@settings(max_examples=150)
@given(st.data())
def test_any_call(data):
    run(make(Drawn(data)))


@pytest.mark.parametrize("seed", range(3))
def test_calls_of_a_seed(seed):
    """Far more for the time than hypothesis draws."""
    outcomes = {run(make(Chance(f"{seed} {number}"))) for number in range(500)}
    assert {"right", "right, into out", "into out that overlaps itself", "TypeError", "ValueError"} <= outcomes
