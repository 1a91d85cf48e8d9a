"""Worst error of float32 norms against the mean of the data, for fastnorm and every installed peer.

Run ``python benchmarks/accuracy.py`` for the table of all norms, and with the name of an SVG file to draw layer norm's
line of it there, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fastnorm._bench import accuracy, charts

if __name__ == "__main__":
    rows = accuracy.measure()
    print(accuracy.table(rows))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(charts.svg(accuracy.draw, rows), encoding="utf-8")
