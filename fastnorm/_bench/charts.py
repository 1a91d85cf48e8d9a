"""Charts of a document, as SVG text that depends on the numbers alone.

No fonts and no date are embedded, and names are hashed with a fixed salt, so that the same numbers give the same file.
One grey and colours of middle lightness are readable on white and on black, because the README is shown on both.
"""

from __future__ import annotations

import importlib.util
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastnorm._bench import document

COLOURS = {
    "fastnorm": "#e6550d",
    "numpy": "#4c9be8",
    "torch": "#9b6bd3",
    "torch.compile": "#c85fa8",
    "onnxruntime": "#2ca58d",
    "openvino": "#98982f",
    "jax": "#d6616b",
    "sklearn": "#8c6d5a",
    "opencv": "#5f7fa8",
}
GREY = "#808080"
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GREY,
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans"],  # which it is measured with; then any, without a list of names for each text
    "svg.fonttype": "none",
    "svg.hashsalt": "fastnorm",
}
# A chart of one family for each: of all functions that are not here, one more.
FAMILIES = {
    "Layer norm": ("layer_norm",),
    "RMS norm": ("rms_norm",),
    "Batch norm": ("batch_norm",),
    "Instance norm": ("instance_norm", "conditional_instance_norm", "adaptive_instance_norm"),
    "Group norm": ("group_norm",),
    "Features": ("standardize", "min_max_scale", "moments", "normalize"),
}
OTHERS = "Others"
# What is less is bound by something else, such as a matrix product: drawn as an arrow, or left out beside peers.
LEAST_SHARE = 0.1
MODES = {"alloc": "a new result for each call", "out": "a reused result, out="}

Row = Mapping[str, Any]


def refusal() -> str | None:
    """Why no chart can be drawn here, or None."""
    missing = importlib.util.find_spec("matplotlib") is None
    return "--report needs matplotlib, which is not installed" if missing else None


def colour(name: str) -> str:
    """Of a contender, in all charts."""
    return COLOURS.get(name, GREY)


def svg(draw: Callable[..., None], *arguments: Any) -> str:
    """What ``draw(figure, *arguments)`` draws."""
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    style: Any = STYLE  # matplotlib's own stubs want literal keys
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(8, 4), layout="constrained")
        draw(figure, *arguments)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return _smaller(text[text.index("<svg") :])


def _smaller(text: str) -> str:
    """An SVG as matplotlib writes it in half the bytes: no names of groups, nothing below a hundredth of a point."""
    for pattern, new in (
        (r"<metadata>.*?</metadata>|<!--.*?-->", ""),
        (r'<g id="[^"]*"/>', ""),
        (r'<g id="[^"]*">', "<g>"),
        (r"(\d+\.\d\d)\d+", r"\1"),
        (r"\s*\n\s*", "\n"),
    ):
        text = re.sub(pattern, new, text, flags=re.DOTALL)
    return text


def peers(figure: Any, results: Mapping[str, Any]) -> None:
    """Ratios of each peer: a stroke for each row, a lane for each number of threads, and the geometric means."""
    names = [name for name in document.peers(results) if any(document.ratio(row, name) for row in results["rows"])]
    lanes = [(name, n) for name in names for n in results["threads"]]
    figure.set_size_inches(8, 1.1 + 0.24 * len(lanes) + 0.16 * len(names))
    axes = figure.subplots()
    places, labels = [], []
    for i, (name, n) in enumerate(lanes):
        y = i + 0.6 * names.index(name)
        ratios = [document.ratio(row, name) for row in results["rows"] if row["threads"] == n]
        mean = document.mean(ratios)
        if mean is None:
            continue
        _strokes(axes, [one for one in ratios if one is not None], y, colour(name))
        axes.plot(mean, y, "D", color=colour(name), markersize=7, markeredgecolor="white")
        axes.annotate(
            f"{mean:.1f}x", (1, y), (4, 0), ("axes fraction", "data"), textcoords="offset points", va="center"
        )
        places.append(y)
        labels.append(f"{name}, {n} thr")
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    _ratio_axis(axes)
    axes.set_xlabel("time over fastnorm's: a stroke for each row, a diamond and a number for their geometric mean")


def copies(figure: Any, results: Mapping[str, Any]) -> None:
    """Share of the copy's speed: a stroke for each row, by function; new and reused results apart."""
    functions = list(dict.fromkeys(row["function"] for row in results["rows"]))
    threads = results["threads"]
    figure.set_size_inches(8, 1.5 + 0.25 * len(functions))
    panels = figure.subplots(1, 2, sharex=True, sharey=True, squeeze=False)[0]
    shades = dict(zip(threads, _shades(len(threads)), strict=True))
    for axes, (mode, title) in zip(panels, MODES.items(), strict=True):
        for i, n in enumerate(threads):
            place = (i - (len(threads) - 1) / 2) * 0.8 / len(threads)
            label = f"{n} thread" + "s" * (n != 1)
            for y, function in enumerate(functions):
                shares = [
                    row["contenders"]["copy"]["ratio"]
                    for row in results["rows"]
                    if (row["function"], row["mode"], row["threads"]) == (function, mode, n)
                ]
                _strokes(axes, shares, y + place, shades[n], 0.42 / len(threads), label=label if y == 0 else None)
                if any(share < LEAST_SHARE for share in shares):
                    axes.plot(LEAST_SHARE, y + place, "<", color=shades[n], markersize=5, clip_on=False)
        axes.set_title(title, fontsize="medium")
        axes.axvline(1, color=GREY, linewidth=1)
        axes.set_xscale("log")
        axes.grid(axis="y", alpha=0.15, linewidth=0.5)
        axes.grid(axis="x", alpha=0.25, linewidth=0.5)
        axes.tick_params(axis="y", length=0)
    panels[0].set_xlim(left=LEAST_SHARE)
    for axes in panels:
        _plain_ticks(axes)
    panels[0].set_yticks(range(len(functions)), functions)
    panels[0].invert_yaxis()
    figure.supxlabel("time of a copy by one thread over fastnorm's (right of 1: faster than the copy)", fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", frameon=False, ncols=len(threads))


def families(results: Mapping[str, Any]) -> Iterable[tuple[str, list[Row]]]:
    """Title and rows of each family that has some."""
    known = {function: title for title, functions in FAMILIES.items() for function in functions}
    for title in (*FAMILIES, OTHERS):
        rows = [row for row in results["rows"] if known.get(row["function"], OTHERS) == title]
        if rows:
            yield title, rows


def family(figure: Any, rows: Sequence[Row], results: Mapping[str, Any]) -> None:
    """Ratios of the copy and all peers, case by case; a panel for each number of threads."""
    threads = results["threads"]
    labels: dict[tuple[str, str], float] = {}
    y = 0.0
    for mode in MODES:
        names = list(dict.fromkeys(document.label(row) for row in rows if row["mode"] == mode))
        if names:
            labels |= {(mode, MODES[mode]): y}
            labels |= {(mode, name): y + 1 + i for i, name in enumerate(names)}
            y += len(names) + 1.3
    figure.set_size_inches(3.2 + 2.9 * len(threads), 1.3 + 0.23 * y)
    panels = figure.subplots(1, len(threads), sharex=True, sharey=True, squeeze=False)[0]
    for axes, n in zip(panels, threads, strict=True):
        for name in ("copy", *document.peers(results)):
            points = [
                (ratio, labels[row["mode"], document.label(row)])
                for row in rows
                if row["threads"] == n
                and (ratio := document.ratio(row, name)) is not None
                and (name != "copy" or ratio >= LEAST_SHARE)
            ]
            if points:
                kind: dict[str, Any] = {"marker": "o", "markersize": 5.5, "color": colour(name), "alpha": 0.9}
                if name == "copy":
                    kind = {"marker": "|", "markersize": 10, "color": GREY, "markeredgewidth": 2}
                axes.plot(*zip(*points, strict=True), linestyle="", label=name, **kind)
        axes.set_title(f"{n} thread" + "s" * (n != 1), fontsize="medium")
    for axes in panels:  # which share the limits of what all of them show
        _ratio_axis(axes)
        axes.grid(axis="y", alpha=0.15, linewidth=0.5)
    panels[0].set_yticks(list(labels.values()), [name for _, name in labels])
    for tick in panels[0].get_yticklabels():
        if tick.get_text() in MODES.values():
            tick.set_fontstyle("italic")
    panels[0].set_ylim(y - 0.8, -0.7)
    figure.supxlabel("time over fastnorm's (right of 1: fastnorm is faster)", fontsize=10)
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= {name: one for one, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [name for name in ("copy", *document.peers(results)) if name in handles]
    figure.legend([handles[name] for name in names], names, loc="outside upper center", frameon=False, ncols=8)


def _strokes(
    axes: Any, values: Iterable[float], y: float, shade: str, reach: float = 0.38, label: str | None = None
) -> None:
    """Short vertical lines, drawn as one: hundreds of markers make a large file."""
    xs, ys = [], []
    for value in values:
        xs += [value, value, math.nan]
        ys += [y - reach, y + reach, math.nan]
    axes.plot(xs, ys, color=shade, linewidth=1.5, alpha=0.75, label=label)


def _ratio_axis(axes: Any) -> None:
    """Logarithmic, with what is left of 1, where fastnorm loses, shaded."""
    axes.set_xscale("log")
    low = min(axes.get_xlim()[0], 0.8)
    axes.set_xlim(left=low)
    axes.axvspan(low, 1, color=COLOURS["fastnorm"], alpha=0.12, linewidth=0)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    _plain_ticks(axes)


def _plain_ticks(axes: Any) -> None:
    """0.5, 1, 2, ... instead of powers of ten; fewer of them where they would touch."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    steps = (1.0, 2.0, 5.0) if high / low < 60 else (1.0, 3.0) if high / low < 4e3 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()


def _shades(n: int) -> list[str]:
    """One for each number of threads: the last, which a call uses by default, in fastnorm's own."""
    return [*(GREY, "#4c9be8", "#2ca58d", "#b07aa1")[: n - 1], COLOURS["fastnorm"]] if n <= 5 else [GREY] * n
