"""Time per element of every family against size, its cliffs, and where more threads were slower than one.

``python benchmarks/growth.py --json growth.json --plot growth.svg`` takes some minutes, more beside busy processes, and
most of them for more than 10⁸ elements; ``--largest 1e7`` leaves those out. ``--small`` times small calls instead,
layer by layer, beside PyTorch if it is installed.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastnorm._bench import growth, small


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print what stands out, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="time small calls instead")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S", help="for each size (default: %(default)s)")
    parser.add_argument("--largest", type=float, default=growth.LARGEST, metavar="N", help="elements (default: 1e9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them to FILE, growth also to FILE-lengths")
    options = parser.parse_args(arguments)
    module: Any = small if options.small else growth
    rows = small.measure(options.seconds) if options.small else growth.measure(options.seconds, int(options.largest))
    print("\n".join(module.lines(rows)))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.plot is not None:
        write(options.plot, small.draw if options.small else growth.draw, rows)
        if not options.small:
            beside = options.plot.with_stem(f"{options.plot.stem}-lengths")
            write(beside, functools.partial(growth.draw, series="length"), rows)


def write(path: Path, draw: Callable[[Any, list[dict[str, Any]]], None], rows: list[dict[str, Any]]) -> None:
    """Draw rows to a file that is the same for the same rows."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fastnorm"}):
        figure = Figure(layout="constrained")
        draw(figure, rows)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
