"""The normalization of images for a network: what it computes, its parameters, the checks and the call."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm import _image_arguments as image_arguments
from fastnorm._images import result_shape, solve_image


def normalize_image(
    image: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    *,
    scale: float | None = None,
    layout: str = "HWC->CHW",
    dtype: DTypeLike | None = np.float32,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    r"""Scale an image, subtract each channel's mean, divide by its deviation, and put channels first, all in one pass.

    .. math:: y = \frac{image \cdot scale - mean}{std}

    Parameters
    ----------
    image : array_like
        (H, W, C) or (N, H, W, C), as image libraries load them: uint8, float16, bfloat16 (of ``ml_dtypes``), float32 or
        float64, any number of channels. Any strides, without a copy; of uint8, crops, ``image[..., ::-1]`` for OpenCV's
        BGR and ``rgba[..., :3]`` are as fast as the whole.
    mean, std : array_like
        (C,), or one number for all channels, in units of ``image * scale``. Finite, and std not 0.
    scale : float, optional
        What the image is multiplied with first: finite and not 0. By default 1/255 for uint8 and 1 for floats.
    layout : {"HWC->CHW", "HWC->HWC"}
        The result's axes, (C, H, W) or (H, W, C); a 4-D image keeps its leading N.
    dtype : dtype, optional
        The result's: float16, bfloat16, float32 or float64; None stands for `out`'s, or float32. Arithmetic is float64
        if the image or the result is float64, else float32, and is rounded once to the result's dtype.
    out : ndarray, optional
        Where to write the result: its shape and dtype, any strides. It may share memory with the image.

    Returns
    -------
    ndarray
        `out`, or a new array: (C, H, W) or (N, C, H, W) in C order, or the image's shape and memory order.

    Raises
    ------
    ValueError
        If the image is not 3-D or 4-D, `mean` or `std` is not of one number or C, a number is not finite, `scale` or
        an element of `std` is 0, mean / scale or scale / std is near the ends of the arithmetic's range, `layout` is
        unknown, or `out` has another shape or is read-only. Nothing has been written then.
    TypeError
        If the image is of integers other than uint8, another dtype is not supported, `dtype` is not `out`'s, or the
        image is a masked array.

    Notes
    -----
    The numbers are those of torchvision's ``ToTensor()`` (or ``ToDtype(float32, scale=True)``) followed by
    ``Normalize(mean, std)``, which reads and writes the image in each of three steps, and rounds in each; here they are
    the nearest float32 but for the last bit, because mean / scale is subtracted first, with more digits than float32
    has. ``cv2.dnn.blobFromImage(image, scalefactor, mean=...)`` has one scale for all channels and computes
    ``(image - mean) * scalefactor``: its mean is ``mean / scale`` here. Keras' ``Normalization(axis=-1, mean=mean,
    variance=std**2)`` keeps channels last and does not scale; its ``preprocess_input`` in mode "torch" is
    ``layout="HWC->HWC"`` with ImageNet's numbers.

    ONNX and TensorFlow models that take channels last want ``layout="HWC->HWC"``.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> image = np.array([[[255, 0, 51], [0, 255, 204]]], np.uint8)  # one row of two pixels
    >>> fastnorm.normalize_image(image, mean=[0.5, 0.5, 0.4], std=[0.5, 0.5, 0.2])
    array([[[ 1., -1.]],
    <BLANKLINE>
           [[-1.,  1.]],
    <BLANKLINE>
           [[-1.,  2.]]], dtype=float32)
    """
    array = image_arguments.as_image(image)
    planes = image_arguments.as_planes(layout)
    out = arguments.as_output(out, result_shape(array, planes), "the result")
    result_dtype = image_arguments.as_result_dtype(dtype, out, array)
    factor = image_arguments.as_scale(scale, array)
    # Of integers there are only bytes, and float32 holds them.
    is_f64 = np.float64 in (result_dtype, arguments.native(array.dtype))
    arithmetic = np.dtype(np.float64 if is_f64 else np.float32)
    means, factors = image_arguments.as_maps(mean, std, factor, array, arithmetic)
    return solve_image(array, out, result_dtype, planes, means, factors)
