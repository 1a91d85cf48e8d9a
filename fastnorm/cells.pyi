from typing import Any

from numpy.typing import ArrayLike, NDArray

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
) -> NDArray[Any]: ...
