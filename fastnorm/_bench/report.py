"""What the benchmark shows: machine and versions, the table row by row, JSON and the plot."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import fastnorm
from fastnorm._bench.cases import Case
from fastnorm._bench.peers import Peer
from fastnorm._bench.run import Row

COLUMNS = (
    ("function", -25),
    ("shape", -14),
    ("options", -18),
    ("dtype", -8),
    ("mode", -5),
    ("thr", 3),
    ("time", 9),
    ("GB/s", 6),
)


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, and operating system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": _cpu_model(), "cores": cores, "system": platform.platform()}


def versions(peers: Mapping[str, Peer]) -> dict[str, str]:
    """Versions of fastnorm, Python and the peers."""
    own = {"fastnorm": fastnorm.__version__, "python": platform.python_version()}
    return own | {name: peer.version for name, peer in peers.items()}


def header(peers: Mapping[str, Peer], threads: Sequence[int]) -> str:
    """Lines above the table."""
    here = machine()
    lines = [
        f"machine   {here['cpu']}, {here['cores']} cores, {here['system']}",
        "versions  " + ", ".join(f"{name} {text}" for name, text in versions(peers).items()),
        f"isa       {fastnorm.show_config(mode='dicts')['isa']}",
        "threads   " + ", ".join(map(str, threads)),
        *(f"{name}: {peer.note}" for name, peer in peers.items() if peer.note),
        "GB/s: bytes read and written, each once, over fastnorm's time. copy and the peers: their "
        "time over fastnorm's (above 1x: fastnorm is faster)",
        "dropout: fastnorm's mask is the reference's; peers draw their own, and must keep as many",
    ]
    return "\n".join(lines)


class Table:
    """Fixed-width table that can be printed a row at a time.

    Parameters
    ----------
    peers : iterable of str
        Columns after the copy.
    """

    def __init__(self, peers: Iterable[str]) -> None:
        self.contenders = ("copy", *peers)
        names = (*self.contenders, "best peer")
        self.columns = (*COLUMNS, *((name, max(7, len(name))) for name in names))

    def title(self) -> str:
        """Names of the columns."""
        return self._line([name for name, _ in self.columns])

    def row(self, row: Row) -> str:
        """One row."""
        case = row.case
        ratios = ["wrong" if name in row.wrong else _ratio(row.ratio(name)) for name in self.contenders]
        return self._line(
            [
                case.function,
                case.shape_text,
                case.options_text,
                case.dtype,
                case.mode,
                str(row.threads),
                _time(row.samples["fastnorm"].median),
                f"{row.bandwidth / 1e9:.2f}",
                *ratios,
                _ratio(row.best_ratio()),
            ]
        )

    def means(self, rows: Sequence[Row]) -> str:
        """Geometric mean of each column of ratios, over the rows that have one."""
        columns = [[row.ratio(name) for row in rows] for name in self.contenders]
        columns.append([row.best_ratio() for row in rows])
        means = [_ratio(_geometric_mean(column)) for column in columns]
        return self._line(["geometric mean", *[""] * (len(COLUMNS) - 1), *means])

    def _line(self, cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(-width) if width < 0 else cell.rjust(width)
            for cell, (_, width) in zip(cells, self.columns, strict=True)
        )
        return "  ".join(padded).rstrip()


def write_json(
    path: Path,
    rows: Sequence[Row],
    errors: Mapping[Case, float],
    peers: Mapping[str, Peer],
    threads: Sequence[int],
) -> None:
    """Write everything that was measured; times are in seconds."""
    document = {
        "machine": machine(),
        "versions": versions(peers),
        "notes": {name: peer.note for name, peer in peers.items() if peer.note},
        "config": fastnorm.show_config(mode="dicts"),
        "threads": list(threads),
        "agreement": {case.id: error for case, error in errors.items()},
        "rows": [_as_dict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def plot_refusal(path: Path) -> str | None:
    """Why `write_plot` could not write this file, or None if it can."""
    if importlib.util.find_spec("matplotlib") is None:
        return "--plot needs matplotlib, which is not installed"
    from matplotlib.backend_bases import FigureCanvasBase

    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        return f"--plot cannot write {path.name}, expected a name ending in {', '.join(formats)}"
    return None


def write_plot(path: Path, rows: Sequence[Row], contenders: Sequence[str]) -> None:
    """Draw each contender's time over fastnorm's as bars, one group for each row."""
    from matplotlib.figure import Figure

    height = 0.8 / len(contenders)
    figure = Figure(figsize=(9, 2 + 0.09 * len(rows) * (len(contenders) + 1)), layout="tight")
    axes = figure.subplots()
    for i, name in enumerate(contenders):
        bars = {j: r for j, row in enumerate(rows) if (r := row.ratio(name)) is not None}
        positions = [j + (i - (len(contenders) - 1) / 2) * height for j in bars]
        axes.barh(positions, [r - 1 for r in bars.values()], height, left=1, label=name)
    axes.set_yticks(range(len(rows)), [f"{row.case.id}, {row.threads} thr" for row in rows], fontsize="small")
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("time / fastnorm's time (right of 1: fastnorm is faster)")
    axes.legend()
    figure.savefig(path)


def _as_dict(row: Row) -> dict[str, Any]:
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


def _geometric_mean(ratios: Iterable[float | None]) -> float | None:
    present = [ratio for ratio in ratios if ratio is not None]
    return geometric_mean(present) if present else None


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
