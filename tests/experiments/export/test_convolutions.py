"""A convolution over two maps becomes two where that is faster, and says the same."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.export.convolutions import split_uneven

onnx = pytest.importorskip("onnx", reason="onnx is an extra: pip install -e '.[export]'")
ir = pytest.importorskip("onnx_ir", reason="onnx_ir comes with the extra `export`")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is an extra: pip install -e '.[export]'")

TEXT = """
<ir_version: 10, opset_import: ["" : 20]>
decoder (float[1, 8, 6, 7] deep, float[1, {skip}, 6, 7] skip) => (float[1, 4, 6, 7] out)
{{
    both = Concat<axis = 1>(deep, skip)
    stage = Conv<pads = [1, 1, 1, 1]>(both, weight, bias)
    out = Relu(stage)
}}
"""


@pytest.mark.parametrize(("skip", "split"), [(3, 1), (8, 0)])
def test_values_stay(skip: int, split: int) -> None:
    draw = np.random.default_rng(0)
    proto = onnx.parser.parse_model(TEXT.format(skip=skip))
    arrays = {"weight": draw.normal(size=(4, 8 + skip, 3, 3)), "bias": draw.normal(size=4)}
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in arrays.items()
    )
    model = ir.serde.deserialize_model(proto)
    assert split_uneven(model) == split
    changed = ir.serde.serialize_model(model)
    onnx.checker.check_model(changed)
    assert sum(node.op_type == "Conv" for node in changed.graph.node) == 1 + split
    given = {name: draw.normal(size=(1, n, 6, 7)).astype(np.float32) for name, n in (("deep", 8), ("skip", skip))}
    before, after = (onnxruntime.InferenceSession(one.SerializeToString()) for one in (proto, changed))
    assert np.allclose(before.run(None, given)[0], after.run(None, given)[0], atol=1e-5)
    assert len(changed.graph.initializer) == 2 + split
