"""PyTorch, eager, on inference tensors.

An ``out`` case takes the default, allocating call: the only form that reuses a result,
``aten::native_layer_norm.out``, computes into fresh memory and copies, and so takes longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from fastnorm._bench.cases import Array, Case, Inputs
from fastnorm._bench.peers import inverse, trailing_order

version = torch.__version__
note = ""

# Each takes (input, normalized_shape, weight, bias, eps) by these names, as far as it has them.
OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "layer_norm": functional.layer_norm,
    "rms_norm": functional.rms_norm,
}


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], torch.Tensor] | None:
    """Bind the functional form; axes that are not last are permuted there and back."""
    if case.function not in OPERATIONS:
        return None
    torch.set_num_threads(threads)
    # Inference tensors stay outside autograd wherever they are used, so the timed call need not
    # enter inference mode, which would add half of the time of a small norm.
    with torch.inference_mode():
        x = _tensor(inputs.x)
        parameters = {name: _tensor(p) for name, p in inputs.parameters.items()}
    norm = functools.partial(
        OPERATIONS[case.function],
        normalized_shape=case.parameter_shape,
        eps=case.settings["eps"],
        **parameters,
    )
    order = trailing_order(case)
    if order == tuple(range(x.ndim)):
        return functools.partial(norm, x)
    back = inverse(order)
    return lambda: norm(x.permute(order)).permute(back)


def to_numpy(result: torch.Tensor) -> Array:
    """View the tensor as an array; bfloat16, which torch does not hand to NumPy, as float32."""
    array: Array = (result.float() if result.dtype is torch.bfloat16 else result).numpy()
    return array


def _tensor(array: Array) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
