from typing import Any, Literal, overload

import numpy as np
from numpy.random import BitGenerator, Generator, SeedSequence
from numpy.typing import ArrayLike, NDArray

@overload
def dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    training: bool = True,
    rng: int | SeedSequence | BitGenerator | Generator | None = None,
    out: NDArray[Any] | None = None,
    return_mask: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    training: bool = True,
    rng: int | SeedSequence | BitGenerator | Generator | None = None,
    out: NDArray[Any] | None = None,
    return_mask: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.bool_]]: ...
