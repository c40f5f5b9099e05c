"""Convolutions that onnxruntime computes fast."""

from __future__ import annotations

from typing import Any

_BLOCK = 8
"""Channels that onnxruntime's fast convolution takes at a time; of other numbers it takes the slow one."""


def split_uneven(model: Any) -> int:  # noqa: ANN401  onnx_ir is there only where ONNX is written
    """Make two convolutions of each whose input is two maps beside each other, of which one has few channels.

    Their sum is the same up to rounding. The last stage of a decoder with skips sees 16 channels and the image's three:
    together they are none of the numbers that are computed fast, and each for itself is.

    Args:
        model: The ONNX model (``onnx_ir.Model``), changed in place.

    Returns:
        How many were split.
    """
    import onnx_ir as ir

    graph, count = model.graph, 0
    for node in list(graph):
        joined = node.inputs[0].producer() if node.op_type == "Conv" else None
        if joined is None or joined.op_type != "Concat" or len(joined.inputs) != 2:
            continue
        whole = node.inputs[1]
        weight = whole.const_value
        first = joined.inputs[0].shape[1] if joined.inputs[0].shape is not None else None
        if weight is None or not isinstance(first, int) or weight.shape[1] % _BLOCK == 0 or first % _BLOCK:
            continue
        values = weight.numpy()
        parts = {"first": values[:, :first].copy(), "second": values[:, first:].copy()}
        kernels = {}
        for name, part in parts.items():
            kernels[name] = ir.Value(name=f"{whole.name}.{name}", const_value=ir.tensor(part))
            graph.register_initializer(kernels[name])
        attributes = dict(node.attributes)
        small = ir.node("Conv", [joined.inputs[1], kernels["second"]], attributes=attributes)
        large = ir.node("Conv", [joined.inputs[0], kernels["first"], *node.inputs[2:]], attributes=attributes)
        total = ir.node("Add", [small.outputs[0], large.outputs[0]])
        total.outputs[0].shape, total.outputs[0].type = node.outputs[0].shape, node.outputs[0].type
        graph.insert_before(node, [small, large, total])
        ir.convenience.replace_all_uses_with(node.outputs[0], total.outputs[0])
        graph.remove(node, safe=True)
        if not whole.uses():
            del graph.initializers[whole.name]
        if not joined.outputs[0].uses():
            graph.remove(joined, safe=True)
        count += 1
    return count
