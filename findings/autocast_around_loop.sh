#!/usr/bin/env bash
# torch 2.13.0 (2.14.1 behaves alike), CPU, bfloat16; numpy is not needed.
#
# Behaviour: torch.autocast keeps the low-precision copies of the weights until its outermost context is left. A training
# loop inside one context therefore computes every step with the weights of the first: no error, no warning, and a loss
# that is the same to the last digit for ever, while the optimiser changes weights that no step reads.
# Expected: the same training as with a context for each step, or an error. The documentation advises to wrap the forward
# pass only, and does not say that the other use trains nothing.
#
# Output seen (loss of the first and of the last of 100 steps):
#   a context for each step: 8.67951 0.01162
#   one context for all:     8.67951 8.67951
#
# Backdrop leaves autocast to Lightning, which enters it for each step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0

cat > "$folder/show.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")  # numpy is not installed
import contextlib

import torch
from torch import nn


def train(each_step: bool) -> tuple[float, float]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    x = torch.randn(64, 8)
    y = x.sum(1, keepdim=True)
    losses = []
    cast = lambda on: torch.autocast("cpu", dtype=torch.bfloat16) if on else contextlib.nullcontext()
    with cast(not each_step):
        for _ in range(100):
            with cast(each_step):
                loss = (net(x).float() - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses[0], losses[-1]


inner, outer = train(True), train(False)
print("torch", torch.__version__)
print("a context for each step: %.5f %.5f" % inner)
print("one context for all:     %.5f %.5f" % outer)
assert inner[1] < 0.1 * inner[0], "training with a context for each step should learn"
assert outer[0] == outer[1], "changed: a loop inside one context now learns"
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
