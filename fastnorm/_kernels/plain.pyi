from typing import Any

from numpy.typing import NDArray

def over_axis(
    x: object, weight: object, bias: object, axis: object, eps: object, out: object, statistic: int
) -> NDArray[Any] | None: ...
def over_channels(
    x: object, weight: object, bias: object, num_groups: object, eps: object, channel_axis: object, out: object
) -> NDArray[Any] | None: ...
def by_running(
    x: object,
    running_mean: object,
    running_var: object,
    weight: object,
    bias: object,
    eps: object,
    channel_axis: object,
    out: object,
) -> NDArray[Any] | None: ...
