"""The norms again, as their formulas read, in plain float64 NumPy: what the kernels are checked against.

Same names, parameters and result dtypes as the functions of `fastnorm`, less ``out``; what is refused there is not
checked here. Nothing here is fast, clever or shared with the kernels, and nothing here should become so.
"""

from fastnorm.reference.cells import layer_norm_rnn_cell
from fastnorm.reference.channels import (
    adaptive_instance_norm,
    batch_norm,
    conditional_instance_norm,
    group_norm,
    instance_norm,
)
from fastnorm.reference.features import Moments, moments, standardize
from fastnorm.reference.folding import fold_batch_norm, fuse_conv_batch_norm, fuse_linear_batch_norm
from fastnorm.reference.images import normalize_image
from fastnorm.reference.norms import layer_norm, rms_norm
from fastnorm.reference.regularization import dropout
from fastnorm.reference.responses import local_response_norm
from fastnorm.reference.scales import min_max_scale, normalize

__all__ = [
    "Moments",
    "adaptive_instance_norm",
    "batch_norm",
    "conditional_instance_norm",
    "dropout",
    "fold_batch_norm",
    "fuse_conv_batch_norm",
    "fuse_linear_batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm_rnn_cell",
    "local_response_norm",
    "min_max_scale",
    "moments",
    "normalize",
    "normalize_image",
    "rms_norm",
    "standardize",
]
