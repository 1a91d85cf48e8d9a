"""The report: one HTML page with all charts inside it, the document it was made of, and the README's charts beside it.

The page is made from the document alone. It asks for nothing from elsewhere, and needs no script.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fastnorm._bench import accuracy, apart, charts, document, growth, small, timing


class Section(NamedTuple):
    """A part of the report that measures for itself: its rows are in the document under `name`.

    ``measure(seconds)``, called in a process of its own, returns rows for JSON, and ``draw(figure, rows)`` draws them.
    """

    name: str
    title: str
    text: str
    measure: Callable[[float], list[dict[str, Any]]]
    draw: Callable[[Any, Sequence[dict[str, Any]]], None]


def _small_calls(seconds: float) -> list[dict[str, Any]]:
    return small.measure(5 * seconds)  # differences of times want more of them


SECTIONS = (
    Section(
        "accuracy",
        "Accuracy against offset",
        "Worst absolute error of float32 layer norm of offset + N(0, 1), against the formula in float64: the offset "
        "shows how many digits are lost to a mean that the data shares.",
        accuracy.measure,
        accuracy.draw,
    ),
    Section(
        "growth",
        "Growth",
        "Time of fastnorm for each element as arrays grow, into a reused result, and of a copy: a function and shapes "
        "of its kind in each panel. A circle is a size that takes half as long again as its neighbours, or more.",
        functools.partial(growth.measure, largest=10**8, series=("size",)),
        growth.draw,
    ),
    Section(
        "small",
        "Small calls",
        "Where the time of a small call goes, by one thread into a new result: timer is the loop that times, arguments "
        "what any Python function of this signature costs, result the new array. PyTorch's eager call is beside it.",
        _small_calls,
        small.draw,
    ),
)

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; margin: 2.2rem 0 .6rem; }
h1 { margin-top: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; }
.wide { overflow-x: auto; margin: 1rem 0; }
svg { display: block; width: 100%; min-width: 34rem; height: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .wide { overflow: visible; }
  svg { min-width: 0; break-inside: avoid; }
  table { font-size: 6.5pt; }
  th, td { padding: .05rem .25rem; }
  thead { display: table-header-group; }
  tr, h2, h3 { break-inside: avoid; break-after: avoid-page; }
  tr { break-after: auto; }
}
"""


def write(folder: Path, results: Mapping[str, Any]) -> None:
    """Write ``index.html``, ``results.json``, and each chart of the README and of a section as an SVG file."""
    folder.mkdir(exist_ok=True)
    document.write(folder / "results.json", results)
    (folder / "index.html").write_text(page(results), encoding="utf-8")
    files = {"peers": charts.svg(charts.peers, results), "copy": charts.svg(charts.copies, results)}
    for section in SECTIONS:
        if rows := results["sections"].get(section.name):
            files[section.name] = charts.svg(section.draw, rows)
    for name, text in files.items():
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")


def sections(seconds: float, say: Callable[[str], None]) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Rows of each section by name, and a line for each that could not be measured."""
    found, failures = {}, []
    for section in SECTIONS:
        rows, failure = apart.call(section.measure, seconds, patience=apart.patience(seconds))
        if failure is None:
            found[section.name] = rows
        else:
            failures.append(f"{section.name}: {failure}")
        say(f"{section.name}: {failure or f'{len(rows)} rows'}")
    return found, failures


def page(results: Mapping[str, Any]) -> str:
    """The report as HTML."""
    title = f"fastnorm {html.escape(results['versions']['fastnorm'])} benchmark"
    body = "\n".join(_body(results))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _body(results: Mapping[str, Any]) -> Iterator[str]:
    yield _setting(results)
    if results["failures"]:
        yield "<h2>What failed</h2>"
        yield from (_paragraph(line) for line in results["failures"])
    yield "<h2>How it was measured</h2>"
    yield _method(results)
    yield "<h2>Against other libraries</h2>"
    yield _paragraph(
        "Each library's time over fastnorm's: right of 1, fastnorm is faster; the shaded side is where it loses."
    )
    yield _chart("peers", charts.peers, results)
    for title, rows in charts.families(results):
        yield f"<h3>{title}</h3>"
        yield _chart(title, charts.family, rows, results)
    yield "<h2>Share of the copy's speed</h2>"
    yield _paragraph(
        "NumPy's copy of the input to where the result goes, by one thread: the limit where memory is what a norm "
        "waits for. A new result is memory that the system hands out page by page at the first touch, which the copy "
        "pays for, too; a reused one is not. Statistics that do not fit into a cache are read twice, and small calls "
        "are bound by the call."
    )
    yield _chart("copy", charts.copies, results)
    yield "<h2>What we lose</h2>"
    yield from _losses(results)
    for section in SECTIONS:
        yield f"<h2>{section.title}</h2>"
        yield _paragraph(section.text)
        rows = results["sections"].get(section.name)
        yield _chart(section.name, section.draw, rows) if rows else _paragraph("Not measured.")
    yield "<h2>All rows</h2>"
    yield _paragraph(
        "Time of a call of fastnorm, its spread (distance between the quartiles over the median), bytes of input, "
        "parameters and result over that time, and the time of a copy and of each library over fastnorm's. An empty "
        "cell: the library has no such function, dtype or order of axes. wrong: its result loses half of its digits or "
        "more, so it was not timed."
    )
    for mode, title in charts.MODES.items():
        if rows := [row for row in results["rows"] if row["mode"] == mode]:
            yield f"<h3>{title.capitalize()}</h3>"
            yield _all_rows(rows, document.peers(results))


def _setting(results: Mapping[str, Any]) -> str:
    machine, config = results["machine"], results["config"]
    versions = (f"{name} {version}" for name, version in results["versions"].items())
    entries = {
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}",
        "instruction set": config["isa"],
        "threads": ", ".join(map(str, results["threads"])),
        "versions": ", ".join(versions),
        **{f"note on {name}": note for name, note in results["notes"].items()},
    }
    return "<dl>" + "".join(f"<dt>{k}</dt><dd>{html.escape(str(v))}</dd>" for k, v in entries.items()) + "</dl>"


def _method(results: Mapping[str, Any]) -> str:
    agreement = results["agreement"]
    places = (
        "Each library had a process of its own, in which it and fastnorm took turns, and one process ran after the "
        "other; its ratio is its time over fastnorm's in that process. fastnorm's own times, the copy's and NumPy's "
        "are from a process without other libraries."
        if results["apart"]
        else "All libraries ran in one process and took turns there."
    )
    paragraphs = (
        f"Before anything was timed, fastnorm's results of {len(agreement)} cases were compared with plain float64 "
        f"formulas: the worst error was {max(agreement.values()):.3g} of the tolerance. A library is timed only if its "
        "result is the same function's to half of the dtype's digits.",
        places,
        f"A row is a case with a number of threads. Its contenders take turns in rounds of random order, at least "
        f"{timing.MIN_ROUNDS} and for {results['seconds']:g} s together. Before each sample the other thread pools "
        f"come to rest and the call is made once untimed; a sample lasts at least {timing.SAMPLE * 1e3:g} ms. Times "
        f"are medians of the samples, the spread is the distance between their quartiles. Calls of "
        f"{timing.LONG * 1e3:g} ms or more are not warmed up again, and what has filled the row's time alone leaves "
        "after two samples.",
    )
    return "".join(map(_paragraph, paragraphs))


def _losses(results: Mapping[str, Any]) -> Iterator[str]:
    rivals = [(rival, row) for row in results["rows"] if (rival := document.best(row)) is not None]
    rivals.sort(key=lambda one: one[0])
    lost = [(*rival, row) for rival, row in rivals if rival[0] < 1]
    close = [(*rival, row) for rival, row in rivals if 1 <= rival[0] < 2]
    bound = sum(document.as_a_copy(row) for _, _, row in close)
    yield _paragraph(f"{len(lost)} of {len(rivals)} rows are slower than the best other library.")
    if lost:
        yield _losing(lost)
    yield _paragraph(
        f"{len(close)} more are less than twice as fast as it. In {bound} of them memory is the limit: a copy of the "
        f"same bytes takes as long, or fastnorm no more than {document.AS_A_COPY:g} times that."
    )
    if close:
        yield _losing(close)


def _losing(rows: Iterable[tuple[float, str, Mapping[str, Any]]]) -> str:
    cells = [
        [
            document.label(row),
            str(row["threads"]),
            document.time_text(document.own(row)),
            name,
            f"{ratio:.2f}",
            f"{row['contenders']['copy']['ratio']:.2f}",
            "yes" if document.as_a_copy(row) else "no",
        ]
        for ratio, name, row in rows
    ]
    return _table(("", "threads", "fastnorm", "best", "its ratio", "copy", "as a copy"), cells)


def _all_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    cells = []
    for row in rows:
        own = row["contenders"]["fastnorm"]
        cells.append(
            [
                document.label(row),
                str(row["threads"]),
                document.time_text(own["median"]),
                f"{own['iqr'] / own['median']:.0%}",
                f"{row['bytes_moved'] / own['median'] / 1e9:.1f}",
                *(_ratio_cell(row, name) for name in ("copy", *names)),
            ]
        )
    means = (document.mean(document.ratio(row, name) for row in rows) for name in ("copy", *names))
    cells.append(["geometric mean", "", "", "", "", *("" if mean is None else f"{mean:.2f}" for mean in means)])
    return _table(("", "threads", "fastnorm", "spread", "GB/s", "copy", *names), cells)


def _ratio_cell(row: Mapping[str, Any], name: str) -> str:
    if name in row["wrong"]:
        return "wrong"
    ratio = document.ratio(row, name)
    return "" if ratio is None else f"{ratio:.2f}"


def _table(title: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in title)
    lines = ("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _chart(name: str, draw: Callable[..., None], *arguments: Any) -> str:
    """A chart as part of the page: as wide as the page, in the colour of its text, with ids that no other chart has."""
    text = charts.svg(draw, *arguments).replace(charts.GREY, "currentColor")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'( id="|="#|url\(#)', rf"\g<1>{re.sub('[^a-z]', '', name.lower())}-", text)
    return f'<div class="wide">{text}</div>'
