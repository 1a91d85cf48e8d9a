"""What the benchmark prints: machine and versions, and the table row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import fastnorm
from fastnorm._bench import document
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


def header(peers: Mapping[str, document.About], threads: Sequence[int]) -> str:
    """Lines above the table."""
    here = document.machine()
    lines = [
        f"machine   {here['cpu']}, {here['cores']} cores, {here['system']}",
        "versions  " + ", ".join(f"{name} {text}" for name, text in document.versions(peers).items()),
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
                document.time_text(row.samples["fastnorm"].median).replace("µ", "u"),  # terminals may know ASCII only
                f"{row.bandwidth / 1e9:.2f}",
                *ratios,
                _ratio(row.best_ratio()),
            ]
        )

    def means(self, rows: Sequence[Row]) -> str:
        """Geometric mean of each column of ratios, over the rows that have one."""
        columns = [[row.ratio(name) for row in rows] for name in self.contenders]
        columns.append([row.best_ratio() for row in rows])
        means = [_ratio(document.mean(column)) for column in columns]
        return self._line(["geometric mean", *[""] * (len(COLUMNS) - 1), *means])

    def _line(self, cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(-width) if width < 0 else cell.rjust(width)
            for cell, (_, width) in zip(cells, self.columns, strict=True)
        )
        return "  ".join(padded).rstrip()


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"
