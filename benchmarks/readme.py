"""Put measured figures into README.md: no number there is typed by hand.

Run ``python -m fastnorm bench --json bench.json``, then ``python benchmarks/readme.py bench.json``. Replaces what
stands between ``<!-- NAME -->`` and ``<!-- end NAME -->`` for NAME ``speed`` and ``accuracy``, and draws the picture
beside the latter, ``docs/accuracy.svg``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import accuracy

README = Path(__file__).parent.parent / "README.md"


def speed(bench: dict[str, Any]) -> str:
    """The bench table: fastnorm's time, and the time of a copy and of each peer over it."""
    names = ["copy", *(name for name in bench["versions"] if name not in ("fastnorm", "python"))]
    lines = [
        "| | threads | fastnorm | GB/s | " + " | ".join(names) + " |",
        "|---|---|---|---|" + "---|" * len(names),
    ]
    columns: dict[str, list[float]] = {name: [] for name in names}
    for row in bench["rows"]:
        times = {name: contender["median"] for name, contender in row["contenders"].items()}
        own = times["fastnorm"]
        cells = []
        for name in names:
            if name in times:
                columns[name].append(times[name] / own)
            cells.append(f"{times[name] / own:.2f}" if name in times else "wrong" * (name in row["wrong"]))
        # "axis=1" alone is worth a reader's while; what the id repeats is not.
        label = row["id"].replace("-alloc", "").replace("-float32", "").replace("-", " ")
        time = f"{own * 1e6:.2f} µs" if own < 1e-3 else f"{own * 1e3:.2f} ms"
        lines.append(
            f"| {label} | {row['threads']} | {time} | {row['bytes_moved'] / own / 1e9:.1f} | "
            + " | ".join(cells)
            + " |"
        )
    means = [f"{geometric_mean(column):.2f}" if column else "" for column in columns.values()]
    lines.append("| geometric mean | | | | " + " | ".join(means) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in bench["versions"].items())
    machine = bench["machine"]
    notes = "".join(f" {name} {note}." for name, note in bench["notes"].items())
    lines.append(f"\n{machine['cpu']}, {machine['cores']} cores, {bench['config']['isa']}; {versions}.{notes}")
    return "\n".join(lines)


def replace(text: str, name: str, block: str) -> str:
    """The text with what stands between the marks of `name` replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)"
    new, count = re.subn(pattern, lambda marks: f"{marks[1]}{block}\n{marks[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"README.md has {count} blocks named {name}, expected 1")
    return new


def main() -> None:
    bench = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    text = replace(text, "speed", speed(bench))
    text = replace(text, "accuracy", accuracy.table())
    accuracy.draw(README.parent / "docs" / "accuracy.svg")
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
