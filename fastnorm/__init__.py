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
from fastnorm.norms import layer_norm, rms_norm

__all__ = [
    "__version__",
    "get_num_threads",
    "layer_norm",
    "reference",
    "rms_norm",
    "set_num_threads",
    "show_config",
    "threads",
]
