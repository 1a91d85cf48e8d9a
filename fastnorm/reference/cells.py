"""The layer-normalised step of a recurrent network."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm.reference import _steps
from fastnorm.reference._steps import Values
from fastnorm.reference.norms import layer_norm

_ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0.0),
    "sigmoid": lambda a: np.exp(-np.logaddexp(0.0, -a)),  # 1 / (1 + exp(-a)), whose exp would overflow
    "identity": lambda a: a,
}


def layer_norm_rnn_cell(
    x: ArrayLike,
    h: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    gain: ArrayLike,
    bias: ArrayLike,
    *,
    activation: str = "tanh",
    eps: float = 1e-5,
) -> NDArray[Any]:
    """The activation of the layer norm of ``W_hh h + W_ih x``; see `fastnorm.layer_norm_rnn_cell`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> weights = [[1.0], [3.0]], [[0.0, 1.0], [1.0, 0.0]]
    >>> reference.layer_norm_rnn_cell([1.0], [0.0, 0.0], *weights, [1.0, 1.0], [0.0, 5.0], activation="identity", eps=0)
    array([-1.,  6.])
    """
    values, _, dtype = _steps.prepare(x, -1, None)
    state, w_ih, w_hh = (np.asarray(one).astype(np.float64) for one in (h, weight_ih, weight_hh))
    a = layer_norm(state @ w_hh.T + values @ w_ih.T, gain, bias, eps=eps)
    return _steps.rounded(_ACTIVATIONS[activation](a), dtype)
