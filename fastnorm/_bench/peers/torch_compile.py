"""PyTorch, compiled: what the peer "torch" calls, as Inductor's C++ for the case's very shape and number of threads.

Cases are compiled when they are prepared, so no time includes it: it takes one or two seconds for each, half a minute
for the first of all, whose headers are compiled, too, and next to nothing where PyTorch's cache on disk has it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch

from fastnorm._bench.cases import Case, Inputs
from fastnorm._bench.peers import torch as eager

version = torch.__version__
note = ""
to_numpy = eager.to_numpy

_failed: dict[str, None] = {}


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Any] | None:
    """Compile the eager peer's function, and bind it to x; None, and a note, if that fails."""
    global note
    function, x = eager.function(case, inputs, threads)
    torch.compiler.reset()  # or the versions of the same lines of code are searched, and limited to eight
    compiled = torch.compile(function, fullgraph=True, dynamic=False)
    try:
        compiled(x)
    except Exception as error:  # a compiler's, of any kind
        warnings.warn(f"torch.compile failed for {case.id}: {error}", stacklevel=2)
        _failed[case.id] = None
        note = f"failed to compile {', '.join(_failed)}"
        return None
    return functools.partial(compiled, x)
