"""Command line: ``python -m fastnorm bench``, ``check`` and ``info``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastnorm
from fastnorm._bench import apart, cases, charts, compare, document, page, peers, report, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        Exit status: 1 if a result is outside the tolerance.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "bench":
        selected = [case for case in cases.CASES if options.filter in case.id]
        if not selected:
            parser.error(f"--filter {options.filter}: no case has this in its name")
        return _bench(selected, options)
    if options.command == "check":
        return _check()
    if options.command == "info":
        fastnorm.show_config()
    else:
        parser.print_help()
    return 0


def _check() -> int:
    status = 0
    for case, error in run.check(cases.CASES):
        verdict = "ok" if error <= 1 else "FAILED"
        print(f"{case.id:60} {error:8.3g} of the tolerance  {verdict}", flush=True)
        status |= error > 1
    return status


def _bench(selected: Sequence[cases.Case], options: argparse.Namespace) -> int:
    if options.report is not None and (refusal := charts.refusal()) is not None:
        raise SystemExit(refusal)
    errors = dict(run.check(selected))
    failed = [case.id for case, error in errors.items() if error > 1]
    print(
        f"agreement {len(errors) - len(failed)} of {len(errors)} cases within the tolerance, "
        f"worst error {max(errors.values()):.3g} of it"
    )
    if failed:
        print("failed    " + ", ".join(failed))
        return 1

    each_apart = options.apart or options.report is not None
    runs = (_measure_apart if each_apart else _measure)(selected, options)
    results = document.make(
        runs.rows,
        errors,
        runs.peers,
        options.threads,
        seconds=options.seconds,
        apart=each_apart,
        failures=runs.failures,
    )
    if options.report is not None:
        results["sections"], failures = page.sections(options.seconds, _say)
        results["failures"] += failures
        page.write(options.report, results)
        print(f"report    {options.report / 'index.html'}")
    if options.json is not None:
        document.write(options.json, results)
    if options.compare is not None:
        print(compare.text(options.compare, results, options.filter))
    return 0


def _measure(selected: Sequence[cases.Case], options: argparse.Namespace) -> apart.Runs:
    """All contenders in this process; a line as soon as it is measured."""
    contenders, skipped = peers.load(options.peers)
    print("\n".join([*skipped, report.header(contenders, options.threads)]))
    table = report.Table(contenders)
    print(table.title(), flush=True)
    rows = []
    for row in run.bench(selected, options.threads, contenders, options.seconds):
        print(table.row(row), flush=True)
        rows.append(row)
    print(table.means(rows))
    return apart.Runs(rows, {name: apart.About(peer.version, peer.note) for name, peer in contenders.items()}, [])


def _measure_apart(selected: Sequence[cases.Case], options: argparse.Namespace) -> apart.Runs:
    """Each peer in a process of its own; a line for each process, and the table at the end."""
    names, skipped = peers.installed(options.peers)
    for line in skipped:
        _say(line)
    runs = apart.bench(selected, options.threads, names, options.seconds, _say)
    print(report.header(runs.peers, options.threads))
    table = report.Table(runs.peers)
    print("\n".join([table.title(), *map(table.row, runs.rows), table.means(runs.rows)]))
    return runs


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fastnorm", description=fastnorm.__doc__)
    commands = parser.add_subparsers(dest="command", title="commands")
    bench = commands.add_parser(
        "bench", help="check the results, then time them beside a copy, NumPy and installed peers"
    )
    bench.add_argument(
        "--threads",
        type=_threads,
        nargs="+",
        metavar="N",
        default=sorted({1, fastnorm.get_num_threads()}),
        help="numbers of threads (default: 1 and what a call uses by default)",
    )
    bench.add_argument("--filter", default="", metavar="TEXT", help="only cases with TEXT in their name")
    bench.add_argument(
        "--peers",
        type=_peers,
        default=tuple(peers.PEERS),
        metavar="A,B",
        help=f"peers beside NumPy: {','.join(peers.PEERS)} (default: all) or none",
    )
    bench.add_argument(
        "--seconds",
        type=float,
        default=apart.DEFAULT,
        metavar="S",
        help="time for each row, at least five rounds of all but slow peers (default: %(default)s)",
    )
    bench.add_argument("--json", type=_file, metavar="FILE", help="write all measurements to FILE")
    bench.add_argument(
        "--report",
        type=_folder,
        metavar="DIR",
        help="write a page with charts to DIR, which is made if need be; implies --apart",
    )
    bench.add_argument("--apart", action="store_true", help="each peer in a process of its own")
    bench.add_argument(
        "--compare", type=_document, metavar="OLD.json", help="print what moved since a run that wrote OLD.json"
    )
    commands.add_parser("check", help="compare every case with the reference")
    commands.add_parser("info", help="show what this build is and what it runs on")
    return parser


def _threads(text: str) -> int:
    n = int(text)
    if n < 1:
        raise argparse.ArgumentTypeError(f"{n} threads, expected at least 1")
    return n


def _peers(text: str) -> tuple[str, ...]:
    names = () if text == "none" else tuple(text.split(","))
    for name in names:
        if name not in peers.PEERS:
            raise argparse.ArgumentTypeError(
                f"unknown peer {name!r}, expected none or some of {', '.join(peers.PEERS)}"
            )
    return names


def _file(text: str) -> Path:
    """Refuse at once what could not be written at the end of a long run."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is not a directory")
    return path


def _folder(text: str) -> Path:
    path = _file(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a directory")
    return path


def _document(text: str) -> dict[str, Any]:
    try:
        return document.read(Path(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
