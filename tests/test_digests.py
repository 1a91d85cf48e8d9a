"""The golden digests, on every instruction set that this machine runs."""

import json
import os
import subprocess
import sys

import pytest
from digests import DTYPES, GOLDEN

import fastnorm


@pytest.mark.parametrize("isa", fastnorm.show_config("dicts")["isa_supported"])
def test_instruction_sets(isa):
    done = subprocess.run(
        [sys.executable, GOLDEN.with_name("digests.py")],
        env=os.environ | {"FASTNORM_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    if "no fused multiply-add" in done.stderr:
        pytest.skip("rounds multiply-adds twice")
    assert done.returncode == 0, done.stderr


def test_every_function_is_there():
    golden = json.loads(GOLDEN.read_text())
    others = {"__version__", "Moments", "get_num_threads", "reference", "set_num_threads", "show_config", "threads"}
    assert set(golden) == {name for name in fastnorm.__all__ if name not in others}
    assert all(set(one) == set(DTYPES) for one in golden.values())
