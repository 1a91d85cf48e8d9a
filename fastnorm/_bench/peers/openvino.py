"""OpenVINO: a compiled model of MVN or the RMS expression, which its CPU plugin fuses.

An inference request keeps its output tensor, so that both modes reuse their result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnorm._bench.cases import Array, Case, Inputs, align
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
    axes = ops.constant(np.array(case.axes, dtype=np.int64))
    parameters = {
        name: ops.constant(_tensor(align(p, case.axes, len(case.shape)), element))
        for name, p in inputs.parameters.items()
    }
    y = affine(OPERATIONS[case.function](x, axes, case.settings["eps"]), **parameters)
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


def layer_norm(x: Any, axes: Any, eps: float) -> Any:
    return ops.mvn(x, axes, normalize_variance=True, eps=eps, eps_mode="INSIDE_SQRT")


def rms_norm(x: Any, axes: Any, eps: float) -> Any:
    mean_square = ops.reduce_mean(ops.power(x, _like(x, 2.0)), axes, keep_dims=True)
    return ops.divide(x, ops.sqrt(ops.add(mean_square, _like(x, eps))))


OPERATIONS: dict[str, Callable[..., Any]] = {"layer_norm": layer_norm, "rms_norm": rms_norm}


def _like(x: Any, value: float) -> Any:
    return ops.constant(value, dtype=x.get_element_type())


def _tensor(array: Array, element: Any) -> Any:
    """Tensor on the array's own memory."""
    if array.dtype.name == "bfloat16":
        return openvino.Tensor(array.view(np.int16), openvino.Shape(array.shape), element)
    return openvino.Tensor(array, shared_memory=True)
