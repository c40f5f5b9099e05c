"""The model card of an exported file, Markdown with the front matter of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from backdrop.documents import read_json
from backdrop.errors import RunError
from experiments.export.comparison import Differences
from experiments.export.description import INPUT, OUTPUTS, Description
from experiments.runs import provenance
from experiments.runs.folder import StageFolder

MEASURES = {
    "j_mean": "J (mean intersection over union)",
    "f_measure": "F-measure of the pixels",
    "boundary_f": "boundary F",
    "hit_rate": "hit rate of the box (IoU at least 0.5)",
}
_FAILURES = (
    "There is one subject: of several, one is found, or one box around all of them.",
    "Footage of another kind than that of the training: another subject, scene, camera, light or size of the subject.",
    "Spray, foam, smoke and shadows that move with the subject may count as subject.",
    "Thin parts (legs, wheels, ropes) are thinner than what the networks see at the working size.",
    "Subjects that are hidden in part, or are the smaller part of what moves.",
)
_TAG = "backdrop"
_BACKDROP = "PATH_TO_BACKDROP  # a clone of its repository, or its wheel"
_LOADING = {
    ".onnx": (
        f"pip install onnxruntime av numpy\npip install --no-deps {_BACKDROP}",
        'import backdrop\n\nmodel = backdrop.load("{file}")\nresult = model(array)  # RGB, uint8 (H, W, 3), or a path\n'
        "result.found, result.score, result.box, result.mask",
    ),
    ".pt2": (
        "pip install torch",
        'import torch\n\nmodel = torch.export.load("{file}").module()\n{outputs} = model(image)  # uint8 (B, H, W, 3)',
    ),
    ".ckpt": (
        f"pip install {_BACKDROP}",
        'import backdrop\n\nmodel = backdrop.load("{file}")\nresult = model("frame.jpg")',
    ),
}


def is_card(file: Path) -> bool:
    """Whether a file is a model card of an exported file, and may be replaced by another.

    Args:
        file: Any file.
    """
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    front = text.split("\n---\n")[0].split("\n")
    return front[0] == "---" and f"- {_TAG}" in front


def card(
    folder: StageFolder, run: Path, file: Path, description: Description, compared: tuple[Differences, str]
) -> str:
    """Write what somebody must know who gets the file.

    Args:
        folder: The stage of the run.
        run: The run folder.
        file: The exported file.
        description: What it says of itself.
        compared: How it differs from PyTorch, and on which frames.

    Returns:
        The text.

    Raises:
        RunError: If a file of the run is damaged.
    """
    front = {
        "license": description.licence,
        "pipeline_tag": "image-segmentation",
        "library_name": "onnx" if file.suffix == ".onnx" else "pytorch",
        "tags": ["video-object-segmentation", "self-supervised", _TAG],
    }
    install, code = _LOADING.get(file.suffix, _LOADING[".ckpt"])
    entries = description.entries()
    sections = {
        f"Backdrop: {description.name}": [
            f"A detector and a segmenter that find {description.name} in an image and cut it out: a box, a soft mask "
            "and a confidence. They were trained on video without labels, by Backdrop.",
        ],
        "How to load it": [f"```bash\n{install}\n```", _python(code, file.name, description.outputs)],
        "Input and output": [_listed([INPUT, *(OUTPUTS[name] for name in description.outputs)])],
        "Intended use": [
            f"Finding {description.name} in footage like that of the training: the same subject or kind of subject, "
            "and scenes like those. It answers for every frame; "
            + (
                "a score below 0.5 says that there is no subject."
                if "score" in description.outputs
                else "nothing in it says that there is no subject."
            )
        ],
        "Data": [_listed(_data(folder, description))],
        "Figures": _figures(folder, run, description.steps),
        "When it fails": [_listed(_FAILURES)],
        "Licence": [
            _listed(
                [
                    f"weights: {description.licence}",
                    f"footage of the training: {description.data_licence}",
                    "Backdrop, the program: Apache-2.0",
                ]
            )
        ],
        "Made by": [_table(("", ""), [(name, entries[name]) for name in _MADE_BY] + _versions(compared))],
    }
    title, *heads = sections
    written = ["\n\n".join([f"{'#' if head == title else '##'} {head}", *sections[head]]) for head in (title, *heads)]
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n" + "\n\n".join(written) + "\n"


_MADE_BY = ("run", "steps", "working_size", "threshold", "trained_by", "version", "commit")


def _python(code: str, file: str, outputs: Iterable[str]) -> str:
    return f"```python\n{code.format(file=file, outputs=', '.join(outputs))}\n```"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _data(folder: StageFolder, description: Description) -> list[str]:
    """The footage, by the names of its clips."""
    clips = folder.clips() or {}
    used = {split: ", ".join(names) for split, names in clips.items() if names}
    lines = [f"data set: {description.data}"]
    lines += [f"clips for {split}: {names}" for split, names in used.items()]
    shared = set(clips.get("train", [])) & set(clips.get("test", []))
    return lines + (["the clips that it was tested on were trained on too, without their masks"] if shared else [])


def _figures(folder: StageFolder, run: Path, steps: int) -> list[str]:
    """What was measured of the run, with and without labels; figures of a checkpoint of other steps are none of it."""
    parts = []
    if trust := folder.trust():
        parts.append(
            f"Without labels: the cues agree in {trust[0]:.0%} of the training's frames (features: {trust[1]}). Where "
            "that share is low, the masks are not to be trusted."
        )
    results = _results(run)
    settings = (results.get("made_by") or {}).get("settings") or {}
    if results and settings.get("steps") == steps:
        rows = [(words, f"{results[name]:.3f}") for name, words in MEASURES.items() if results.get(name) is not None]
        how = f"over {results.get('masks')} masks, at a threshold of {settings.get('threshold')}"
        parts += [f"With labels, {how}:", _table(("measure", "value"), rows)]
    elif results:
        parts.append(f"With labels another checkpoint was measured (steps {settings.get('steps')}), not this one.")
    return parts or ["Nothing was measured: `backdrop evaluate` does, on footage with masks."]


def _results(run: Path) -> dict[str, Any]:
    """The figures of ``backdrop evaluate``; empty where there are none.

    Raises:
        RunError: If their file is damaged.
    """
    file = run / "results.json"
    if not file.is_file():
        return {}
    try:
        found = read_json(file)
    except ValueError as error:
        raise RunError(f"{file} is damaged: give the command of the evaluation again.") from error
    return dict(found) if isinstance(found, Mapping) else {}


def _versions(compared: tuple[Differences, str]) -> list[tuple[str, str]]:
    """The libraries, and how near the file is to PyTorch."""
    names = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime")
    libraries = ", ".join(f"{name} {number}" for name, number in provenance.versions_of(names).items())
    differences, frames = compared
    largest = f"{differences}, on {differences.frames} {frames}"
    return [("libraries", libraries), ("largest difference from PyTorch", largest)]
