"""Time per element against size: flat within each cache, or there is a cliff to explain.

Every family grows through shapes of its own kind, some three to a decade, into a reused result. Beside them one length
is swept across powers of two at a fixed size, because equal strides share cache sets and odd lengths leave tails:
4096 columns of float32 lie 16 KB apart, 4095 are never aligned. All numbers of threads of one size take turns with each
other and a copy, so that "two threads are slower" compares times of the same minute.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import fastnorm
from fastnorm._bench import machine, timing
from fastnorm._bench.cases import Case
from fastnorm._bench.run import copy_call

Shape = tuple[int, ...]
Row = dict[str, Any]

SMALLEST = 100
LARGEST = 10**9

# Lengths beside powers of two, far apart between them; the first is what the second's neighbours are judged by.
LENGTHS = (48, 63, 64, 65, 96, 255, 256, 257, 384, 1023, 1024, 1025, 1536, 4095, 4096, 4097, 4160)
GROUPED_LENGTHS = (48, 56, 64, 72, 96, 248, 256, 264, 384, 1016, 1024, 1032, 1536, 4088, 4096, 4104, 4160)
# Of an array whose length is swept: beyond the second-level cache of most machines, and worth a team of threads.
SWEPT = 1 << 19

# A size this much slower than both of its neighbours is a cliff; a team this slow was not worth waking.
CLIFF = 1.5
PAYS = 0.95

# Cores that other processes may use while a size is timed, or it is timed again: a team of two on two cores waits for
# milliseconds when it has to share one of them.
QUIET = 0.2
ATTEMPTS = 3

# Of free memory: what the rest of the system and NumPy's temporaries may need meanwhile.
SHARE = 0.8

# One thread, more threads; readable on white and on black, as is the grey of all else.
COLOURS = ("#e6550d", "#4c9be8")
GREY = "#808080"


def rows(n: int) -> Shape:
    """Tokens of 768 features."""
    return (max(n // 768, 1), min(n, 768))


def table(n: int) -> Shape:
    """Points of 32 features."""
    return (n // 32, 32)


def planes(n: int) -> Shape:
    """Feature maps, channels first: few channels, then 64 of them, then more than one sample."""
    channels = 64 if n >= 64 * 7 * 7 else 8
    side = min(math.isqrt(n // channels), 56)
    return (max(n // (channels * side * side), 1), channels, side, side)


def pixels(n: int) -> Shape:
    """The same, channels last."""
    samples, channels, height, width = planes(n)
    return (samples, height, width, channels)


def photographs(n: int) -> Shape:
    """One square photograph, then as many as fit of 1920 by 1080 pixels."""
    side = math.isqrt(n // 3)
    return (side, side, 3) if n < 1080 * 1920 * 3 else (n // (1080 * 1920 * 3), 1080, 1920, 3)


class Family(NamedTuple):
    """A function, and its arrays of about `n` elements and of one given length."""

    function: str
    grow: Callable[[int], Shape]
    sweep: Callable[[int], Shape]
    options: Mapping[str, Any] = {}
    dtype: str = "float32"
    lengths: tuple[int, ...] = LENGTHS

    def case(self, shape: Shape) -> Case:
        return Case(self.function, shape, self.dtype, "out", self.options)

    def shapes(self, largest: int) -> Iterator[tuple[str, int, Shape]]:
        """Series, place in it, and shape."""
        decades = 3 * (math.log10(largest) - math.log10(SMALLEST))
        shapes = (self.grow(round(SMALLEST * 10 ** (step / 3))) for step in range(math.floor(decades + 1e-9) + 1))
        for shape in dict.fromkeys(shapes):
            yield "size", math.prod(shape), shape
        for length in self.lengths if largest >= SWEPT else ():
            yield "length", length, self.sweep(length)


def _columns(length: int) -> Shape:
    return (SWEPT // length, length)


def _planes(length: int) -> Shape:
    return (round(SWEPT / (64 * length)), 64, length)


def _pixels(length: int) -> Shape:
    return (2, SWEPT // (2 * length), length)


def _lines(length: int) -> Shape:
    return (SWEPT // (3 * length), length, 3)


LAST, GROUPS = {"channel_axis": -1}, {"num_groups": 8}
FAMILIES = {
    "layer norm": Family("layer_norm", rows, _columns),
    "RMS norm": Family("rms_norm", rows, _columns),
    "layer norm, axis=1": Family("layer_norm", planes, _planes, {"axis": 1}),
    "batch norm, NCHW": Family("batch_norm", planes, _planes),
    "batch norm, NHWC": Family("batch_norm", pixels, _pixels, LAST),
    "batch norm training, NCHW": Family("batch_norm", planes, _planes, {"training": True}),
    "batch norm training, NHWC": Family("batch_norm", pixels, _pixels, LAST | {"training": True}),
    "instance norm, NCHW": Family("instance_norm", planes, _planes),
    "instance norm, NHWC": Family("instance_norm", pixels, _pixels, LAST),
    "group norm, NCHW": Family("group_norm", planes, _planes, GROUPS),
    "group norm, NHWC": Family("group_norm", pixels, _pixels, GROUPS | LAST, lengths=GROUPED_LENGTHS),
    "local response norm": Family("local_response_norm", planes, _planes, {"size": 5}),
    "standardize": Family("standardize", table, _columns),
    "min-max scale": Family("min_max_scale", table, _columns),
    "normalize": Family("normalize", rows, _columns),
    "normalize image": Family("normalize_image", photographs, _lines, dtype="uint8"),
    "dropout": Family("dropout", rows, _columns),
}


def measure(
    seconds: float,
    largest: int = LARGEST,
    threads: Sequence[int] | None = None,
    families: Sequence[str] = tuple(FAMILIES),
    series: Sequence[str] = ("size", "length"),
) -> list[Row]:
    """Time every family at every size.

    Parameters
    ----------
    seconds : float
        For each size, all numbers of threads and the copy together; a few slow calls may take longer.
    largest : int, optional
        Elements; what free memory cannot hold is left out, and its rows say so.
    threads : sequence of int, optional
        By default 1 and what a call uses by default.
    families : sequence of str, optional
        Of `FAMILIES`.
    series : sequence of {"size", "length"}, optional
        What to vary.

    Returns
    -------
    list of dict
        For each number of threads: family, series ("size", or "length" where one length is swept), place (in the
        series), size, shape, threads, bytes (of arguments and result), caches (bytes by name), seconds_per_element and
        copy_seconds_per_element of the fastest sample, median_seconds_per_element, others (cores that other processes
        used meanwhile, or None), left_out (why all these are None).
    """
    teams = tuple(threads or sorted({1, fastnorm.get_num_threads()}))
    found = []
    for name in families:
        family = FAMILIES[name]
        for kind, place, shape in family.shapes(largest):
            if kind in series:
                found += _measure(name, kind, place, family.case(shape), teams, seconds)
    return found


def _measure(name: str, series: str, place: int, case: Case, threads: Sequence[int], seconds: float) -> list[Row]:
    size = math.prod(case.shape)
    common = {"family": name, "series": series, "place": place, "size": size, "shape": list(case.shape)}
    common |= {"bytes": case.bytes_moved, "caches": machine.caches()}
    free = machine.free_memory()
    if free is not None and case.bytes_moved > SHARE * free:
        why = f"needs {case.bytes_moved / 1e9:.1f} GB of {free / 1e9:.1f} GB free"
        times = dict.fromkeys(
            ("seconds_per_element", "median_seconds_per_element", "copy_seconds_per_element", "others")
        )
        return [common | {"threads": n} | times | {"left_out": why} for n in threads]

    inputs = case.make_inputs()
    call = case.call(inputs)
    contenders = {str(n): call for n in threads}
    assert inputs.out is not None
    inputs.out.fill(0)  # or the first call would pay for the pages
    flat = replace(inputs, out=inputs.out.reshape(case.shape))  # an image's channels move, but not in a copy
    contenders["copy"] = copy_call(flat)
    samples, others = _quiet_samples(contenders, seconds)
    return [
        common
        | {
            "threads": n,
            "seconds_per_element": samples[str(n)].min / size,
            "median_seconds_per_element": samples[str(n)].median / size,
            "copy_seconds_per_element": samples["copy"].min / size,
            "others": others,
            "left_out": None,
        }
        for n in threads
    ]


def _quiet_samples(
    contenders: Mapping[str, Callable[[], Any]], seconds: float
) -> tuple[dict[str, timing.Samples], float | None]:
    """The least disturbed of some attempts, and how many cores others used meanwhile."""
    best: tuple[dict[str, timing.Samples], float | None] | None = None
    for _ in range(ATTEMPTS):
        before, start = machine.others_seconds(), time.perf_counter()
        samples = timing.measure(
            contenders, seconds, within=lambda who: fastnorm.threads(1 if who == "copy" else int(who))
        )
        after, elapsed = machine.others_seconds(), time.perf_counter() - start
        others = None if before is None or after is None else max(after - before, 0.0) / elapsed
        if best is None or best[1] is None or (others is not None and others < best[1]):
            best = samples, others
        if others is None or others <= QUIET:
            break
    assert best is not None
    return best


def cliffs(rows: Sequence[Row]) -> list[Row]:
    """Rows that are slower for each element than `CLIFF` times both of their neighbours in the series.

    Where a length is swept, the size stays the same, so that a longer one has no reason to be slower: there it is
    enough to be so much slower than the row before. A team that others disturbed does not count.
    """
    found = []
    for series in _series(rows):
        for before, row, after in zip(series[:-1], series[1:], [*series[2:], None], strict=True):
            limit = before["seconds_per_element"]
            if row["series"] == "size":
                limit = max(limit, after["seconds_per_element"]) if after else math.inf
            if row["seconds_per_element"] > CLIFF * limit and _is_quiet(row):
                found.append(row)
    return found


def slow_teams(rows: Sequence[Row]) -> list[tuple[Row, float]]:
    """Undisturbed rows of a team at less than `PAYS` of the speed of one thread, by best and median, and that share."""
    alone = {_key(row): row for row in rows if row["threads"] == 1}
    found = []
    for row in rows:
        single = alone.get(_key(row))
        if single is None or row["threads"] == 1 or row["left_out"] is not None or not _is_quiet(row):
            continue
        share = max(single[time] / row[time] for time in ("seconds_per_element", "median_seconds_per_element"))
        if share < PAYS:
            found.append((row, share))
    return found


def regime(row: Row) -> str:
    """The smallest cache that holds x and the result, or "memory"."""
    return next((name for name, size in row["caches"].items() if row["bytes"] <= size), "memory")


def _is_quiet(row: Row) -> bool:
    """One thread finds a core: its fastest sample can be trusted."""
    return row["threads"] == 1 or (row["others"] or 0.0) <= QUIET


def _key(row: Row) -> tuple[Any, ...]:
    return (row["family"], row["series"], row["place"])


def _series(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of one family, series and number of threads, in rising order."""

    def key(row: Row) -> tuple[Any, ...]:
        return (row["family"], row["series"], row["threads"])

    measured = sorted((row for row in rows if row["left_out"] is None), key=lambda row: (key(row), row["place"]))
    for _, series in itertools.groupby(measured, key):
        yield list(series)


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """What stands out: cliffs, slow teams, and what was left out."""
    for row in cliffs(rows):
        yield f"cliff      {_text(row)}"
    for row, share in slow_teams(rows):
        yield f"slow team  {_text(row)}, {share:.2f} of one thread's speed"
    for row in rows:
        if row["left_out"] is not None:
            yield f"left out   {row['family']} {row['size']:.1e}, {row['threads']} thr: {row['left_out']}"
    yield f"{len(rows)} rows"


def _text(row: Row) -> str:
    shape = "x".join(map(str, row["shape"]))
    times = (1e9 * row[time] for time in ("seconds_per_element", "median_seconds_per_element"))
    best, median = times
    return f"{row['family']} {shape}, {row['threads']} thr, {regime(row)}: {best:.2f} ns (median {median:.2f})"


def draw(figure: Any, rows: Sequence[Row], series: str = "size") -> None:
    """Draw one small chart for each family on a matplotlib figure, whose size this sets.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    rows : sequence of dict
    series : {"size", "length"}, optional
        What to draw times against.
    """
    from matplotlib.ticker import EngFormatter, LogLocator

    columns = 3
    steep = [row for row in cliffs(rows) if row["series"] == series]
    rows = [row for row in rows if row["series"] == series and row["left_out"] is None]
    names = list(dict.fromkeys(row["family"] for row in rows))
    height = max(math.ceil(len(names) / columns), 1)
    figure.set_size_inches(10, 1.2 + 2 * height)
    panels = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False).flat
    for axes, name in itertools.zip_longest(panels, names):
        if name is None:
            axes.set_visible(False)
            continue
        axes.set(xscale="log" if series == "size" else "linear", yscale="log")
        axes.set_title(name, fontsize="medium")
        # Few and plain, because there are so many panels: else ticks would be half of a file.
        axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.5)
        axes.tick_params(length=0)
        axes.yaxis.set_major_formatter("{x:g}")
        if series == "size":
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
        ours = [row for row in rows if row["family"] == name]
        _draw_family(axes, ours, [row for row in steep if row["family"] == name])
        for cache, size in list(ours[-1]["caches"].items())[1:] if series == "size" else ():
            elements = size * ours[-1]["size"] / ours[-1]["bytes"]
            axes.axvline(elements, color=GREY, linewidth=0.8, linestyle=":")
            axes.annotate(
                f" {cache}", (elements, 0.9), xycoords=("data", "axes fraction"), fontsize="small", color=GREY
            )
    what = "elements"
    if series == "length":
        what = f"contiguous length (lines, of images) beside powers of two, of {SWEPT:.0e} elements"
    figure.supxlabel(what, fontsize="medium")
    figure.supylabel("ns for each element", fontsize="medium")
    found = {text: one for axes in figure.axes for one, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    handles = [found[text] for text in sorted(found)]
    figure.legend(handles, sorted(found), loc="outside upper center", ncols=5, frameon=False, fontsize="small")


def _draw_family(axes: Any, rows: Sequence[Row], steep: Sequence[Row]) -> None:
    lengths = sorted({row["place"] for row in rows if row["series"] == "length"})
    if lengths:  # side by side, because 4095, 4096 and 4097 are one place on a scale
        powers = [length for length in lengths if length & (length - 1) == 0]
        axes.set_xticks([lengths.index(power) for power in powers], [str(power) for power in powers])

    def place(row: Row) -> Any:
        return lengths.index(row["place"]) if lengths else row["place"]

    def points(rows: Sequence[Row], time: str = "seconds_per_element", **style: Any) -> None:
        axes.plot([place(row) for row in rows], [1e9 * row[time] for row in rows], **style)

    for series in _series(rows):
        threads = series[0]["threads"]
        colour = COLOURS[min(threads - 1, 1)]
        points(series, color=colour, linewidth=1.5, label=f"{threads} thread{'s' if threads > 1 else ''}")
        if threads == 1:
            points(series, "copy_seconds_per_element", color=GREY, linewidth=1.5, zorder=1, label="copy")
        disturbed = [row for row in series if not _is_quiet(row)]
        points(disturbed, color=colour, linestyle="", marker="x", markersize=4, label="others used a core")
    points(steep, color=GREY, linestyle="", marker="o", markersize=9, markerfacecolor="none", label="cliff")
    for row in steep:
        where = (place(row), 1e9 * row["seconds_per_element"])
        text = f"{row['place']}" if row["series"] == "length" else f"{row['place']:.1e}"
        axes.annotate(text, where, textcoords="offset points", xytext=(7, 2), fontsize="x-small", color=GREY)
