"""Against the node tests of the ONNX standard: all cases of the normalizations that fastnorm has, attributes mapped."""

import warnings
from collections import Counter

import numpy as np
import pytest

import fastnorm
from fastnorm._bench.agreement import UNIT_ROUNDOFF, roundings

onnx = pytest.importorskip("onnx")

# How many cases each had when these tests were written: fewer would mean that they are no longer found.
KNOWN = {
    "BatchNormalization": 4,
    "GroupNormalization": 2,
    "InstanceNormalization": 2,
    "LRN": 2,
    "LayerNormalization": 19,
    "LpNormalization": 6,
    "MeanVarianceNormalization": 1,
    "RMSNormalization": 19,
}


def node_cases():
    """The cases whose model is one node of these; those called expanded spell the same out in other nodes."""
    from onnx.backend.test.loader import load_node_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # every case of ONNX makes its data here, some with overflows
        cases = load_node_model_tests()
    return {
        case.name: case
        for case in cases
        if len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in KNOWN
    }


CASES = node_cases()


def batch_normalization(inputs, epsilon=1e-5, momentum=0.9, training_mode=0):
    """ONNX keeps `momentum` of the old value, moves by the population variance, and returns new running arrays."""
    x, weight, bias, mean, var = inputs
    mean, var = mean.copy(), var.copy()
    options = {"training": bool(training_mode), "momentum": 1 - momentum, "running_ddof": 0}
    y = fastnorm.batch_norm(x, mean, var, weight, bias, eps=epsilon, **options)
    return [y, mean, var] if training_mode else [y]


def group_normalization(inputs, num_groups, epsilon=1e-5):
    x, weight, bias = inputs
    return [fastnorm.group_norm(x, num_groups, weight, bias, eps=epsilon)]


def instance_normalization(inputs, epsilon=1e-5):
    x, weight, bias = inputs
    return [fastnorm.instance_norm(x, weight=weight, bias=bias, eps=epsilon)]


def layer_normalization(inputs, axis=-1, epsilon=1e-5):
    """`axis` is the first of those normalised."""
    axes = tuple(range(axis % inputs[0].ndim, inputs[0].ndim))
    return fastnorm.layer_norm(*inputs, axis=axes, eps=epsilon, return_stats=True)


def local_response_normalization(inputs, size, alpha=1e-4, beta=0.75, bias=1.0):
    """An even window has one more channel above: ours in reversed channels."""
    reversed_channels = inputs[0][:, ::-1]
    return [fastnorm.local_response_norm(reversed_channels, size, alpha=alpha, beta=beta, k=bias)[:, ::-1]]


def lp_normalization(inputs, axis=-1, p=2):
    return [fastnorm.normalize(*inputs, p=p, axis=axis)]


def mean_variance_normalization(inputs, axes=(0, 2, 3)):
    """1e-9 on the standard deviation is all that ONNX has for an epsilon."""
    return [fastnorm.layer_norm(*inputs, axis=tuple(axes), eps=0)]


def rms_normalization(inputs, axis=-1, epsilon=1e-5):
    axes = tuple(range(axis % inputs[0].ndim, inputs[0].ndim))
    return [fastnorm.rms_norm(*inputs, axis=axes, eps=epsilon)]


FUNCTIONS = {
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_normalization,
    "LayerNormalization": layer_normalization,
    "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": mean_variance_normalization,
    "RMSNormalization": rms_normalization,
}


def test_cases_are_found():
    found = Counter(case.model.graph.node[0].op_type for case in CASES.values())
    assert {op: found[op] for op in KNOWN if found[op] < KNOWN[op]} == {}
    assert set(FUNCTIONS) == set(KNOWN)


@pytest.mark.parametrize("name", CASES)
def test_node(name):
    case = CASES[name]
    (node,) = case.model.graph.node
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    assert case.data_sets
    for inputs, expected in case.data_sets:
        # What ONNX computes in float32, here of values up to about 4 around a mean up to 1, rounds as often as we do.
        bound = 2 * roundings(inputs[0].size) * UNIT_ROUNDOFF[inputs[0].dtype.name]
        actual = FUNCTIONS[node.op_type](inputs, **attributes)
        for got, one in zip(actual, expected, strict=True):
            assert got.shape == one.shape
            np.testing.assert_allclose(got, one, rtol=bound, atol=4 * bound)
