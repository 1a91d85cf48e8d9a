"""Normalization of NumPy arrays at the speed of memory: the public names, nothing else."""

try:
    from fastnorm._config import __version__, show_config
except ModuleNotFoundError as _error:
    if not (_error.name or "").startswith("fastnorm."):
        raise
    raise ImportError(
        "fastnorm's compiled modules are not here: this looks like its source folder. "
        "Run `pip install -e .` in it, or leave it to import an installed fastnorm"
    ) from _error
from fastnorm import reference
from fastnorm._threads import get_num_threads, set_num_threads, threads
from fastnorm.cells import layer_norm_rnn_cell
from fastnorm.channels import batch_norm, instance_norm
from fastnorm.features import Moments, moments, standardize
from fastnorm.folding import fold_batch_norm, fuse_conv_batch_norm, fuse_linear_batch_norm
from fastnorm.groups import group_norm
from fastnorm.images import normalize_image
from fastnorm.norms import layer_norm, rms_norm
from fastnorm.regularization import dropout
from fastnorm.responses import local_response_norm
from fastnorm.scales import min_max_scale, normalize
from fastnorm.styles import adaptive_instance_norm, conditional_instance_norm

__all__ = [
    "Moments",
    "__version__",
    "adaptive_instance_norm",
    "batch_norm",
    "conditional_instance_norm",
    "dropout",
    "fold_batch_norm",
    "fuse_conv_batch_norm",
    "fuse_linear_batch_norm",
    "get_num_threads",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm_rnn_cell",
    "local_response_norm",
    "min_max_scale",
    "moments",
    "normalize",
    "normalize_image",
    "reference",
    "rms_norm",
    "set_num_threads",
    "show_config",
    "standardize",
    "threads",
]
