"""Images for tests, in memory of every kind, and how far a normalised one may be from the formula.

x - mean / scale rounds once in the arithmetic type, the factor scale / std was rounded to it, the multiply-add rounds
once (twice on a tier without the fused instruction), the store once. All four are relative to the result, because what
the mean lost to rounding is added back; that, and the float64 numbers on the way there, are below the square of the
arithmetic's unit (or 2**-53) relative to the parts of the difference.
"""

import numpy as np
from arrays import dtype_of, swapped

from fastnorm import reference
from fastnorm._bench.agreement import SMALLEST_SUBNORMAL, UNIT_ROUNDOFF, distance

LAYOUTS = ["HWC->CHW", "HWC->HWC"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet


def pixels(shape, dtype="uint8", seed=0):
    """Random bytes, or floats around the mean."""
    rng = np.random.default_rng(seed)
    if dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.normal(0.4, 0.3, shape).astype(dtype_of(dtype))


def parameters(channels, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 0.6, channels), rng.uniform(0.1, 0.4, channels)


def error(y, image, mean, std, *, scale=None, layout="HWC->CHW"):
    """Worst error in units of what the docstring above allows."""
    planes = layout == "HWC->CHW"
    factor = scale if scale is not None else 1 / 255 if image.dtype == np.uint8 else 1.0
    std = np.asarray(std, np.float64)
    expected = reference.normalize_image(image, mean, std, scale=scale, layout="HWC->HWC", dtype=np.float64)
    parts = (np.abs(image.astype(np.float64) * factor) + np.abs(mean)) / np.abs(std)
    u = UNIT_ROUNDOFF["float64" if "float64" in (image.dtype.name, y.dtype.name) else "float32"]
    store = UNIT_ROUNDOFF[y.dtype.name]
    with np.errstate(all="ignore"):
        allowed = (
            (store + 4 * u) * np.abs(expected) + 4 * max(u * u, 2.0**-53) * parts + SMALLEST_SUBNORMAL[y.dtype.name]
        )
    return distance(np.moveaxis(y, -3, -1) if planes else y, expected, allowed)


def with_gaps(image, channel=1, pixel=1):
    """Every `pixel`-th pixel and `channel`-th channel of a larger image."""
    *batch, height, width, channels = image.shape
    big = np.zeros((*batch, height + 2, width * pixel + 3, channels * channel), image.dtype)
    view = big[..., 1:-1, 2:-1:pixel, ::channel] if pixel == 1 else big[..., 1:-1, : width * pixel : pixel, ::channel]
    view[...] = image
    return view


def beside_others(image, before, after):
    """Its channels within wider pixels."""
    big = np.zeros((*image.shape[:-1], before + image.shape[-1] + after), image.dtype)
    view = big[..., before : before + image.shape[-1]]
    view[...] = image
    return view


def unaligned(image):
    raw = np.zeros(image.nbytes + 1, np.uint8)[1:]
    view = raw.view(image.dtype).reshape(image.shape)
    view[...] = image
    return view


def planar(image):
    return np.moveaxis(np.moveaxis(image, -1, -3).copy(), -3, -1)


MEMORY = {
    "crop": with_gaps,
    "BGR": lambda a: a[..., ::-1].copy()[..., ::-1],
    "BGR crop": lambda a: with_gaps(a[..., ::-1])[..., ::-1],
    "first of wider pixels": lambda a: beside_others(a, 0, 1),
    "last of wider pixels": lambda a: beside_others(a, 1, 0),
    "reversed in wider pixels": lambda a: beside_others(a[..., ::-1], 0, 1)[..., ::-1],
    "among many channels": lambda a: beside_others(a, 5, 7),
    "every second pixel": lambda a: with_gaps(a, pixel=2),
    "every second channel": lambda a: with_gaps(a, channel=2),
    "planes": planar,
    "transposed": lambda a: a.swapaxes(-2, -3).copy().swapaxes(-2, -3),
    "Fortran": np.asfortranarray,
    "upside down": lambda a: a[..., ::-1, :, :].copy()[..., ::-1, :, :],
    "mirrored": lambda a: a[..., ::-1, :].copy()[..., ::-1, :],
    "mirrored BGR": lambda a: a[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "unaligned": unaligned,
    "swapped bytes": swapped,
    "samples apart": lambda a: a if a.ndim < 4 else a[:, None].repeat(2, 1)[:, 0],
    "samples innermost": lambda a: a if a.ndim < 4 else np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
}
