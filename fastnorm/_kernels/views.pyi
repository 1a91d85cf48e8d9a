from typing import Any, Final

from numpy.typing import NDArray

F32: Final[int]
F64: Final[int]
F16: Final[int]
BF16: Final[int]
ROW_STRETCH: Final[int]
ROW_OUTER: Final[int]
WIDE_STRETCH: Final[int]
ROW_SIDE: Final[int]
SEGMENT: Final[int]
CENTERED: Final[int]
UNCENTERED: Final[int]
SQUARES: Final[int]
STANDARDIZED: Final[int]
GIVEN: Final[int]
NORM_1: Final[int]
NORM_2: Final[int]
NORM_LARGEST: Final[int]
NORM_SMALLEST: Final[int]
NORM_POWER: Final[int]
EXTREMES: Final[int]

def assign(arrays: tuple[NDArray[Any], ...], values: list[NDArray[Any]]) -> None: ...
def view(array: NDArray[Any], sizes: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]: ...
