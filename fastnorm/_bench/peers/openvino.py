"""OpenVINO: a compiled model of its operators, or of an expression that its CPU plugin fuses.

MVN takes any axes; the other operators know channels as the second axis only, and running
statistics as given, so training and their NHWC are left out.

An inference request keeps its output tensor, so that both modes reuse their result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnorm._bench.cases import Array, Case, Inputs
from fastnorm._bench.peers import affine

# Importing openvino would fork a process that sends usage data over the network. Without this
# optional package openvino takes its own stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

version = openvino.__version__.split("-")[0]
note = "writes into its own reused result in alloc cases, too"

# No float64: the CPU plugin would compute it in float32.
TYPES = {
    "float32": openvino.Type.f32,
    "float16": openvino.Type.f16,
    "bfloat16": openvino.Type.bf16,
}


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Array] | None:
    """Compile the model and bind its input and output to the arrays."""
    if case.function not in OPERATIONS or case.dtype not in TYPES:
        return None
    element = TYPES[case.dtype]
    x = ops.parameter(list(case.shape), dtype=element)
    y = OPERATIONS[case.function](x, case, inputs)
    if y is None:
        return None
    compiled = openvino.Core().compile_model(
        openvino.Model([y], [x], case.function),
        "CPU",
        # Left alone, it computes float32 in bfloat16 where the CPU has instructions for that.
        {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": element},
    )
    out = np.empty_like(inputs.x) if inputs.out is None else inputs.out
    request = compiled.create_infer_request()
    request.set_input_tensor(_tensor(inputs.x, element))
    request.set_output_tensor(_tensor(out, element))

    def call() -> Array:
        request.infer(share_outputs=True)
        return out

    return call


def to_numpy(result: Array) -> Array:
    """Return the array itself, which the request wrote into."""
    return result


def mvn(x: Any, case: Case, inputs: Inputs) -> Any:
    y = ops.mvn(x, _axes(case), normalize_variance=True, eps=case.settings["eps"], eps_mode="INSIDE_SQRT")
    return affine(y, **_constants(case.align(inputs), x))


def rms_norm(x: Any, case: Case, inputs: Inputs) -> Any:
    mean_square = ops.reduce_mean(ops.power(x, _like(x, 2.0)), _axes(case), keep_dims=True)
    y = ops.divide(x, ops.sqrt(ops.add(mean_square, _like(x, case.settings["eps"]))))
    return affine(y, **_constants(case.align(inputs), x))


def batch_norm(x: Any, case: Case, inputs: Inputs) -> Any:
    if case.settings["training"] or case.channel_axis != 1:
        return None
    p = _constants(inputs.parameters, x)
    return ops.batch_norm_inference(
        x, p["weight"], p["bias"], p["running_mean"], p["running_var"], case.settings["eps"]
    )


def group_norm(x: Any, case: Case, inputs: Inputs) -> Any:
    if case.channel_axis != 1:
        return None
    p = _constants(inputs.parameters, x)
    return ops.group_normalization(x, p["weight"], p["bias"], case.settings["num_groups"], case.settings["eps"])


def local_response_norm(x: Any, case: Case, inputs: Inputs) -> Any:
    if case.channel_axis != 1:
        return None
    s = case.settings
    axes = ops.constant(np.array([1], dtype=np.int64))
    return ops.lrn(x, axes, alpha=s["alpha"], beta=s["beta"], bias=s["k"], size=s["size"])


OPERATIONS: dict[str, Callable[..., Any]] = {
    "layer_norm": mvn,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "instance_norm": mvn,
    "group_norm": group_norm,
    "local_response_norm": local_response_norm,
}


def _axes(case: Case) -> Any:
    return ops.constant(np.array(case.axes, dtype=np.int64))


def _constants(parameters: Mapping[str, Array], x: Any) -> dict[str, Any]:
    return {name: ops.constant(_tensor(p, x.get_element_type())) for name, p in parameters.items()}


def _like(x: Any, value: float) -> Any:
    return ops.constant(value, dtype=x.get_element_type())


def _tensor(array: Array, element: Any) -> Any:
    """Tensor on the array's own memory."""
    if array.dtype.name == "bfloat16":
        return openvino.Tensor(array.view(np.int16), openvino.Shape(array.shape), element)
    return openvino.Tensor(array, shared_memory=True)
