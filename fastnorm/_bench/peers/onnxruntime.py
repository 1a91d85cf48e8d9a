"""ONNX Runtime: a model of one node, with the parameters as initializers.

Axes that are not last are transposed there and back, as exported models do; channels are second
in every operator that has some, so NHWC is left out. RMS norm is ``SimplifiedLayerNormalization``,
the operator that ONNX Runtime's own optimizer puts in place of the standard one.
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
    "batch_norm": ("BatchNormalization", ("weight", "bias", "running_mean", "running_var")),
    "instance_norm": ("InstanceNormalization", ("weight", "bias")),
    "group_norm": ("GroupNormalization", ("weight", "bias")),
    "local_response_norm": ("LRN", ()),
    "normalize": ("LpNormalization", ()),
}

# Operator set and IR version: the oldest in which the operator has parameters for each channel, else old enough for
# every ONNX Runtime that has LayerNormalization.
OPSETS = {"group_norm": (21, 10)}
OPSET = (17, 8)


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Array] | None:
    """Start a session; an ``out`` case binds the result to the reused array."""
    if case.function not in OPERATIONS or case.channel_axis not in (None, 1) or case.settings.get("training"):
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
    neutral = {name: np.full(case.parameter_shape(name), float(name == "weight")) for name in names}
    parameters = [
        numpy_helper.from_array(inputs.parameters.get(name, neutral[name]).astype(inputs.x.dtype), name)
        for name in names
    ]
    attributes: dict[str, Any]
    if case.function == "local_response_norm":
        attributes = {name: case.settings[name] for name in ("size", "alpha", "beta")} | {"bias": case.settings["k"]}
    elif case.function == "normalize":
        attributes = {name: case.settings[name] for name in ("p", "axis")}
    else:
        attributes = {"epsilon": case.settings["eps"]}
    order = tuple(range(len(case.shape)))
    if case.channel_axis is None and "axis" not in attributes:
        attributes["axis"] = -len(case.axes)
        order = trailing_order(case)
    elif case.function == "group_norm":
        attributes["num_groups"] = case.settings["num_groups"]
    node: Callable[..., Any] = functools.partial(helper.make_node, operator, **attributes)
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
    opset, ir_version = OPSETS.get(case.function, OPSET)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    serialized: bytes = model.SerializeToString()
    return serialized


def _value(array: Array) -> Any:
    """OrtValue on the array's own memory."""
    if array.dtype.name == "bfloat16":
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
