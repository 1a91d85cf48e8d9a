"""ONNX Runtime: a model of one node, with the parameters as initializers.

Axes that are not last are transposed there and back, as exported models do. RMS norm is
``SimplifiedLayerNormalization``, the operator that ONNX Runtime's own optimizer puts in place of
the standard one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

from fastnorm._bench.cases import Array, Case, Inputs
from fastnorm._bench.peers import inverse, trailing_order

version = onnxruntime.__version__
note = ""

# Operator and the parameters it takes, in their order.
OPERATIONS = {
    "layer_norm": ("LayerNormalization", ("weight", "bias")),
    "rms_norm": ("SimplifiedLayerNormalization", ("weight",)),
}

# Old enough for every ONNX Runtime that has LayerNormalization.
OPSET, IR_VERSION = 17, 8


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Array] | None:
    """Start a session; an ``out`` case binds the result to the reused array."""
    if case.function not in OPERATIONS:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(_model(case, inputs), options, providers=["CPUExecutionProvider"])
    except NoKernel:  # for this dtype, in this version
        return None
    if inputs.out is None:
        feed = {"x": inputs.x}
        return lambda: session.run(["y"], feed)[0]
    out = inputs.out
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", _value(inputs.x))
    binding.bind_ortvalue_output("y", _value(out))

    def call() -> Array:
        session.run_with_iobinding(binding)
        return out

    return call


def to_numpy(result: Array) -> Array:
    """Return the array itself."""
    return result


def _model(case: Case, inputs: Inputs) -> bytes:
    operator, names = OPERATIONS[case.function]
    # The scale is not optional; an absent parameter is one that changes nothing.
    neutral = {"weight": np.ones(case.parameter_shape), "bias": np.zeros(case.parameter_shape)}
    parameters = [
        numpy_helper.from_array(inputs.parameters.get(name, neutral[name]).astype(inputs.x.dtype), name)
        for name in names
    ]
    node = functools.partial(helper.make_node, operator, axis=-len(case.axes), epsilon=case.settings["eps"])
    order = trailing_order(case)
    if order == tuple(range(len(order))):
        nodes = [node(["x", *names], ["y"])]
    else:
        nodes = [
            helper.make_node("Transpose", ["x"], ["x_last"], perm=order),
            node(["x_last", *names], ["y_last"]),
            helper.make_node("Transpose", ["y_last"], ["y"], perm=inverse(order)),
        ]
    element = helper.np_dtype_to_tensor_dtype(inputs.x.dtype)
    graph = helper.make_graph(
        nodes,
        case.function,
        [helper.make_tensor_value_info("x", element, case.shape)],
        [helper.make_tensor_value_info("y", element, case.shape)],
        parameters,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialized: bytes = model.SerializeToString()
    return serialized


def _value(array: Array) -> Any:
    """OrtValue on the array's own memory."""
    if array.dtype.name == "bfloat16":
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
