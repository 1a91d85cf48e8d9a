"""What all tests share: the same random examples in every run, and no time that one may take."""

import os
import sys

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=200)
settings.load_profile("suite")


@pytest.fixture(autouse=True, scope="module")
def own_threads():
    """A peer may share its OpenMP library with fastnorm, and so its thread limit: that ends with the file's tests."""
    torch = sys.modules.get("torch")
    before = torch and torch.get_num_threads()
    yield
    torch = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(before or os.cpu_count())
