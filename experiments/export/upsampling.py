"""Enlargements that onnxruntime computes fast."""

from __future__ import annotations

from typing import Any

import numpy as np


def scale_by_factors(model: Any) -> int:  # noqa: ANN401  onnx_ir is there only where ONNX is written
    """Name the factor of each map that is enlarged by a whole one; the exporter names the size, which varies with B.

    Where the factor is a constant, onnxruntime keeps the map in the order of its fast convolutions.

    Args:
        model: The ONNX model (``onnx_ir.Model``), changed in place.

    Returns:
        How many were changed.
    """
    import onnx_ir as ir

    graph, count = model.graph, 0
    for node in graph:
        if node.op_type != "Resize" or node.inputs[0].shape is None or node.outputs[0].shape is None:
            continue
        before, after = (list(value.shape)[2:] for value in (node.inputs[0], node.outputs[0]))
        if not all(isinstance(side, int) for side in (*before, *after)):
            continue
        factors = [large / small for small, large in zip(before, after, strict=True)]
        if any(factor % 1 for factor in factors):
            continue
        value = ir.Value(name=f"{node.name}.factors", const_value=ir.tensor(np.array([1, 1, *factors], np.float32)))
        graph.register_initializer(value)
        node.resize_inputs(3)  # without the size
        node.replace_input_with(2, value)
        count += 1
    return count
