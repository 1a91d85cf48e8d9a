"""PyTorch, eager, on inference tensors.

An ``out`` case takes the default, allocating call: the only form that reuses a result,
``aten::native_layer_norm.out``, computes into fresh memory and copies, and so takes longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from fastnorm._bench.cases import Array, Case, Inputs, align
from fastnorm._bench.peers import affine, channel_order, inverse, trailing_order

version = torch.__version__
note = ""


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Any]:
    """Bind `function` to x."""
    operation, x = function(case, inputs, threads)
    return functools.partial(operation, x)


def function(case: Case, inputs: Inputs, threads: int) -> tuple[Callable[[torch.Tensor], Any], torch.Tensor]:
    """The functional form bound to its parameters, and x.

    Normalised axes are permuted to the end, channels to be second, and back. For channels that moves no data: an NHWC
    array is what torch calls channels-last.
    """
    torch.set_num_threads(threads)
    # Inference tensors stay outside autograd wherever they are used, so the timed call need not
    # enter inference mode, which would add half of the time of a small norm. But outside it, they
    # cannot be updated as running statistics are.
    with torch.inference_mode():
        x = _tensor(inputs.x)
        parameters = {name: _tensor(p) for name, p in inputs.parameters.items() if not name.startswith("running")}
    parameters |= {name: _tensor(p) for name, p in inputs.parameters.items() if name not in parameters}
    operation = OPERATIONS[case.function](case, **parameters)
    order = _order(case)
    if order == tuple(range(x.ndim)):
        return operation, x
    back = inverse(order)
    return lambda x: operation(x.permute(order)).permute(back), x


def to_numpy(result: torch.Tensor) -> Array:
    """View the tensor as an array; bfloat16, which torch does not hand to NumPy, as float32."""
    array: Array = (result.float() if result.dtype is torch.bfloat16 else result).numpy()
    return array


def layer_norm(case: Case, **parameters: Any) -> Callable[..., Any]:
    shape, eps = case.parameter_shape("weight"), case.settings["eps"]
    return functools.partial(functional.layer_norm, normalized_shape=shape, eps=eps, **parameters)


def rms_norm(case: Case, **parameters: Any) -> Callable[..., Any]:
    shape, eps = case.parameter_shape("weight"), case.settings["eps"]
    return functools.partial(functional.rms_norm, normalized_shape=shape, eps=eps, **parameters)


def batch_norm(case: Case, **parameters: Any) -> Callable[..., Any]:
    settings = {name: case.settings[name] for name in ("training", "momentum", "eps")}
    return functools.partial(functional.batch_norm, **settings, **parameters)


def instance_norm(case: Case, **parameters: Any) -> Callable[..., Any]:
    return functools.partial(functional.instance_norm, eps=case.settings["eps"], **parameters)


def conditional_instance_norm(
    case: Case, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> Callable[..., Any]:
    norm, ndim = instance_norm(case), len(case.shape)
    return lambda x: affine(norm(x), *(align(styles[labels], (0, 1), ndim) for styles in (weight, bias)))


def adaptive_instance_norm(case: Case, style: torch.Tensor) -> Callable[..., Any]:
    axes, eps = case.axes, case.settings["eps"]

    def call(x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        style_variance, style_mean = torch.var_mean(style, axes, correction=0, keepdim=True)
        y: torch.Tensor = (x - mean) / (variance + eps).sqrt() * (style_variance + eps).sqrt() + style_mean
        return y

    return call


def group_norm(case: Case, **parameters: Any) -> Callable[..., Any]:
    settings = {name: case.settings[name] for name in ("num_groups", "eps")}
    return functools.partial(functional.group_norm, **settings, **parameters)


def standardize(case: Case) -> Callable[..., Any]:
    axes = case.axes

    def call(x: torch.Tensor) -> torch.Tensor:
        std, mean = torch.std_mean(x, axes, correction=0, keepdim=True)
        return (x - mean) / std

    return call


def min_max_scale(case: Case) -> Callable[..., Any]:
    axes = case.axes

    def call(x: torch.Tensor) -> torch.Tensor:
        low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
        return (x - low) / (high - low)

    return call


def normalize(case: Case) -> Callable[..., Any]:
    s = case.settings
    return functools.partial(functional.normalize, p=s["p"], dim=s["axis"], eps=s["eps"])


def moments(case: Case) -> Callable[..., Any]:
    axes = case.axes
    return lambda x: torch.var_mean(x, axes, correction=0)[::-1]


def dropout(case: Case) -> Callable[..., Any]:
    return functools.partial(functional.dropout, p=case.options["p"])


def local_response_norm(case: Case) -> Callable[..., Any]:
    settings = {name: case.settings[name] for name in ("size", "alpha", "beta", "k")}
    return functools.partial(functional.local_response_norm, **settings)


def layer_norm_rnn_cell(
    case: Case,
    h: torch.Tensor,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    gain: torch.Tensor,
    bias: torch.Tensor,
) -> Callable[..., Any]:
    def call(x: torch.Tensor) -> torch.Tensor:
        a = functional.linear(h, weight_hh) + functional.linear(x, weight_ih)
        return torch.tanh(functional.layer_norm(a, gain.shape, gain, bias, case.settings["eps"]))

    return call


def normalize_image(case: Case, mean: torch.Tensor, std: torch.Tensor) -> Callable[..., Any]:
    """What torchvision's ToTensor and Normalize call; without the former's transposition where channels stay last."""
    if not case.channels_move:
        return lambda x: x.to(torch.float32).div_(255).sub_(mean).div_(std)
    mean, std = mean.view(-1, 1, 1), std.view(-1, 1, 1)
    return lambda x: x.permute(2, 0, 1).contiguous().to(torch.float32).div_(255).sub_(mean).div_(std)


# From a case and its parameters to the function of x.
OPERATIONS: dict[str, Callable[..., Callable[..., Any]]] = {
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "conditional_instance_norm": conditional_instance_norm,
    "adaptive_instance_norm": adaptive_instance_norm,
    "group_norm": group_norm,
    "standardize": standardize,
    "min_max_scale": min_max_scale,
    "normalize": normalize,
    "moments": moments,
    "dropout": dropout,
    "local_response_norm": local_response_norm,
    "layer_norm_rnn_cell": layer_norm_rnn_cell,
    "normalize_image": normalize_image,
}


# These take any axes, or have but two.
AS_IT_LIES = (
    "adaptive_instance_norm",
    "dropout",
    "layer_norm_rnn_cell",
    "min_max_scale",
    "moments",
    "normalize",
    "normalize_image",
    "standardize",
)


def _order(case: Case) -> tuple[int, ...]:
    if case.function in ("layer_norm", "rms_norm"):
        return trailing_order(case)
    if case.function in AS_IT_LIES:
        return tuple(range(len(case.shape)))
    return channel_order(case)


def _tensor(array: Array) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
