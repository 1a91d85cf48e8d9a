"""Dropout: what it computes, its parameters, and the call. No arithmetic and no memory happens here."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._dropout import solve


def dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    training: bool = True,
    rng: Any = None,
    out: NDArray[Any] | None = None,
    return_mask: bool = False,
) -> Any:
    r"""Drop each element with probability p, and scale the others so that the expectation stays.

    .. math:: y = \frac{m}{1 - p} \cdot x, \quad m = 0 \text{ with probability } p, \text{ else } 1

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides. Integers and bools compute in
        float64, and return it unless `out` says otherwise.
    p : float
        The probability of an element to be dropped, from 0 to 1. With 1 all are.
    training : bool
        False returns the values of `x`, in memory of their own or in `out`, and looks at neither `p` (beyond its
        range) nor `rng`.
    rng : None, int, SeedSequence, BitGenerator or Generator of numpy.random, optional
        What `numpy.random.default_rng` takes. Each call in training draws 64 bits from a generator, at once and
        whatever `p` is. None takes fresh ones from the system.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.
    return_mask : bool
        Return also which elements were kept.

    Returns
    -------
    ndarray or tuple
        The result, in `x`'s shape, dtype and memory order, or ``(result, mask)``: a C-contiguous array of bools in
        `x`'s shape, True where an element was kept.

    Raises
    ------
    ValueError
        If `p` is not from 0 to 1, `out` has another shape or is read-only, or `rng` is a negative int. Nothing has
        been written or drawn then.
    TypeError
        If a dtype is not supported, `p` is no number or a bool, `rng` is nothing of the above, or `x` is a masked
        array.

    Notes
    -----
    The mask depends on the seed, `p` and the element's number in C order: one seed gives the same mask for every
    number of threads, instruction set, dtype, memory order and `out`, and `fastnorm.reference.dropout` gives it, too.
    The same seed and a larger `p` drop the same elements and more. Each element has 32 bits of Philox4x32-10 for
    itself, and is dropped where they are below p 2³² as an integer: `p` is rounded to a multiple of 2⁻³², but never to
    0 or 1. Kept values are within 1 unit in the last place of x / (1 - p) (2 without fused multiply-add) before the one
    rounding to a 16-bit dtype, and exact for p = 0.5. A dropped element is +0 whatever it was, NaN and infinity too.
    The gradient is ``mask * dy / (1 - p)``: the same call on `dy`, with the same int as `rng`, gives it without a mask.

    Batch norm goes before dropout, not after. Dropout keeps the mean μ of its input and changes its variance v to
    (v + μ²) / (1 - p) - μ² in training, but not when the network is used: a batch norm behind it collects running
    statistics of the first and then meets the second, and every such layer adds to the error.
    ``dropout(batch_norm(x))`` has no such shift: the statistics are of data that nothing was dropped from. Layer norm
    has no running statistics and takes either order.

    PyTorch's ``dropout(x, p, training)`` is ``dropout(x, p, training=training)``. ONNX's Dropout calls `p` its `ratio`,
    and drops nothing unless ``training_mode`` is set; Keras and ``tf.nn.dropout`` call it `rate`. Their masks are other
    ones.

    Contiguous `x` and result are walked by all threads. Other memory is taken by one thread, 64 Ki elements at a time.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", JMLR 2014.

    Li, Chen, Hu and Yang, "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift",
    2018, arXiv:1801.05134.

    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x = np.arange(1.0, 9.0)
    >>> fastnorm.dropout(x, rng=0)
    array([ 2.,  4.,  6.,  8.,  0., 12.,  0., 16.])
    >>> y, mask = fastnorm.dropout(x, p=0.2, rng=0, return_mask=True)
    >>> y, mask.mean()
    (array([ 1.25,  2.5 ,  3.75,  5.  ,  6.25,  7.5 ,  0.  , 10.  ]), np.float64(0.875))
    >>> fastnorm.dropout(x, training=False)
    array([1., 2., 3., 4., 5., 6., 7., 8.])
    """
    array = arguments.as_input(x)
    p = arguments.as_probability(p, "p")
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(None, out, array)
    training = arguments.as_bool(training, "training")
    return_mask = arguments.as_bool(return_mask, "return_mask")
    key = arguments.as_key(rng) if training else 0
    mask = np.empty(array.shape, np.bool_) if return_mask else None
    y = solve(array, out, result_dtype, p if training else 0.0, key, mask)
    return (y, mask) if return_mask else y
