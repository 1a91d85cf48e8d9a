"""Memory that cannot be had: MemoryError, and nothing moved, written or lost for it (`failing`)."""

import ctypes
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parent / "fastnorm" / "_kernels"
pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or "LD_PRELOAD" in os.environ,
    reason="allocations are caught by a library that stands before glibc's",
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    library = tmp_path_factory.mktemp("preload") / "failing_malloc.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        pytest.skip("no C compiler here")
    # -fno-builtin: these functions are what the compiler takes them for, and call themselves by other names.
    subprocess.run(
        [*compiler, "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", library, HERE / "failing_malloc.c", "-ldl"],
        check=True,
    )
    try:
        ctypes.CDLL(str(library))
    except OSError as error:  # the tests run in an emulator
        pytest.skip(f"the C compiler is another machine's: {error}")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", HERE / "failing.py"],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_allocation_of_the_kernels(report):
    """As many were made to fail as there are in the source."""
    sites = {path.stem: len(re.findall(r"\bmalloc\(", path.read_text())) for path in KERNELS.glob("*.pyx")}
    missing = set() if "rows" in report["sites"] else {"rows", "columns"}  # no OpenMP, so that nothing is shared
    assert report["sites"] == {name: n for name, n in sites.items() if n and name not in missing}
    assert not any(re.search(r"\b(malloc|calloc|realloc)\(", path.read_text()) for path in KERNELS.glob("*.h"))


def test_every_temporary_array(report):
    assert report["failed"] > 500
