"""What a process may not have: more threads, address space, cores for itself. Calls answer all the same.

OpenMP ends the process where it cannot make a thread, so each of these is a child that has to live, with the right
bits. The controls show that the limits bind: OpenMP, asked without our probe, does end there.
"""

import os
import shutil
import subprocess
import textwrap

import pytest
from children import printed, python

import fastnorm

pytestmark = [
    pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc here"),
    pytest.mark.skipif(not fastnorm.show_config("dicts")["openmp"], reason="this build has no OpenMP"),
]

CHILD = """
import os, resource, threading, time, zlib
import numpy as np

x = np.random.default_rng(0).standard_normal((3000, 1000)).astype("f4")
y = np.empty_like(x)
with fastnorm.threads(1):
    expected = zlib.crc32(fastnorm.layer_norm(x))

def alive():
    return len(os.listdir("/proc/self/task"))

def started(n):
    # How many threads the call leaves behind, once its bits are right.
    before = alive()
    with fastnorm.threads(n):
        fastnorm.layer_norm(x, out=y)
    assert zlib.crc32(y) == expected
    return alive() - before

def allow_threads(n):
    # Besides those that are there: the limit counts all of a user's, so be one who has no others. Root has no limit.
    if os.getuid() == 0:
        os.setuid(54321)
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (alive() + n, most))

def allow_bytes(n):
    pages = int(open("/proc/self/statm").read().split()[0])
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + n, most))
"""
as_root = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="others' threads count here")


def run(code, **environment):
    return printed(CHILD + textwrap.dedent(code), **environment)


@as_root
@pytest.mark.parametrize(
    ("allowed", "wanted", "expected"), [(0, 2, 0), (1, 2, 0), (2, 2, 1), (1, 3, 0), (3, 3, 1), (4, 3, 2), (5, 8, 2)]
)
def test_as_many_threads_as_may_be(allowed, wanted, expected):
    """Half of those that could be made: the system may still count those that tried it out."""
    assert run(f"allow_threads({allowed}); print(started({wanted}))") == str(expected)


@as_root
def test_each_caller_needs_its_own():
    code = """
        seen = [started(3)]
        mine = alive()
        allow_threads(3)
        thread = threading.Thread(target=lambda: seen.append(started(3)))
        thread.start()
        thread.join()
        while alive() > mine:  # the thread's own team ends after it
            pass
        print(*seen, started(3), started(2), started(3))
    """
    # 2 are there for the main thread. The other may have 2, but is sure of 1 only. A smaller team ends one of the main
    # thread's; of the 3 that there may be again it is sure of 1.
    assert run(code) == "2 1 0 -1 1"


@as_root
def test_it_tries_again():
    code = """
        allow_threads(0)
        before = started(2)
        allow_threads(2)
        soon = started(2)
        time.sleep(1.1)
        print(before, soon, started(2))
    """
    assert run(code) == "0 0 1"


def test_little_address_space():
    """Less than the stacks of the team's threads."""
    assert run("allow_bytes(4 << 20); print(started(4))") == "0"
    assert run("allow_bytes(1 << 30); print(started(4))", OMP_STACKSIZE="4G") == "0"
    assert run("allow_bytes(1 << 30); print(started(4))", OMP_STACKSIZE="1M") == "3"


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 0), ("16", 16 << 10), ("512k", 512 << 10), (" 3 M ", 3 << 20), ("1G", 1 << 30), ("70B", 70), ("many", 0)],
)
def test_the_size_of_stacks(monkeypatch, text, size):
    monkeypatch.setenv("OMP_STACKSIZE", text)
    monkeypatch.delenv("GOMP_STACKSIZE", raising=False)
    assert fastnorm._threads._stack_bytes() == size


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
@pytest.mark.parametrize("limit", [pytest.param("allow_threads(1)", marks=as_root), "allow_bytes(4 << 20)"])
def test_openmp_alone_ends_there(tmp_path, limit):
    source, library = tmp_path / "team.c", tmp_path / "team.so"
    source.write_text('void team(void) {\n#pragma omp parallel num_threads(3)\n{ __asm__ volatile(""); } }\n')
    subprocess.run(["cc", "-fopenmp", "-shared", "-fPIC", "-o", library, source], check=True)
    code = f"import ctypes; team = ctypes.CDLL({str(library)!r}).team; {limit}; team(); print('alive')"
    done = python(CHILD + code)
    assert done.returncode != 0
    assert "alive" not in done.stdout
    assert "hread creation failed" in done.stderr
