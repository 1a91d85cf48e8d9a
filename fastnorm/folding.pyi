from typing import Any

from numpy.typing import ArrayLike, NDArray

def fold_batch_norm(
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def fuse_linear_batch_norm(
    weight: ArrayLike,
    bias: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    bn_weight: ArrayLike | None = None,
    bn_bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def fuse_conv_batch_norm(
    weight: ArrayLike,
    bias: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    bn_weight: ArrayLike | None = None,
    bn_bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    transposed: bool = False,
    groups: int = 1,
) -> tuple[NDArray[Any], NDArray[Any]]: ...
