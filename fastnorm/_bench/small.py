"""What a small call costs, layer by layer, beside PyTorch's eager call.

The layers are differences of calls that contain each other, timed in turns, the fastest sample of each: the public
call, and what it called inside, recorded once with the very arguments that the library passed. So nothing here repeats
the library's own steps, and the layers of a call add up to its time. What no recorded call tells apart is one layer:

- timer: calling an empty builtin in the timing loop, which is part of every time;
- arguments: an empty Python function of the same signature, called in the same way;
- checks: the rest of what happens before words and views are looked for; where the plain path answers, its own checks
  too, which a read-only `out` tells apart, because the path declines that last;
- layout: where the plain path declines, from checked arguments to the kernel's words and views;
- kernel: arithmetic, and choosing a team where the plain path declines;
- result: what a new array costs beyond what `out` costs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import fastnorm
from fastnorm import _normalize
from fastnorm._bench import peers, timing
from fastnorm._bench.cases import Array, Case, Inputs
from fastnorm._bench.run import prepare_peers
from fastnorm._kernels import columns, plain, rows

Row = dict[str, Any]
Call = Callable[[], Any]

TOKENS = tuple((1, length) for length in (64, 256, 768, 1024, 4096))
IMAGES = ((1, 16, 7, 7), (1, 32, 14, 14), (1, 64, 14, 14))
CASES = (
    *(Case(function, shape, mode="out") for function in ("layer_norm", "rms_norm") for shape in TOKENS),
    *(
        Case(function, shape, mode="out", options=options)
        for function, options in (
            ("batch_norm", {}),
            ("instance_norm", {}),
            ("group_norm", {"num_groups": 8}),
            ("layer_norm", {"axis": 1}),
        )
        for shape in IMAGES
    ),
)
LAYERS = ("timer", "arguments", "checks", "layout", "kernel", "result")
COLOURS = ("#b0b0b0", "#4c9be8", "#8c6bb1", "#2ca58d", "#e6550d", "#d9a441")

# How many times faster than PyTorch's a small call ought to be.
GOALS = {"tokens": 4.0, "images": 3.0}


def goal(row: Row) -> float:
    """The ratio to PyTorch that this row ought to have."""
    return GOALS["tokens" if len(row["shape"]) == 2 else "images"]


def measure(seconds: float, cases: Sequence[Case] = CASES) -> list[Row]:
    """Time small calls, with and without ``out=``, by one thread.

    Parameters
    ----------
    seconds : float
        For each case, all its layers together.
    cases : sequence of Case, optional
        With mode ``out``.

    Returns
    -------
    list of dict
        Two for each case: function, shape, options, mode, path ("plain" or "general"), nanoseconds,
        torch_nanoseconds (None without PyTorch), layers (nanoseconds by name; a small difference of large times may
        come out below 0).
    """
    return [row for case in cases for row in _measure(case, seconds)]


def _measure(case: Case, seconds: float) -> Iterator[Row]:
    inputs = case.make_inputs()
    fresh = replace(inputs, out=None)
    public = case.call(inputs)
    assert isinstance(public, functools.partial)
    assert inputs.out is not None
    doors = _doors(public, inputs.out)
    with fastnorm.threads(1):
        samples = timing.measure(
            {
                "timer": functools.partial(operator.is_, None, None),
                "arguments": _empty_twin(public),
                "out": public,
                "alloc": case.call(fresh),
                **doors,
                **_torch(case, fresh),
            },
            seconds,
        )
    times = {name: one.min * 1e9 for name, one in samples.items()}
    layers = {"timer": times["timer"], "arguments": times["arguments"] - times["timer"], "checks": 0.0}
    if "plain" in doors:
        layers["kernel"] = times["plain"] - times["declined" if "declined" in doors else "timer"]
    else:
        layers["layout"] = times["solve"] - times["kernel"]
        layers["kernel"] = times["kernel"] - times["timer"]
    layers["checks"] = times["out"] - sum(layers.values())
    common = {
        "function": case.function,
        "shape": list(case.shape),
        "options": case.options_text,
        "path": "plain" if "plain" in doors else "general",
        "torch_nanoseconds": times.get("torch"),
    }
    yield common | {"mode": "out", "nanoseconds": times["out"], "layers": layers}
    layers = layers | {"result": times["alloc"] - times["out"]}
    yield common | {"mode": "alloc", "nanoseconds": times["alloc"], "layers": layers}


def _torch(case: Case, inputs: Inputs) -> dict[str, Call]:
    if importlib.util.find_spec("torch") is None:
        return {}
    loaded, _ = peers.load(["torch"])
    calls, _ = prepare_peers(case, inputs, 1, {"torch": loaded["torch"]})
    return calls


def _empty_twin(public: functools.partial[Any]) -> Call:
    """A function of the same signature that does nothing, with the same arguments."""
    signature = inspect.signature(public.func)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    text = str(signature.replace(parameters=bare, return_annotation=signature.empty))
    namespace: dict[str, Any] = {}
    exec(f"def empty{text}: return None", namespace)
    return functools.partial(namespace["empty"], *public.args, **public.keywords)


def _doors(public: functools.partial[Any], out: Array) -> dict[str, functools.partial[Any]]:
    """What the call went through: ``plain`` and the same ``declined``, or ``solve`` and ``kernel``."""
    module = sys.modules[public.func.__module__]
    watched: list[tuple[Any, str]] = [(plain, name) for name in vars(plain) if name[0] != "_"]
    watched += [(one, "solve") for one in (module, _normalize) if hasattr(one, "solve")]
    watched += [(one, "normalize") for one in (rows, columns)]
    calls: dict[str, functools.partial[Any]] = {}

    def watch(name: str, one: Callable[..., Any]) -> Callable[..., Any]:
        def watcher(*arguments: Any, **keywords: Any) -> Any:
            answer = one(*arguments, **keywords)
            if name != "plain" or answer is not None:
                calls[name] = functools.partial(one, *arguments, **keywords)
            return answer

        return watcher

    with contextlib.ExitStack() as stack:
        for place, name in watched:
            one = getattr(place, name)
            kind = {"solve": "solve", "normalize": "kernel"}.get(name, "plain")
            stack.enter_context(mock.patch.object(place, name, watch(kind, one)))
        public()
    if "plain" in calls:
        call = calls["plain"]
        locked = out.view()
        locked.flags.writeable = False
        arguments = [locked if one is out else one for one in call.args]
        keywords = {name: locked if one is out else one for name, one in call.keywords.items()}
        declined = functools.partial(call.func, *arguments, **keywords)
        if declined() is None:
            calls["declined"] = declined
    return calls


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each row: time, PyTorch's over it, and the layers; all in nanoseconds."""
    for row in rows:
        torch = row["torch_nanoseconds"]
        ratio = "" if torch is None else f"torch {torch / row['nanoseconds']:6.2f}x"
        low = "below the goal" if torch is not None and torch < goal(row) * row["nanoseconds"] else ""
        layers = "  ".join(f"{name} {time:.0f}" for name, time in row["layers"].items())
        yield f"{_name(row):50} {row['mode']:5} {row['nanoseconds']:7.0f} ns  {ratio:14} {low:14}  {layers}"


def draw(figure: Any, rows: Sequence[Row]) -> None:
    """Draw the layers of each call that allocates its result as a bar, on a matplotlib figure, whose size this sets."""
    rows = [row for row in rows if row["mode"] == "alloc"]
    panels = [
        one for one in ([row for row in rows if (len(row["shape"]) == 2) is tokens] for tokens in (True, False)) if one
    ]
    figure.set_size_inches(9, 1.2 + 0.3 * len(rows))
    heights = [len(one) + 1 for one in panels]
    for axes, ours in zip(figure.subplots(len(panels), height_ratios=heights, squeeze=False).flat, panels, strict=True):
        ends = [0.0] * len(ours)
        for layer, colour in zip(LAYERS, COLOURS, strict=True):
            widths = [max(row["layers"].get(layer, 0.0), 0.0) / 1e3 for row in ours]
            axes.barh(range(len(ours)), widths, left=ends, color=colour, label=layer)
            ends = [end + width for end, width in zip(ends, widths, strict=True)]
        for place, (row, end) in enumerate(zip(ours, ends, strict=True)):
            torch = row["torch_nanoseconds"]
            text = f" {row['nanoseconds'] / 1e3:.2f} µs"
            if torch is not None:
                text += f", PyTorch {torch / 1e3:.1f} µs: {torch / row['nanoseconds']:.1f}x"
            axes.annotate(text, (end, place), va="center", fontsize="small")
        axes.set_yticks(range(len(ours)), [_name(row) for row in ours], fontsize="small")
        axes.set_xlim(0, 1.5 * max(ends))
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("µs for each call")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(LAYERS), frameon=False)


def _name(row: Row) -> str:
    return " ".join(filter(None, [row["function"], "x".join(map(str, row["shape"])), row["options"]]))
