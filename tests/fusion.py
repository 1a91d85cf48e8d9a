"""A layer and the batch norm after it: their parameters, and how far the two may be from the one that both become.

With u_store the unit roundoff of the weight's dtype, u that of float64 and n the products in a sum, they differ by at
most

    (u_store + (2 n + 12) u) (|scale| (sum |w| |x| + |bias| + |mean|) + |bn_bias|)

and by what is flushed: the parameters are rounded once, each sum rounds n times, and 12 is for the rest of both.
"""

import numpy as np
from arrays import dtype_of, normal

from fastnorm._bench.agreement import UNIT_ROUNDOFF

SMALLEST_NORMAL = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
# The parameters that a layer and a norm may have, of those that they need not.
GIVEN = [(), ("bias",), ("bn_weight",), ("bn_bias",), ("bias", "bn_weight", "bn_bias")]
U = UNIT_ROUNDOFF["float64"]


def wide(array):
    """The same values in float64."""
    return np.asarray(array).astype(np.float64)


def norm_of(channels, names=("bias", "bn_weight", "bn_bias"), dtype="float32"):
    """Running statistics, and those parameters of the layer and the norm that are named."""
    norm = {
        "running_mean": normal(channels, dtype, offset=1.0, seed=1),
        "running_var": (normal(channels, "float64", seed=2) ** 2 + 0.5).astype(dtype_of(dtype)),
    }
    norm |= {name: normal(channels, dtype, offset=0.5, seed=3 + i) for i, name in enumerate(names)}
    return {"bias": None} | norm


def scale_of(norm, eps=1e-5):
    """What the norm multiplies each channel by."""
    return wide(norm.get("bn_weight", 1.0)) / np.sqrt(wide(norm["running_var"]) + eps)


def magnitude(products, norm):
    """What errors are in proportion to, from the sum of |w| |x|; channels along axis 1."""
    shape = (-1,) + (1,) * (products.ndim - 2)
    sizes = {name: np.abs(wide(value)) for name, value in norm.items() if value is not None}
    inner = (sizes.get("bias", 0.0) + sizes["running_mean"]).reshape(shape)
    outer = np.broadcast_to(sizes.get("bn_bias", 0.0), len(sizes["running_mean"]))
    return np.abs(scale_of(norm)).reshape(shape) * (products + inner) + outer.reshape(shape)


def allowed(products, norm, n, dtype):
    """How far the two may be from the one; each of n products may be flushed, of an x below 4."""
    return (UNIT_ROUNDOFF[dtype] + (2 * n + 12) * U) * magnitude(products, norm) + 4 * n * SMALLEST_NORMAL[dtype]
