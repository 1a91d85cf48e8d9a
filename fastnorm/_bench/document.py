"""The JSON document of a run: what it says, and the few numbers that all its readers derive from it.

The report, the README's tables and ``--compare`` read nothing else, so they can be made again from a file, and agree.
A row is one case with one number of threads. Each contender has the ``median``, ``min`` and ``iqr`` of its seconds for
one call, and its ``ratio``: its median over that of fastnorm in the same process. Where peers had processes of their
own (``apart``), that is not the quotient of the row's medians, because fastnorm's own entry is from the process without
peers, as are the copy's and NumPy's.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any, Protocol

import fastnorm
from fastnorm._bench.cases import Case
from fastnorm._bench.run import Row

# Fastnorm is bound by memory if it takes no longer than this many times a copy of the same bytes.
AS_A_COPY = 1.1


class About(Protocol):
    """What is said of a peer: a module of `peers` is one of these."""

    version: str
    note: str


def make(
    rows: Sequence[Row],
    errors: Mapping[Case, float],
    peers: Mapping[str, About],
    threads: Sequence[int],
    *,
    seconds: float,
    apart: bool,
    failures: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that was measured; times are in seconds."""
    return {
        "machine": machine(),
        "versions": versions(peers),
        "notes": {name: peer.note for name, peer in peers.items() if peer.note},
        "config": fastnorm.show_config(mode="dicts"),
        "threads": list(threads),
        "seconds": seconds,
        "apart": apart,
        "failures": list(failures),
        "agreement": {case.id: error for case, error in errors.items()},
        "rows": [_row(row) for row in rows],
    }


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read a document, old ones too.

    Raises
    ------
    ValueError
        The file is not there, is not JSON, or has not what a comparison needs.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    try:
        for row in document["rows"]:
            for name in ("fastnorm", "copy"):
                for key in ("median", "min", "iqr"):
                    float(row["contenders"][name][key])
            str(row["id"]), int(row["threads"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not what bench --json or --report writes: {error!r}") from error
    return document


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, and operating system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": _cpu_model(), "cores": cores, "system": platform.platform()}


def versions(peers: Mapping[str, About]) -> dict[str, str]:
    """Versions of fastnorm, Python and the peers."""
    own = {"fastnorm": fastnorm.__version__, "python": platform.python_version()}
    return own | {name: peer.version for name, peer in peers.items()}


def peers(document: Mapping[str, Any]) -> list[str]:
    """Names of the peers, NumPy first."""
    return [name for name in document["versions"] if name not in ("fastnorm", "python")]


def label(row: Mapping[str, Any]) -> str:
    """The case as a reader wants it: without the usual dtype and mode."""
    return re.sub("-(?!>)", " ", row["id"].replace("-alloc", "").replace("-float32", ""))


def own(row: Mapping[str, Any]) -> float:
    """Seconds of a call of fastnorm."""
    median: float = row["contenders"]["fastnorm"]["median"]
    return median


def ratio(row: Mapping[str, Any], name: str) -> float | None:
    """Time of a contender over that of fastnorm; above 1, fastnorm is faster."""
    value: float | None = row["contenders"].get(name, {}).get("ratio")
    return value


def best(row: Mapping[str, Any]) -> tuple[float, str] | None:
    """`ratio` and name of the fastest peer."""
    rivals = ((one["ratio"], name) for name, one in row["contenders"].items() if name not in ("fastnorm", "copy"))
    return min(rivals, default=None)


def as_a_copy(row: Mapping[str, Any]) -> bool:
    """Whether memory is the limit: a copy of the same bytes takes about as long."""
    return row["contenders"]["copy"]["ratio"] >= 1 / AS_A_COPY  # type: ignore[no-any-return]


def mean(ratios: Iterable[float | None]) -> float | None:
    """Geometric mean of those that are there."""
    present = [one for one in ratios if one is not None]
    return geometric_mean(present) if present else None


def time_text(seconds: float) -> str:
    """A time as printed, with the unit that fits."""
    return f"{seconds * 1e6:.2f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def _row(row: Row) -> dict[str, Any]:
    case = row.case
    return {
        "id": case.id,
        "function": case.function,
        "shape": list(case.shape),
        "dtype": case.dtype,
        "mode": case.mode,
        "options": dict(case.options),
        "threads": row.threads,
        "bytes_moved": case.bytes_moved,
        "contenders": {
            name: {
                "median": samples.median,
                "min": samples.min,
                "iqr": samples.iqr,
                "samples": len(samples.seconds),
                "loops": samples.loops,
                "ratio": row.ratio(name),
            }
            for name, samples in row.samples.items()
        },
        "wrong": list(row.wrong),
    }


def _cpu_model() -> str:
    """Marketing name of the processor, which `platform` knows on Windows only."""
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()
