"""No call touches memory outside of its arrays: each ends at a page that may not be touched, or starts after one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from signatures import FAMILIES

import fastnorm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by Linux' mprotect")
SCRIPT = str(Path(__file__).parent / "guarded.py")


@pytest.mark.parametrize("isa", fastnorm.show_config("dicts")["isa_supported"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_function(family, isa, tmp_path):
    last = tmp_path / "last"
    last.touch()
    done = subprocess.run(
        [sys.executable, SCRIPT, family, last, "64"],
        env={**os.environ, "FASTNORM_ISA": isa},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{last.read_text()}\n{done.stderr[-3000:]}"
    assert int(done.stdout) > 500


def test_a_touched_page_ends_the_child():
    """So that the tests above can fail: one element more than there is."""
    code = """
        import faulthandler, numpy as np, guarded, fastnorm
        faulthandler.enable()
        x = guarded.Region(1).place(np.ones((3, 5), "float32"), (20, 4), {at_end})
        fastnorm.layer_norm(np.ndarray(15, "float32", x, 0))
        print("read", flush=True)
        longer = np.lib.stride_tricks.as_strided(x[{row}:], (6,), ({step},))
        fastnorm.layer_norm(longer, out=np.empty(6, "float32"))
    """
    for at_end, row, step in ((True, 2, 4), (False, 0, -4)):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code).format(at_end=at_end, row=row, step=step)],
            cwd=Path(SCRIPT).parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == "read\n", done.stderr
        assert done.returncode < 0
        assert "Segmentation fault" in done.stderr or "Bus error" in done.stderr
