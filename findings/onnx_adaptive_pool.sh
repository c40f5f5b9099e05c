#!/usr/bin/env bash
# torch 2.14.1, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0, numpy 2.4.6, CPU.
#
# Behaviour: a network with `nn.AdaptiveAvgPool2d`, exported by `torch.onnx.export` with a dynamic height and width, computes
# other numbers at any size but that of the example: without an error or a warning, in export or in use. How wide the
# windows are at most is taken from the example, while where they begin follows the image. So the mean over windows of an
# image that is 1 everywhere is 0.44, and at other sizes the result has even another shape. The program of
# `torch.export.export`, from which the file is made, is right at all sizes. Pyramid pooling (PSPNet) and
# `F.interpolate(mode="area")` pool like this.
# Expected: the mean of each window, as the dynamic dimensions of the file promise, or a refusal to export it.
# Reported upstream: that it could not be exported at all (pytorch/pytorch issues 42653 and 120477); these numbers, not found.
#
# Output seen (exported at 16x16, six by six windows; of an image of ones):
#   16x16: mean of torch 1.00, torch.export 1.00, ONNX 1.00
#   24x24: mean of torch 1.00, torch.export 1.00, ONNX 1.00
#   32x32: mean of torch 1.00, torch.export 1.00, ONNX 0.44
#   64x64: mean of torch 1.00, torch.export 1.00, ONNX 0.12
#   exported at 30x30, at 35x35: torch gives 6x6, ONNX 7x7
#
# Backdrop's networks do not pool like this, and `backdrop export` compares the file with the run before it keeps it.
#
# torch comes with CUDA's libraries, several GB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6

cat > "$folder/show.py" <<'PYTHON'
import contextlib
import io

import onnxruntime
import torch
from torch import nn

POOL = nn.AdaptiveAvgPool2d(6).eval()


def exported(size: int) -> tuple[nn.Module, onnxruntime.InferenceSession]:
    side = torch.export.Dim.DYNAMIC
    program = torch.export.export(POOL, (torch.rand(1, 1, size, size),), dynamic_shapes=({2: side, 3: side},))
    with contextlib.redirect_stdout(io.StringIO()):  # its progress
        torch.onnx.export(program, dynamo=True).save("pool.onnx")
    return program.module(), onnxruntime.InferenceSession("pool.onnx")


def pooled(session: onnxruntime.InferenceSession, image: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: image.numpy()})[0])


program, session = exported(16)
sides = session.get_inputs()[0].shape[2:]
assert all(isinstance(side, str) for side in sides), "height and width should be dynamic"
seen = {}
for size in (16, 24, 32, 64):
    ones = torch.ones(1, 1, size, size)
    seen[size] = POOL(ones).mean(), program(ones).mean(), pooled(session, ones).mean()
    print(f"{size}x{size}: mean of torch %.2f, torch.export %.2f, ONNX %.2f" % seen[size])
_, session = exported(30)
shapes = [tuple(result.shape[2:]) for result in (POOL(torch.ones(1, 1, 35, 35)), pooled(session, torch.ones(1, 1, 35, 35)))]
print("exported at 30x30, at 35x35: torch gives %dx%d, ONNX %dx%d" % (*shapes[0], *shapes[1]))
assert all(abs(mean - 1) < 1e-5 for means in seen.values() for mean in means[:2]), "torch should be right"
assert abs(seen[16][2] - 1) < 1e-5, "the size of the example should be right"
assert seen[32][2] < 0.5 and shapes == [(6, 6), (7, 7)], "changed: the file is right at other sizes"
PYTHON
cd "$folder" && venv/bin/python show.py
