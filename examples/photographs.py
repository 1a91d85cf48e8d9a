"""Two photographs take each other's colours by adaptive instance norm, without a network.

Responsible for showing the norms of feature maps on real data: images in the order in which libraries load them, rows
of pixels of red, green and blue. The colours of a photograph are here the mean and the deviation of each channel,
which is what adaptive instance norm moves from one feature map to another inside a style transfer network. Instance
norm then gives both photographs the same ones. Each is timed against the same computation in NumPy.

    pip install scikit-learn pillow
    python examples/photographs.py photographs.png    # without a name no picture is written
"""

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnorm

Photographs = NDArray[np.float32]

INSTALL = "pip install scikit-learn pillow"
ROUNDS = 15
EPS = 1e-5
GREY_MEAN, GREY_DEVIATION = np.full(3, 0.5, np.float32), np.full(3, 0.2, np.float32)


def load_photographs() -> Photographs:
    """The two that scikit-learn carries, a temple and a flower: (2, height, width, 3), from 0 to 1."""
    from sklearn.datasets import load_sample_images

    return np.stack(load_sample_images().images).astype(np.float32) / 255


def swap_colours(x: Photographs) -> Photographs:
    """Each photograph with the other's colours."""
    return fastnorm.adaptive_instance_norm(x, x[::-1], eps=EPS, channel_axis=-1)


def balance_colours(x: Photographs) -> Photographs:
    """Each photograph with the same mean and deviation in every channel: no colour cast, equal contrast."""
    return fastnorm.instance_norm(x, weight=GREY_DEVIATION, bias=GREY_MEAN, eps=EPS, channel_axis=-1)


def measure(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and deviation of each photograph's channels, with the axes of pixels kept."""
    return x.mean(axis=(1, 2), keepdims=True), np.sqrt(x.var(axis=(1, 2), keepdims=True) + x.dtype.type(EPS))


def numpy_swap_colours(x: NDArray[Any]) -> NDArray[Any]:
    """`swap_colours` as one writes it in NumPy."""
    mean, deviation = measure(x)
    return (x - mean) / deviation * deviation[::-1] + mean[::-1]


def numpy_balance_colours(x: NDArray[Any]) -> NDArray[Any]:
    """`balance_colours` as one writes it in NumPy."""
    mean, deviation = measure(x)
    return (x - mean) / deviation * GREY_DEVIATION + GREY_MEAN


def median_times(functions: dict[str, Callable[..., Any]], x: Photographs) -> dict[str, float]:
    """Milliseconds of one call; the functions take turns, so that a busy moment of the machine meets all."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            start = perf_counter()
            function(x)
            times[name].append(1e3 * (perf_counter() - start))
    return {name: float(np.median(each)) for name, each in times.items()}


def write_picture(path: str, columns: list[Photographs]) -> None:
    """A row for each photograph, a column for each version; what lies beyond black and white is cut off."""
    from PIL import Image

    picture = np.concatenate([np.concatenate(list(column)) for column in columns], axis=1)
    Image.fromarray(np.rint(255 * picture.clip(0, 1)).astype(np.uint8)).save(path)


def print_colours(title: str, x: Photographs) -> None:
    """Each channel's mean and deviation."""
    print(title)
    for name, photograph in zip(("temple", "flower"), x, strict=True):
        colours = fastnorm.moments(photograph, axis=(0, 1))
        channels = zip(("red", "green", "blue"), colours.mean, colours.std(), strict=True)
        print(f"  {name}", *(f"{channel} {mean:.3f} ± {deviation:.3f}" for channel, mean, deviation in channels))


def main() -> None:
    """Print what each norm made of the colours, then the times and errors beside NumPy's."""
    try:
        photographs = load_photographs()
    except ImportError as error:
        sys.exit(f"{error}: run {INSTALL}".replace("\n", " "))

    norms = {
        "adaptive_instance_norm": (swap_colours, numpy_swap_colours),
        "instance_norm": (balance_colours, numpy_balance_colours),
    }
    print_colours("As photographed", photographs)
    print_colours("With each other's colours, by adaptive_instance_norm", swap_colours(photographs))
    print_colours("With the same colours, by instance_norm", balance_colours(photographs))

    shape = " x ".join(map(str, photographs.shape))
    print(f"\nOne call on {shape} (median of {ROUNDS}; fastnorm threads: {fastnorm.get_num_threads()})")
    for name, (ours, by_numpy) in norms.items():
        exact = by_numpy(photographs.astype(np.float64))
        for library, time in median_times({"fastnorm": ours, "NumPy": by_numpy}, photographs).items():
            worst = np.abs((ours if library == "fastnorm" else by_numpy)(photographs) - exact).max()
            print(f"  {name:22} {library:>8} {time:6.2f} ms, largest error {worst:.1e}")

    if len(sys.argv) > 1:
        write_picture(sys.argv[1], [photographs, swap_colours(photographs), balance_colours(photographs)])
        print(f"\n{sys.argv[1]}: as photographed, with each other's colours, with the same colours")


if __name__ == "__main__":
    main()
