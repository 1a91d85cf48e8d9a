"""How many threads a call may use: the default and why, the process-wide setting, and one thread's own.

The default respects what limits the process (affinity, a container's CPU quota): more threads than CPUs only wait for
each other. The kernels read the limit in C at every call; this module only sets it.
"""

import contextlib
import operator
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from fastnorm._kernels import tasks

_ENVIRONMENT = ("FASTNORM_NUM_THREADS", "OMP_NUM_THREADS")


def _checked(n: int, name: str) -> int:
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {type(n).__name__}") from None
    if not 1 <= n <= 1024:
        raise ValueError(f"{name} must be between 1 and 1024, got {n}")
    return n


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_of(group: Path) -> float | None:
    """CPUs that one cgroup allows: v2's cpu.max, or v1's two files."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else None
    except (OSError, ValueError):
        return None


def _cgroup_quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The smallest quota on the way from this process's cgroup to the root, v2 or v1."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [root] if not controllers else [root / controllers, root / "cpu"]
        for mount in mounts:
            group = mount / path.lstrip("/")
            # Inside a container the path may be the host's: then the mount itself is our group.
            quotas += [_quota_of(parent) for parent in [group, *group.parents] if parent.is_relative_to(mount)]
    return min((quota for quota in quotas if quota is not None), default=None)


def default_threads() -> tuple[int, str]:
    """The number of threads before anyone sets it, and where it comes from."""
    if not tasks.openmp:
        return 1, "this build has no OpenMP"
    for variable in _ENVIRONMENT:
        # OMP_NUM_THREADS may be a list, one number for each nesting level; an empty one is as good as none.
        text = os.environ.get(variable, "").strip()
        if text:
            try:
                return _checked(
                    int(text if variable == "FASTNORM_NUM_THREADS" else text.split(",")[0]), variable
                ), variable
            except ValueError:
                if variable == "FASTNORM_NUM_THREADS":
                    raise ValueError(f"{variable} must be an integer from 1 to 1024, got {text!r}") from None
    affinity, quota = _affinity(), _cgroup_quota()
    if quota is not None and quota < affinity:
        # Rounded up: a team of 2 on a quota of 1.5 is throttled less than it gains.
        return max(int(-(-quota // 1)), 1), "cgroup CPU quota"
    return min(affinity, 1024), "CPU affinity"


def _stack_bytes() -> int:
    """The size that the environment gives the stacks of OpenMP's threads, 0 where it gives none."""
    for variable in ("OMP_STACKSIZE", "GOMP_STACKSIZE"):
        found = re.fullmatch(r"\s*(\d+)\s*([BKMG]?)\s*", os.environ.get(variable, ""), re.IGNORECASE)
        if found:
            return min(int(found[1]) << {"B": 0, "K": 10, "M": 20, "G": 30}[found[2].upper() or "K"], sys.maxsize)
    return 0


def set_num_threads(n: int) -> None:
    """Set the number of threads that each call of this process may use.

    Small calls use fewer, and calls from several threads at the same time divide it. The results do not depend on it,
    to the last bit. By default calls use one thread for a while whenever other processes turn out to hold the CPUs;
    with a number that was set they do not.

    Parameters
    ----------
    n : int
        At least 1; may be more than the machine has.

    Raises
    ------
    TypeError, ValueError
        If `n` is no integer from 1 to 1024.

    Warns
    -----
    RuntimeWarning
        If `n` is more than 1 and fastnorm was built without OpenMP: calls then use one thread.

    Examples
    --------
    >>> import fastnorm
    >>> before = fastnorm.get_num_threads()
    >>> fastnorm.set_num_threads(1)
    >>> fastnorm.get_num_threads()
    1
    >>> fastnorm.set_num_threads(before)
    """
    global _setting
    n = _checked(n, "n")
    if n > 1 and not tasks.openmp:
        warnings.warn("fastnorm was built without OpenMP: calls use one thread", RuntimeWarning, stacklevel=2)
        n = 1
    tasks.set_process_limit(n, False)
    _setting = n, "set_num_threads"


def get_num_threads() -> int:
    """Return the number of threads that a large call from this thread may use now.

    Returns
    -------
    int
        What `threads` or `set_num_threads` set, else the default: ``FASTNORM_NUM_THREADS``, then ``OMP_NUM_THREADS``,
        then the CPUs that affinity and cgroup quota leave. Less where OpenMP's own limit was lowered (threadpoolctl);
        1 in a forked child and inside another OpenMP region.

    Examples
    --------
    >>> import fastnorm
    >>> fastnorm.get_num_threads() >= 1
    True
    """
    return tasks.get_limit()


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Let calls from the current thread use `n` threads inside a ``with`` block, whatever other threads do.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If `n` is no integer from 1 to 1024.

    Examples
    --------
    >>> import fastnorm
    >>> with fastnorm.threads(1):
    ...     fastnorm.get_num_threads()
    1
    """
    n = _checked(n, "n")
    before = tasks.swap_thread_limit(n if tasks.openmp else 1)
    try:
        yield
    finally:
        tasks.swap_thread_limit(before)


def why() -> str:
    """Where the number that `get_num_threads` returns comes from."""
    if tasks.is_forked():
        return "a forked child, where OpenMP's threads are gone"
    if tasks.get_thread_limit() > 0:
        return "threads"
    n, reason = _setting
    return reason if tasks.get_limit() == n else "OpenMP's own limit"


_setting = default_threads()
tasks.set_stack(_stack_bytes())
tasks.set_process_limit(_setting[0], _setting[1] != "FASTNORM_NUM_THREADS")
