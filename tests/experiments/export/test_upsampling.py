"""Enlargements by a whole factor in an exported graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.export.upsampling import scale_by_factors

onnx = pytest.importorskip("onnx", reason="onnx is an extra: pip install -e '.[export]'")
ir = pytest.importorskip("onnx_ir", reason="onnx_ir comes with the extra `export`")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is an extra: pip install -e '.[export]'")


def resizing(size: tuple[int, int]) -> Any:  # noqa: ANN401
    """A graph that scales maps (B, 2, 4, 5) to a size, as PyTorch's exporter writes it: B is read when it runs."""
    text = f"""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[B, 2, 4, 5] x) => (float[B, 2, {size[0]}, {size[1]}] y)
        <int64[2] sides = {{{size[0]}, {size[1]}}}>
        {{
            count = Shape <start: int = 0, end: int = 2> (x)
            whole = Concat <axis: int = 0> (count, sides)
            y = Resize <mode: string = "linear", coordinate_transformation_mode: string = "half_pixel"> (x, , , whole)
        }}
    """
    return onnx.parser.parse_model(text)


def run(model: Any, maps: np.ndarray) -> np.ndarray:  # noqa: ANN401
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"x": maps})[0]
    return found


@pytest.mark.parametrize(("size", "changed"), [((8, 15), 1), ((4, 5), 1), ((9, 10), 0), ((2, 5), 0)])
@pytest.mark.parametrize("count", [1, 3])
def test_the_factor_stands_for_the_size_and_the_values_stay(size: tuple[int, int], changed: int, count: int) -> None:
    maps = np.random.default_rng(0).random((count, 2, 4, 5), dtype=np.float32)
    model = ir.from_proto(resizing(size))
    assert scale_by_factors(model) == changed
    after = ir.to_proto(model)
    resize = next(node for node in after.graph.node if node.op_type == "Resize")
    assert len(resize.input) == (3 if changed else 4)
    np.testing.assert_allclose(run(after, maps), run(resizing(size), maps), atol=1e-6)
