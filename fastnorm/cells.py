"""The recurrent cell that layer norm was made for: what it computes, its parameters, the checks, the call.

The matrix products are NumPy's, that is its BLAS's; all that follows them is one pass.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import rows


def layer_norm_rnn_cell(
    x: ArrayLike,
    h: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    gain: ArrayLike | None,
    bias: ArrayLike | None,
    *,
    activation: str = "tanh",
    eps: float = 1e-5,
) -> Any:
    r"""One step of a recurrent network whose summed inputs are layer-normalised.

    .. math:: a = W_{hh} h + W_{ih} x, \quad
              h' = f\Big(\frac{a - \mathrm{E}[a]}{\sqrt{\mathrm{Var}[a] + \epsilon}} \cdot gain + bias\Big)

    with the mean and the population variance over the H hidden units.

    Parameters
    ----------
    x : array_like
        (B, I) or (I,), the input of this step: float16, bfloat16 (of ``ml_dtypes``), float32 or float64. Integers and
        bools compute in float64, and return it.
    h : array_like
        (B, H) or (H,), the state that the step before returned, with as many samples as `x`.
    weight_ih : array_like
        (H, I), applied to `x`.
    weight_hh : array_like
        (H, H), applied to `h`.
    gain, bias : array_like or None
        (H,), or None for 1 and 0.
    activation : {"tanh", "relu", "sigmoid", "identity"}
        The function f.
    eps : float
        Added to the variance; finite and >= 0.

    Returns
    -------
    ndarray
        The new state: `h`'s shape, `x`'s dtype (float64 for integers). Arithmetic is float64 if `x` is float64 or of
        integers, else float32, and is rounded once to the result's dtype.

    Raises
    ------
    ValueError
        If a shape does not fit the others, `activation` is unknown, or `eps` is wrong.
    TypeError
        If a dtype is not supported, or an array is masked.

    Notes
    -----
    There is one bias, `bias`: whatever is added before the norm and is the same for all units is taken out by it.
    PyTorch's ``nn.RNNCell(I, H)`` has the same weights and, without the norm, two biases; Keras keeps both weights
    transposed.

    Scaling both weights by any factor changes nothing but the share of `eps` in the variance, so that a state neither
    explodes nor vanishes over many steps. The products have the bits that NumPy's BLAS gives, which may depend on its
    threads; the rest has the same for every number of threads.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", 2016, arXiv:1607.06450, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> h = np.zeros(2)
    >>> weight_ih, weight_hh = np.array([[1.0], [3.0]]), np.eye(2)
    >>> for x in ([0.5], [-1.0]):
    ...     h = fastnorm.layer_norm_rnn_cell(np.array(x), h, weight_ih, weight_hh, gain=None, bias=None)
    >>> h.round(3)
    array([ 0.762, -0.762])
    """
    x, h = (_as_samples(value, name) for value, name in ((x, "x"), (h, "h")))
    hidden, inputs = h.shape[-1], x.shape[-1]
    if h.shape[:-1] != x.shape[:-1]:
        raise ValueError(f"h has shape {h.shape}, expected {(*x.shape[:-1], hidden)} for x of shape {x.shape}")
    weight_ih = _as_matrix(weight_ih, "weight_ih", (hidden, inputs), f"x of shape {x.shape} and h of shape {h.shape}")
    weight_hh = _as_matrix(weight_hh, "weight_hh", (hidden, hidden), f"h of shape {h.shape}")
    if not isinstance(activation, str) or activation not in rows.ACTIVATIONS:
        known = ", ".join(map(repr, sorted(rows.ACTIVATIONS)))
        raise ValueError(f"activation is {activation!r}, expected one of {known}")
    eps = arguments.as_eps(eps)
    dtype = arguments.as_result_dtype(None, None, x)
    arithmetic = arguments.as_arithmetic(x, dtype)
    gain, bias = (_as_vector(value, name, h, arithmetic) for value, name in ((gain, "gain"), (bias, "bias")))

    a = np.empty(h.shape, arithmetic)
    with np.errstate(all="ignore"):
        x, h, weight_ih, weight_hh = (one.astype(arithmetic, copy=False) for one in (x, h, weight_ih, weight_hh))
        np.matmul(h, weight_hh.T, out=a)
        a += np.matmul(x, weight_ih.T)
    y = a if dtype == arithmetic else np.empty(a.shape, dtype)
    if a.size:
        types = arguments.element_type(arithmetic), arguments.element_type(dtype)
        rows.normalize_and_activate(a, gain, bias, y, *types, eps, rows.ACTIVATIONS[activation])
    return y


def _as_samples(value: ArrayLike, name: str) -> NDArray[Any]:
    array = arguments.as_input(value, name)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}, expected one or two dimensions")
    return array


def _as_matrix(value: ArrayLike, name: str, shape: tuple[int, int], others: str) -> NDArray[Any]:
    array = arguments.as_input(value, name)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape} for {others}")
    return array


def _as_vector(value: ArrayLike | None, name: str, h: NDArray[Any], arithmetic: np.dtype[Any]) -> NDArray[Any] | None:
    if value is None:
        return None
    array = arguments.as_input(value, name)
    if array.shape != h.shape[-1:]:
        raise ValueError(f"{name} has shape {array.shape}, expected {h.shape[-1:]} for h of shape {h.shape}")
    return np.require(array, arithmetic, ["C", "ALIGNED"])
