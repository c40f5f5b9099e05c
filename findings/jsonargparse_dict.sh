#!/usr/bin/env bash
# jsonargparse 4.53.0
#
# Behaviour: two config files set a dictionary of dataclasses. The later one replaces the dictionary: keys that it does not
# name are gone. But of a key that both name the fields are merged: what the later file does not set is kept from the
# earlier. So the later file neither adds to the dictionary nor replaces it, without a message.
# Expected: either the keys of both files, as for a dataclass, or the dictionary of the later file as it stands there.
# Related reports upstream: mauvilsa/jsonargparse issues 236 and 387.
#
# Output seen (first.yaml names box and mask, each with level 0.1; second.yaml names mask with weight 7 alone):
#   one:   Prior(weight=7.0, level=0.1)
#   named: {'mask': Prior(weight=7.0, level=0.1)}
# `box` is gone, and `mask` has the level of the first file; the default is 0.5.
#
# Backdrop therefore has one named argument for each prior (mask_prior, box_prior, ...), and no dictionary of priors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'jsonargparse[signatures]==4.53.0'

cat > "$folder/first.yaml" <<'YAML'
model:
  one: {weight: 2.0, level: 0.1}
  named:
    box: {weight: 2.0, level: 0.1}
    mask: {weight: 3.0, level: 0.1}
YAML
cat > "$folder/second.yaml" <<'YAML'
model:
  one: {weight: 7.0}
  named:
    mask: {weight: 7.0}
YAML
cat > "$folder/show.py" <<'PYTHON'
import sys
from dataclasses import dataclass

from jsonargparse import ActionConfigFile, ArgumentParser


@dataclass
class Prior:
    weight: float = 1.0
    level: float = 0.5


class Model:
    def __init__(self, one: Prior = Prior(), named: dict[str, Prior] | None = None) -> None:
        self.one, self.named = one, named


parser = ArgumentParser()
parser.add_argument("--config", action=ActionConfigFile)
parser.add_class_arguments(Model, "model")
model = parser.instantiate(parser.parse_args(sys.argv[1:])).model
print("one:  ", model.one)
print("named:", model.named)
assert model.one == Prior(7.0, 0.1), "changed: dataclasses are no longer merged"
assert model.named == {"mask": Prior(7.0, 0.1)}, "changed: keys are no longer dropped, or fields no longer merged"
PYTHON
"$folder/venv/bin/python" "$folder/show.py" --config "$folder/first.yaml" --config "$folder/second.yaml"
