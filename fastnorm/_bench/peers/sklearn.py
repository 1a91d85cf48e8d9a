"""scikit-learn: the functions of `sklearn.preprocessing` behind its scalers' defaults."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import sklearn
from sklearn.preprocessing import minmax_scale, scale

from fastnorm._bench.cases import Array, Case, Inputs

# It checks the mean and the variance of its result, and warns on standard error in every call.
warnings.filterwarnings("ignore", "Numerical issues were encountered", UserWarning)

version = sklearn.__version__
note = ""


OPERATIONS = {"standardize": scale, "min_max_scale": minmax_scale}


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Array] | None:
    """Bind the function, which takes the columns or rows of a table on one thread."""
    if case.function not in OPERATIONS or len(case.shape) != 2 or len(case.axes) != 1 or case.settings.get("ddof"):
        return None
    return functools.partial(OPERATIONS[case.function], inputs.x, axis=case.axes[0])


def to_numpy(result: Array) -> Array:
    """Return the array itself."""
    return result
