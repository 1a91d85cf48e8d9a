"""The report: the page, the README's figures, and what moved since another run; the times are made up."""

from __future__ import annotations

import copy
import importlib
import json
import os
import pickle
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from fastnorm.__main__ import main
from fastnorm._bench import accuracy, apart, cases, charts, compare, document, growth, page, peers, run, timing
from fastnorm._bench.cases import Case

TINY = (
    Case("layer_norm", (4, 8)),
    Case("layer_norm", (4, 8), mode="out"),
    Case("batch_norm", (2, 3, 4, 4), options={"training": True}),
    Case("normalize_image", (5, 6, 3), "uint8", "out", {"layout": "HWC->HWC"}),
)
QUICK = ["--peers", "none", "--seconds", "0"]


@pytest.fixture
def tiny(monkeypatch):
    """Put `TINY` in place of the real table."""
    monkeypatch.setattr(cases, "CASES", TINY)


def times(*seconds):
    return timing.Samples(seconds, loops=1)


def row(case, threads, *, wrong=(), **samples):
    return run.Row(case, threads, samples, wrong)


def made_up_document():
    """Of made-up times: NumPy is slower, PyTorch faster in the first case and wrong in the third."""
    rows = []
    for case in TINY:
        for n in (1, 2):
            own = times(1.0, 1.1, 1.2)
            samples = {"fastnorm": own, "copy": times(0.8, 1.05, 1.1), "numpy": times(4.0, 5.0, 6.0)}
            first = row(case, n, **samples)
            wrong = ("torch",) if case is TINY[2] else ()
            torch = {} if wrong else {"torch": times(*(s * (0.5 if case is TINY[0] else 1.6) for s in own.seconds))}
            rows.append(apart.merge(first, row(case, n, wrong=wrong, fastnorm=own, copy=own, **torch), "torch"))
    about = {name: apart.About("1.0", "") for name in ("numpy", "torch")}
    about["torch"].note = "is <not> & what it seems"
    found = document.make(
        rows,
        dict.fromkeys(TINY, 0.5),
        about,
        [1, 2],
        seconds=0.1,
        apart=True,
        failures=["jax, 1 thread: died with signal 9 at its start, so nothing of it was timed"],
    )
    made_up = [
        {"norm": norm, "offset": offset, "errors": {"fastnorm": 1e-7, "numpy": None, "torch": 1e-7 + offset * 1e-8}}
        for norm in accuracy.CASES
        for offset in {*accuracy.OFFSETS, *accuracy.DRAWN_OFFSETS}
    ]
    found["sections"] = {"accuracy": made_up}
    return found


@pytest.fixture
def results():
    return made_up_document()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder with the report of `made_up_document`."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("made up") / "report"
    page.write(folder, made_up_document())
    return folder


class Links(HTMLParser):
    """Attributes that could ask for something elsewhere, and the headings."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.ids = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        self.ids += [value for name, value in attrs if name == "id"]


def test_page_has_every_part_and_asks_for_nothing_from_elsewhere(results, written):
    text = (written / "index.html").read_text(encoding="utf-8")
    found = Links(text)
    assert found.links
    assert all(link.startswith("#") for link in found.links)
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not found.tags & {"script", "link", "img", "iframe", "object", "base"}
    assert not re.search(r"url\((?!#)|@import", text)
    headings = re.findall(r"<h[123]>(.*?)</h[123]>", text)
    assert headings == [
        "fastnorm " + results["versions"]["fastnorm"] + " benchmark",
        "What failed",
        "How it was measured",
        "Against other libraries",
        "Layer norm",
        "Batch norm",
        "Others",
        "Share of the copy's speed",
        "What we lose",
        *(section.title for section in page.SECTIONS),
        "All rows",
        "A new result for each call",
        "A reused result, out=",
    ]
    assert "is &lt;not&gt; &amp; what it seems" in text
    assert "jax, 1 thread: died with signal 9" in text


def test_page_says_what_is_lost_and_why(results):
    lines = list(page._losses(results))
    assert lines[0] == "<p>2 of 8 rows are slower than the best other library.</p>"
    assert re.findall(r"<td>(.*?)</td>", lines[1])[:7] == [
        "layer_norm 4x8", "1", "1100.00 ms", "torch", "0.50", "0.95", "yes"
    ]  # fmt: skip
    assert lines[2].startswith("<p>4 more are less than twice as fast as it. In 4 of them memory is the limit")
    results["rows"][2]["contenders"]["copy"]["ratio"] = 0.9
    assert "In 3 of them memory" in list(page._losses(results))[2]


def test_page_shows_wrong_and_absent_results_and_the_spread(results):
    cells = re.findall(r"<tr>(.*?)</tr>", page._all_rows(results["rows"][4:6], ["numpy", "torch", "jax"]))
    assert re.findall(r"<td>(.*?)</td>", cells[1]) == [
        "batch_norm 2x3x4x4 NCHW,training=True", "1", "1100.00 ms", "9%", "0.0", "0.95", "4.55", "wrong", ""
    ]  # fmt: skip
    assert cells[-1].startswith("<td>geometric mean</td>")


def test_page_without_a_section_and_without_peers(results):
    pytest.importorskip("matplotlib")
    results |= {"sections": {}, "failures": []}
    results["versions"] = {"fastnorm": "1", "python": "3"}
    for one in results["rows"]:
        one["contenders"] = {name: one["contenders"][name] for name in ("fastnorm", "copy")}
    text = page.page(results)
    assert "<p>Not measured.</p>" in text
    assert "What failed" not in text
    assert "0 of 0 rows" in text


def test_charts_repeat_and_are_small(results):
    pytest.importorskip("matplotlib")
    assert charts.svg(charts.peers, results) == charts.svg(charts.peers, results)
    results["rows"] *= 20
    for draw in (charts.peers, charts.copies):
        text = charts.svg(draw, results)
        assert len(text) < 60_000
        assert "date" not in text.lower()
        root = ElementTree.fromstring(text)
        assert {"torch, 2 thr", "layer_norm"} & {(one.text or "").strip() for one in root.iter() if "text" in one.tag}


def test_chart_of_a_peer_without_a_row_of_some_number_of_threads(results):
    pytest.importorskip("matplotlib")
    for one in results["rows"]:
        if one["threads"] == 2:
            one["contenders"].pop("torch", None)
    texts = [one.text for one in ElementTree.fromstring(charts.svg(charts.peers, results)).iter()]
    assert sum("torch" in (text or "") for text in texts) == 1


def test_document_survives_its_file(results, tmp_path):
    document.write(tmp_path / "results.json", results)
    assert document.read(tmp_path / "results.json") == results


def test_labels_leave_out_the_usual(results):
    assert [document.label(row) for row in results["rows"][::2]] == [
        "layer_norm 4x8",
        "layer_norm 4x8 out",
        "batch_norm 2x3x4x4 NCHW,training=True",
        "normalize_image 5x6x3 uint8 out layout=HWC->HWC",
    ]


def measure_nothing(seconds):
    return [{"seconds": seconds, "pid": os.getpid()}]


def measure_and_die(seconds):
    os._exit(5)


def draw_nothing(figure, rows):
    figure.subplots().set_title(f"drawn of {len(rows)}")


@pytest.mark.usefixtures("tiny")
def test_report_of_a_run_holds_sections_and_what_failed(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    sections = [
        page.Section("nothing", "Nothing", "At all.", measure_nothing, draw_nothing),
        page.Section("worse", "Worse", "Dies.", measure_and_die, draw_nothing),
    ]
    monkeypatch.setattr(page, "SECTIONS", sections)
    folder = tmp_path / "report"
    assert main(["bench", *QUICK, "--threads", "1", "--report", str(folder)]) == 0
    assert {file.name for file in folder.iterdir()} == {
        "index.html", "results.json", "peers.svg", "copy.svg", "nothing.svg"
    }  # fmt: skip
    results = document.read(folder / "results.json")
    assert results["apart"]
    assert [row["id"] for row in results["rows"]] == [case.id for case in TINY]
    assert results["failures"] == ["worse: died with exit status 5"]
    (row,) = results["sections"]["nothing"]
    assert row["pid"] != os.getpid()
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "drawn of 1" in text
    assert "<p>worse: died with exit status 5</p>" in text
    out = capsys.readouterr().out
    assert "numpy, 1 thread: 4 of 4 cases" in out
    assert out.splitlines()[-1].startswith("report    ")
    assert "geometric mean" in out


@pytest.mark.usefixtures("tiny")
def test_report_without_matplotlib_refuses_before_anything_is_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="--report needs matplotlib, which is not installed"):
        main(["bench", "--report", str(tmp_path / "report")])
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "report").exists()


def test_readme_gets_the_figures_and_the_charts(written, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    readme = importlib.import_module("readme")
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    marks = "".join(f"before\n<!-- {name} -->\nold\n<!-- end {name} -->\nafter\n" for name in ("speed", "accuracy"))
    (tmp_path / "README.md").write_text(marks, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["readme.py", str(written)])
    readme.main()
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "old" not in text
    assert text.count("before\n") == text.count("after\n") == 2
    for name in re.findall(r"!\[.+?\]\((.+?)\)", text):
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<svg")
    assert {file.name for file in (tmp_path / "docs").iterdir()} == {"peers.svg", "copy.svg", "accuracy.svg"}
    assert "| batch_norm 2x3x4x4 NCHW,training=True | 2 | 1100.00 ms | 0.0 | 0.95 | 4.55 | wrong |" in text
    assert "| layer_norm | 1000 | 1.0e-07 | nan | 1.0e-05 |" in text


def test_sections_can_be_sent_to_a_process_and_their_growth_is_small():
    pytest.importorskip("matplotlib")
    sections = {one.name: one for one in pickle.loads(pickle.dumps(page.SECTIONS))}
    assert list(sections) == ["accuracy", "growth", "small"]
    row = {"series": "size", "bytes": 8, "caches": {"L1": 10**5, "L2": 10**6, "L3": 10**7}, "left_out": None}
    times = ("seconds_per_element", "median_seconds_per_element", "copy_seconds_per_element")
    rows = [
        row
        | {"family": name, "threads": n, "place": size, "size": size, "shape": [size], "others": 1.0}
        | dict.fromkeys(times, 1e-9 * n * (1 + i % 3))
        for name in growth.FAMILIES
        for n in (1, 2)
        for i, size in enumerate(round(10 ** (2 + step / 3)) for step in range(19))
    ]
    assert len(charts.svg(sections["growth"].draw, rows)) < 150_000  # each point disturbed, every third a cliff
    quiet = [one | {"others": 0.0} | dict.fromkeys(times, 1e-9) for one in rows]
    assert len(charts.svg(sections["growth"].draw, quiet)) < 100_000


# What moved


def changed(results, case, *, fastnorm=1.0, copied=1.0):
    new = copy.deepcopy(results)
    for one in new["rows"]:
        if one["id"] == case.id and one["threads"] == 2:
            for name, factor in (("fastnorm", fastnorm), ("copy", copied)):
                for key in ("median", "min", "iqr"):
                    one["contenders"][name][key] *= factor
    return new


def test_nothing_moved_in_the_same_document_or_on_a_faster_machine(results):
    assert [one for one in compare.compare(results, results).both if one.moved] == []
    faster = changed(results, TINY[0], fastnorm=0.2, copied=0.2)
    assert [one for one in compare.compare(results, faster).both if one.moved] == []


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_what_moved_more_than_its_spread_is_said(results, factor):
    found = compare.compare(results, changed(results, TINY[0], fastnorm=factor))
    (moved,) = (one for one in found.both if one.moved)
    assert (moved.label, moved.threads, moved.new / moved.old, moved.relative) == (
        "layer_norm 4x8", 2, pytest.approx(factor), pytest.approx(factor)
    )  # fmt: skip
    text = compare.text(results, changed(results, TINY[0], fastnorm=factor))
    assert text.splitlines()[0].startswith("compared  8 rows, 1 moved")
    assert f"{factor:.2f}x" in text


def test_what_moved_less_than_its_spread_is_not_said(results):
    wide = copy.deepcopy(results)
    for one in wide["rows"]:
        one["contenders"]["fastnorm"]["iqr"] = 1.1
    assert not any(one.moved for one in compare.compare(wide, changed(wide, TINY[0], fastnorm=2.0)).both)


def test_what_only_some_calls_waited_for_is_not_said(results):
    new = changed(results, TINY[0], fastnorm=4.0)
    for one in new["rows"]:
        one["contenders"]["fastnorm"]["min"] = results["rows"][0]["contenders"]["fastnorm"]["min"]
    assert not any(one.moved for one in compare.compare(results, new).both)


def test_new_and_gone_rows_are_said_but_not_those_that_were_not_chosen(results):
    less = copy.deepcopy(results)
    less["rows"] = [one for one in results["rows"] if one["id"] != TINY[1].id]
    assert compare.text(results, less).splitlines()[-2:] == [
        f"gone      layer_norm 4x8 out, {n} thr" for n in (1, 2)
    ]  # fmt: skip
    assert compare.text(less, results).splitlines()[-2:] == [
        f"new       layer_norm 4x8 out, {n} thr" for n in (1, 2)
    ]  # fmt: skip
    assert "gone" not in compare.text(results, less, "batch_norm")
    assert "gone" not in compare.text(results, less | {"threads": [4]})


@pytest.mark.usefixtures("tiny")
def test_bench_compares_with_an_old_file(results, tmp_path, capsys):
    document.write(tmp_path / "old.json", results)
    assert main(["bench", *QUICK, "--threads", "1", "--compare", str(tmp_path / "old.json")]) == 0
    assert "compared  4 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "content", "message"),
    [
        ("--compare", None, "No such file"),
        ("--compare", "not JSON", "is not JSON"),
        ("--compare", "[1]", "is not what bench --json or --report writes"),
        ("--compare", '{"rows": [{"id": "x", "threads": 1}]}', "is not what bench --json or --report writes"),
        ("--compare", "\ud800", "is not JSON"),
        ("--report", "a file", "is not a directory"),
    ],
)
def test_bench_refuses_bad_files(argument, content, message, tmp_path, capsys):
    path = tmp_path / "given"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(SystemExit, match="2"):
        main(["bench", argument, str(path)])
    assert message in capsys.readouterr().err


# Accuracy


def test_accuracy_is_measured_drawn_and_tabled(monkeypatch):
    def prepare(case, inputs, threads):
        return lambda: np.full_like(inputs.x, np.nan)

    other = SimpleNamespace(version="1", note="", prepare=prepare, to_numpy=np.asarray)
    monkeypatch.setattr(accuracy, "CASES", {"layer_norm": Case("layer_norm", (4, 64))})
    monkeypatch.setattr(peers, "load", lambda names: ({"other": other}, []))
    rows = accuracy.measure()
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert [row["offset"] for row in rows] == [0, 1e3, 1e6, *(o for o in accuracy.DRAWN_OFFSETS if o not in (1e3, 1e6))]
    assert all(0 <= row["errors"]["fastnorm"] < 1e-5 and row["errors"]["other"] is None for row in rows)
    assert accuracy.table(rows).splitlines()[3].startswith("| layer_norm | 1000 | ")
    assert accuracy.table(rows).count(" nan |") == 3
    pytest.importorskip("matplotlib")
    assert "fastnorm" in charts.svg(accuracy.draw, rows)
