"""scikit-learn: `sklearn.preprocessing.scale`, the function behind its StandardScaler's defaults."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import sklearn
from sklearn.preprocessing import scale

from fastnorm._bench.cases import Array, Case, Inputs

# It checks the mean and the variance of its result, and warns on standard error in every call.
warnings.filterwarnings("ignore", "Numerical issues were encountered", UserWarning)

version = sklearn.__version__
note = ""


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Array] | None:
    """Bind the function, which standardises the columns or rows of a table on one thread."""
    if case.function != "standardize" or len(case.shape) != 2 or len(case.axes) != 1 or case.settings["ddof"] != 0:
        return None
    return functools.partial(scale, inputs.x, axis=case.axes[0])


def to_numpy(result: Array) -> Array:
    """Return the array itself."""
    return result
