"""OpenCV: `dnn.blobFromImage`, in the form that takes a factor for each channel.

It makes planes of one image; where channels stay last, OpenCV has nothing that does it in a single call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cv2

from fastnorm._bench.cases import Array, Case, Inputs

version = cv2.__version__
note = ""


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Any] | None:
    """Bind the function: its mean is in the image's units, its factor 1 / (255 std)."""
    if case.function != "normalize_image" or not case.channels_move or case.shape[-1] > 4:
        return None
    cv2.setNumThreads(threads)
    parameters = cv2.dnn.Image2BlobParams()
    parameters.mean = tuple(255 * inputs.parameters["mean"].astype(float))
    parameters.scalefactor = tuple(1 / (255 * inputs.parameters["std"].astype(float)))
    return functools.partial(cv2.dnn.blobFromImageWithParams, inputs.x, parameters)


def to_numpy(result: Array) -> Array:
    """The image without the axis of samples."""
    image: Array = result[0]
    return image
