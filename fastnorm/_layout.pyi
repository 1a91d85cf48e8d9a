from typing import Final, final

WORDS: Final[tuple[str, ...]]

@final
class Layout:
    sizes: tuple[int, int, int, int, int]
    strides: tuple[tuple[int, int, int, int, int] | None, ...]
    order: tuple[int, ...]
    def __init__(
        self,
        sizes: tuple[int, ...],
        strides: tuple[tuple[int, ...] | None, ...],
        order: tuple[int, ...],
    ) -> None: ...

def memory_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]: ...
def canonical(
    shape: tuple[int, ...],
    reduced: frozenset[int],
    strides: tuple[tuple[int, ...] | None, ...],
) -> Layout | None: ...
