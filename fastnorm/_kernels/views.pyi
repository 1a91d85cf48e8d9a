from typing import Any

from numpy.typing import NDArray

def view(array: NDArray[Any], sizes: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]: ...
