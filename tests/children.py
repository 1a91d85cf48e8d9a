"""New interpreters: for what is decided at import, and for what could end or hang a process."""

import os
import subprocess
import sys
import textwrap

LIMITS = ("FASTNORM_NUM_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_STACKSIZE", "FASTNORM_ISA")


def python(code, *, imports="import fastnorm\n", **environment):
    """What a new interpreter does with this code and these variables."""
    inherited = {key: value for key, value in os.environ.items() if key not in LIMITS}
    return subprocess.run(
        [sys.executable, "-c", imports + textwrap.dedent(code)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def printed(code, **options):
    done = python(code, **options)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
    return done.stdout.strip()
