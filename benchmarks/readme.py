"""Put measured figures into README.md: no number there is typed by hand.

Run ``python -m fastnorm bench --report DIR``, then ``python benchmarks/readme.py DIR``. Replaces what stands between
``<!-- NAME -->`` and ``<!-- end NAME -->`` for NAME ``speed`` and ``accuracy``, and copies the charts to docs/.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from fastnorm._bench import accuracy, document

README = Path(__file__).parent.parent / "README.md"
CHARTS = {
    "peers": "Time of each library over fastnorm's, row by row",
    "copy": "Share of a copy's speed, by function",
    "accuracy": "",  # which README.md shows beside words of its own
}


def speed(bench: dict[str, Any]) -> str:
    """The charts and the bench table: fastnorm's time, and the time of a copy and of each peer over it."""
    names = ["copy", *document.peers(bench)]
    lines = [f"![{text}](docs/{name}.svg)\n" for name, text in CHARTS.items() if text]
    lines += [
        "| | threads | fastnorm | GB/s | " + " | ".join(names) + " |",
        "|---|---|---|---|" + "---|" * len(names),
    ]
    for row in bench["rows"]:
        own = document.own(row)
        cells = [
            "wrong" if name in row["wrong"] else "" if (ratio := document.ratio(row, name)) is None else f"{ratio:.2f}"
            for name in names
        ]
        speeds = [str(row["threads"]), document.time_text(own), f"{row['bytes_moved'] / own / 1e9:.1f}"]
        lines.append(f"| {' | '.join([document.label(row), *speeds, *cells])} |")
    means = (document.mean(document.ratio(row, name) for row in bench["rows"]) for name in names)
    lines.append("| geometric mean | | | | " + " | ".join("" if m is None else f"{m:.2f}" for m in means) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in bench["versions"].items())
    machine = bench["machine"]
    notes = "".join(f" {name} {note}." for name, note in bench["notes"].items())
    notes += " Each library ran in a process of its own, in turns with fastnorm." * bench["apart"]
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
    folder = Path(sys.argv[1])
    bench = document.read(folder / "results.json")
    text = README.read_text(encoding="utf-8")
    text = replace(text, "speed", speed(bench))
    text = replace(text, "accuracy", accuracy.table(bench["sections"]["accuracy"]))
    for name in CHARTS:
        shutil.copy(folder / f"{name}.svg", README.parent / "docs")
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
