"""A photograph on its way into a network: bytes of pixels to normalised planes, in one pass.

Responsible for showing `fastnorm.normalize_image` on real data. The picture has the photograph and the three planes
that a network trained on ImageNet gets of it, red, green and blue; middle grey is 0, black -2.5 and white 2.5
deviations. The plain formula in NumPy has to give the same numbers, and both are timed.

    pip install scikit-learn pillow
    python examples/normalize_image.py planes.png    # without a name no picture is written
"""

import sys
from functools import partial
from timeit import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnorm

INSTALL = "pip install scikit-learn pillow"
CALLS, ROUNDS = 5, 15
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of ImageNet
MEAN32, STD32 = MEAN.astype(np.float32), STD.astype(np.float32)


def load_photograph() -> NDArray[np.uint8]:
    """The flower that scikit-learn carries: (height, width, 3)."""
    from sklearn.datasets import load_sample_image

    photograph: NDArray[np.uint8] = load_sample_image("flower.jpg")
    return photograph


def normalize(photograph: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3, height, width), by fastnorm."""
    return fastnorm.normalize_image(photograph, MEAN, STD)


def numpy_normalize(photograph: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The same as one writes it in NumPy."""
    scaled = photograph.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(((scaled - MEAN32) / STD32).transpose(2, 0, 1))


def write_picture(path: str, photograph: NDArray[np.uint8], planes: NDArray[Any]) -> None:
    """The photograph and its red plane above its green and blue ones."""
    from PIL import Image

    grey = np.rint(127.5 + 51 * planes).clip(0, 255).astype(np.uint8)
    red, green, blue = (np.stack([plane] * 3, axis=-1) for plane in grey)
    Image.fromarray(np.vstack([np.hstack([photograph, red]), np.hstack([green, blue])])).save(path)


def main() -> None:
    """Print the planes' colours, the errors and the times."""
    try:
        photograph = load_photograph()
    except ImportError as error:
        sys.exit(f"{error}: run {INSTALL}".replace("\n", " "))

    planes = normalize(photograph)
    print(f"{photograph.dtype} {photograph.shape} to {planes.dtype} {planes.shape}")
    for name, plane in zip(("red", "green", "blue"), planes, strict=True):
        print(f"  {name:5} from {plane.min():6.3f} to {plane.max():6.3f}, mean {plane.mean():6.3f}")

    exact = ((photograph / 255 - MEAN) / STD).transpose(2, 0, 1)
    for library, function in (("fastnorm", normalize), ("NumPy", numpy_normalize)):
        worst = np.abs(function(photograph) - exact).max()
        if worst > 1e-6:
            sys.exit(f"{library} is off by {worst}")
        time = min(repeat(partial(function, photograph), number=CALLS, repeat=ROUNDS)) / CALLS
        print(f"{library:>8}: {1e3 * time:6.3f} ms, largest error {worst:.1e}")

    if len(sys.argv) > 1:
        write_picture(sys.argv[1], photograph, planes)
        print(f"{sys.argv[1]}: the photograph, and its red, green and blue planes")


if __name__ == "__main__":
    main()
