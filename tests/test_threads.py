"""How many threads a call may use, who says so, and what a process decides when it imports fastnorm.

Defaults are read once at import, so these tests ask children that start with the environment in question. What a thread
limit may never do is change a result: other threads and every tier must give the same bits. (test_forks.py has forked
children, test_interrupts.py signals, test_thread_limits.py what a process may not have.)
"""

import math
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from arrays import normal
from children import LIMITS, printed, python

import fastnorm
from fastnorm import _threads

CONFIG = fastnorm.show_config(mode="dicts")
REPORT = "c = fastnorm.show_config('dicts'); print(c['threads'], c['threads_reason'], sep=';')"

needs_openmp = pytest.mark.skipif(not CONFIG["openmp"], reason="this build has no OpenMP")


@pytest.fixture(autouse=True)
def _limit_put_back():
    before = fastnorm.get_num_threads()
    yield
    fastnorm.set_num_threads(before)


@needs_openmp
@pytest.mark.parametrize("n", [1, 2, 5, 1024, np.int64(3)])
def test_set_and_get(n):
    fastnorm.set_num_threads(n)
    assert fastnorm.get_num_threads() == n
    assert type(fastnorm.get_num_threads()) is int
    config = fastnorm.show_config(mode="dicts")
    assert (config["threads"], config["threads_reason"]) == (n, "set_num_threads")


BAD_NUMBERS = [
    *((n, ValueError, f"^n must be between 1 and 1024, got {n}$") for n in (0, -1, 1025, 2**70)),
    *((n, TypeError, f"^n must be an int, got {type(n).__name__}$") for n in (1.5, 2.0, "2", None, [2], 1j)),
]


@pytest.mark.parametrize(("n", "kind", "message"), BAD_NUMBERS)
@pytest.mark.parametrize("function", [fastnorm.set_num_threads, lambda n: fastnorm.threads(n).__enter__()])
def test_bad_numbers_are_refused(function, n, kind, message):
    before = fastnorm.get_num_threads()
    with pytest.raises(kind, match=message):
        function(n)
    assert fastnorm.get_num_threads() == before


@needs_openmp
def test_blocks_nest_and_end():
    fastnorm.set_num_threads(4)
    with fastnorm.threads(2):
        assert fastnorm.get_num_threads() == 2
        assert fastnorm.show_config("dicts")["threads_reason"] == "threads"
        with fastnorm.threads(7):
            assert fastnorm.get_num_threads() == 7
            fastnorm.set_num_threads(5)
            assert fastnorm.get_num_threads() == 7
        assert fastnorm.get_num_threads() == 2
        with pytest.raises(KeyError, match="inside"), fastnorm.threads(3):
            raise KeyError("inside")
        assert fastnorm.get_num_threads() == 2
    assert fastnorm.get_num_threads() == 5


@needs_openmp
def test_a_block_binds_its_own_thread_only():
    fastnorm.set_num_threads(4)
    inside, checked = threading.Event(), threading.Event()

    def other():
        before = fastnorm.get_num_threads()
        with fastnorm.threads(6):
            inside.set()
            assert checked.wait(60)
            return before, fastnorm.get_num_threads()

    with ThreadPoolExecutor(1) as pool, fastnorm.threads(2):
        answer = pool.submit(other)
        assert inside.wait(60)
        assert fastnorm.get_num_threads() == 2
        checked.set()
        assert answer.result() == (4, 6)
    assert fastnorm.get_num_threads() == 4


@pytest.mark.skipif(CONFIG["openmp"], reason="this build has OpenMP")
def test_without_openmp():
    with pytest.warns(RuntimeWarning, match="without OpenMP"):
        fastnorm.set_num_threads(2)
    with fastnorm.threads(3):
        assert fastnorm.get_num_threads() == 1


@needs_openmp
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc here")
def test_a_large_call_uses_what_it_may():
    code = """
        import os
        import numpy as np
        x = np.ones((2000, 1000), "f4")
        before, started = len(os.listdir("/proc/self/task")), []
        for n in (1, 3):
            with fastnorm.threads(n):
                fastnorm.layer_norm(x[:10])
                fastnorm.layer_norm(x)
            started.append(len(os.listdir("/proc/self/task")) - before)
        print(started)
    """
    assert printed(code) == "[0, 2]"


DEFAULT = "the default"
DEFAULTS = [
    ({}, DEFAULT),
    ({"FASTNORM_NUM_THREADS": "3"}, "3;FASTNORM_NUM_THREADS"),
    ({"FASTNORM_NUM_THREADS": " 1024 "}, "1024;FASTNORM_NUM_THREADS"),
    ({"OMP_NUM_THREADS": "5"}, "5;OMP_NUM_THREADS"),
    ({"OMP_NUM_THREADS": "4,2"}, "4;OMP_NUM_THREADS"),
    ({"OMP_NUM_THREADS": " 6 , 2,1"}, "6;OMP_NUM_THREADS"),
    ({"FASTNORM_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, "3;FASTNORM_NUM_THREADS"),
    ({"FASTNORM_NUM_THREADS": "7", "OMP_NUM_THREADS": "1"}, "7;FASTNORM_NUM_THREADS"),
    ({"FASTNORM_NUM_THREADS": "", "OMP_NUM_THREADS": "5"}, "5;OMP_NUM_THREADS"),
    *(({"OMP_NUM_THREADS": text}, DEFAULT) for text in ("", "many", "0", "-2", ",2", "2.5")),
]


@needs_openmp
@pytest.mark.parametrize(("environment", "expected"), DEFAULTS, ids=str)
def test_defaults(environment, expected):
    if expected is DEFAULT:
        n, reason = _threads._affinity(), "CPU affinity"
        quota = _threads._cgroup_quota()
        if quota is not None and quota < n:
            n, reason = math.ceil(quota), "cgroup CPU quota"
        expected = f"{n};{reason}"
    assert printed(REPORT, **environment) == expected


@needs_openmp
@pytest.mark.parametrize("text", ["many", "0", "-1", "1025", "2.5", "0x2"])
def test_a_bad_default_stops_the_import(text):
    done = python("", FASTNORM_NUM_THREADS=text, OMP_NUM_THREADS="2")
    assert done.returncode != 0
    message = f"ValueError: FASTNORM_NUM_THREADS must be an integer from 1 to 1024, got {text!r}"
    assert done.stderr.splitlines()[-1] == message


@needs_openmp
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity():
    one = min(os.sched_getaffinity(0))
    assert printed(REPORT, imports=f"import os; os.sched_setaffinity(0, {{{one}}}); import fastnorm\n")[0] == "1"


@needs_openmp
@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [
        (8, None, (8, "CPU affinity")),
        (8, 1.5, (2, "cgroup CPU quota")),
        (8, 2.0, (2, "cgroup CPU quota")),
        (8, 0.1, (1, "cgroup CPU quota")),
        (8, 8.0, (8, "CPU affinity")),
        (2, 64.0, (2, "CPU affinity")),
        (4096, None, (1024, "CPU affinity")),
    ],
)
def test_affinity_and_quota(monkeypatch, affinity, quota, expected):
    for variable in LIMITS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(_threads, "_affinity", lambda: affinity)
    monkeypatch.setattr(_threads, "_cgroup_quota", lambda: quota)
    assert _threads.default_threads() == expected


HALF = {"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"}
UNLIMITED = {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}
V2 = "0::/a/b\n"
V1 = "12:memory:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a\n"
CGROUPS = {  # /proc/self/cgroup, the files of the mount, the quota
    "v2, limit on a parent": (V2, {"a/b": "max 100000", "a": "150000 100000"}, 1.5),
    "v2, the smallest on the way": (V2, {"a/b": "400000 100000", "a": "200000 100000", "": "300000 100000"}, 2.0),
    "v2, own limit": (V2, {"a/b": "20000 100000"}, 0.2),
    "v2, no limit": (V2, {"a/b": "max 100000", "a": "max 100000"}, None),
    "v2, a sibling's limit": (V2, {"a/c": "100000 100000", "b": "100000 100000"}, None),
    "v2, at the root": ("0::/\n", {"": "100000 50000"}, 2.0),
    "v2, a path of the host": ("0::/docker/0123abcd\n", {"": "250000 100000"}, 2.5),
    "v2, a path above the namespace": ("0::/../other\n", {"": "250000 100000"}, 2.5),
    "v2, no files": (V2, {}, None),
    "v2, nonsense": (V2, {"a/b": "fast", "a": "1 2 3", "": ""}, None),
    "v2, nonsense below a limit": (V2, {"a/b": "fast", "a": "100000 100000"}, 1.0),
    "v1": (V1, {"cpu,cpuacct/a/b": HALF}, 0.5),
    "v1, limit on a parent": (V1, {"cpu,cpuacct/a/b": UNLIMITED, "cpu,cpuacct/a": HALF}, 0.5),
    "v1, -1": (V1, {"cpu,cpuacct/a/b": UNLIMITED}, None),
    "v1, mounted as cpu": (V1, {"cpu/a/b": HALF}, 0.5),
    "v1, a path of the host": (V1, {"cpu,cpuacct": HALF}, 0.5),
    "v1, no period": (V1, {"cpu,cpuacct/a/b": {"cpu.cfs_quota_us": "50000\n"}}, None),
    "v1, another controller": ("3:cpuset:/a/b\n", {"cpu/a/b": HALF, "cpuset/a/b": HALF}, None),
    "v1 beside an empty v2": (V1 + "0::/a\n", {"cpu,cpuacct/a/b": HALF}, 0.5),
    "no lines": ("", {"": "100000 100000"}, None),
    "no /proc": (None, {"": "100000 100000"}, None),
}


@pytest.mark.parametrize("case", CGROUPS)
def test_cgroup_quota(tmp_path, case):
    lines, groups, expected = CGROUPS[case]
    proc, root = tmp_path / "cgroup", tmp_path / "mount"
    if lines is not None:
        proc.write_text(lines)
    for path, content in groups.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        for name, text in ({"cpu.max": content + "\n"} if isinstance(content, str) else content).items():
            (root / path / name).write_text(text)
    assert _threads._cgroup_quota(proc, root) == expected


@needs_openmp
def test_threadpoolctl_lowers_the_limit():
    pytest.importorskip("threadpoolctl")
    code = """
        from threadpoolctl import threadpool_limits
        seen = [fastnorm.get_num_threads()]
        with threadpool_limits(2, user_api="openmp"):
            seen.append(fastnorm.get_num_threads())
            with fastnorm.threads(3):
                seen.append(fastnorm.get_num_threads())
            with fastnorm.threads(1):
                seen.append(fastnorm.get_num_threads())
        with threadpool_limits(6, user_api="openmp"):
            seen.append(fastnorm.get_num_threads())
        print(seen, fastnorm.get_num_threads())
    """
    assert printed(code, OMP_NUM_THREADS="4") == "[4, 2, 2, 1, 4] 4"


@pytest.mark.parametrize("shape", [(4, 8), (100, 256), (600, 1024), (2, 700_001)], ids=str)
@pytest.mark.parametrize("n", [1, 3])
def test_calls_from_many_threads(shape, n):
    x, weight = normal(shape, offset=1.0), normal(shape[-1], seed=1)
    expected = fastnorm.layer_norm(x, weight).tobytes(), fastnorm.rms_norm(x.T, axis=0).tobytes()
    start = threading.Barrier(8)

    def call():
        start.wait(60)
        with fastnorm.threads(n):
            return {(fastnorm.layer_norm(x, weight).tobytes(), fastnorm.rms_norm(x.T, axis=0).tobytes()) for _ in "123"}

    with ThreadPoolExecutor(8) as pool:
        answers = [one.result() for one in [pool.submit(call) for _ in range(8)]]
    assert answers == [{expected}] * 8


@pytest.mark.parametrize("isa", CONFIG["isa_supported"])
def test_every_instruction_set_can_be_forced(isa):
    code = (
        "c = fastnorm.show_config('dicts'); print(c['isa'], c['isa_reason'], fastnorm.layer_norm([1.0, 3.0], eps=0.0))"
    )
    assert printed(code, FASTNORM_ISA=isa) == f"{isa} FASTNORM_ISA [-1.  1.]"


@pytest.mark.parametrize("isa", ["mmx", "AVX2", "avx2 ", "scalar,avx2"])
def test_unknown_instruction_sets_stop_the_import(isa):
    done = python("", FASTNORM_ISA=isa)
    assert done.returncode != 0
    message = f"ValueError: FASTNORM_ISA={isa!r} is unknown, expected one of scalar, neon, avx2, avx512"
    assert done.stderr.splitlines()[-1] == message


@pytest.mark.parametrize("isa", sorted({"neon", "avx2", "avx512"} - set(CONFIG["isa_supported"])))
def test_instruction_sets_not_here_stop_the_import(isa):
    done = python("", FASTNORM_ISA=isa)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    reason = "needs .*, which this machine lacks" if isa in CONFIG["isa_built"] else "is not in this build of fastnorm"
    assert re.match(f"ValueError: FASTNORM_ISA='{isa}' {reason}", last), last


def test_subnormals_survive_the_import():
    code = """
        import numpy as np
        fastnorm.layer_norm(np.ones((2000, 1000), "f4"))
        for tiny in (np.array([2.0**-1074]), np.array([2.0**-149], "f4")):
            print((tiny * 1 > 0).all(), (tiny * 4 / 4 == tiny).all(), 2.0**-1074 > 0)
    """
    assert set(printed(code).split()) == {"True"}


KEYS = {"version", "compiler", "isa", "isa_reason", "isa_built", "isa_supported", "fma", "openmp"}


def test_show_config_as_a_dictionary(capsys):
    config = fastnorm.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert set(config) == KEYS | {"threads", "threads_reason"}
    assert config["version"] == fastnorm.__version__
    assert config["isa"] in config["isa_supported"]
    assert set(config["isa_supported"]) <= set(config["isa_built"])
    assert config["threads"] == fastnorm.get_num_threads()
    config["isa_built"].clear()
    assert fastnorm.show_config(mode="dicts")["isa_built"] == CONFIG["isa_built"]


def test_show_config_on_stdout(capsys):
    fastnorm.set_num_threads(1)
    assert fastnorm.show_config() is None
    shown = capsys.readouterr().out
    assert fastnorm.show_config(mode="stdout") is None
    assert capsys.readouterr().out == shown
    for value in (fastnorm.__version__, CONFIG["compiler"], CONFIG["isa"], *CONFIG["isa_built"], "(set_num_threads)"):
        assert value in shown


@pytest.mark.parametrize("mode", ["json", "", None, 1, ["dicts"]], ids=repr)
def test_show_config_refuses_other_modes(mode):
    message = f"^mode is {re.escape(repr(mode))}, expected 'stdout' or 'dicts'$"
    with pytest.raises(ValueError, match=message):
        fastnorm.show_config(mode=mode)


@needs_openmp
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc here")
@pytest.mark.parametrize(("variable", "started"), [("OMP_NUM_THREADS", "0 1"), ("FASTNORM_NUM_THREADS", "1 0")])
def test_a_default_team_rests_where_others_hold_the_cores(variable, started):
    """And a number that was asked for is used."""
    code = """
        import os
        import numpy as np
        from fastnorm._kernels import tasks

        x = np.ones((4096, 256), "float32")

        def started():
            before = len(os.listdir("/proc/self/task"))
            fastnorm.layer_norm(x)
            return len(os.listdir("/proc/self/task")) - before

        tasks.rest_after(10**10)
        print(started(), end=" ")
        with fastnorm.threads(2):
            print(started())
    """
    assert printed(code, **{variable: "2"}) == started
