"""The evaluation of a run: the test loop, and the record of what made its numbers."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from backdrop.errors import RunError, warn
from backdrop.files import sha256
from callbacks import MaskImages, MaskMetrics
from datamodules import FramesDataModule
from datamodules.clips.splits import SPLITS, Split
from experiments.results.chosen import FRAMES, draw_chosen, write_frames
from experiments.results.combined import keep_frames
from experiments.results.official import ProtocolName, official, official_size
from experiments.results.record import RESULTS, MadeBy, Part, Results, Settings
from experiments.results.timing import time_inference
from experiments.runs import provenance
from experiments.runs.folder import StageFolder, load_checkpoint
from experiments.runs.restore import build_data, load_data, load_model, segment_folder
from experiments.runs.settings import DECIDING
from experiments.runs.trainers import measuring_trainer

TRAINED_BY = ("commits", "command", "inpainter_commits", "inpainter_command")
BEST = "that threshold (best_*) is chosen with the test labels"
LABELS_USED = f"none in training; {BEST}"
TUNED = "; the small profile's settings were tuned with labels of the demo's validation clips"
TUNED_SUBJECTS = "; how several subjects are told apart was chosen with labels of the demo's validation clips"
TUNED_PLATES = " and, against plates, tried on eight DAVIS-2016 clips with their labels"
TUNED_TARGETS = " and, on targets, tried on 21 DAVIS-2016 clips and nine others with their labels"


_OTHER_CLIPS = {"root", "clips", "train_clips", "val_clips", "test_clips"}
"""Arguments of a data module that choose clips: where an evaluation changes one, the splits are those of now."""


class NothingToScore(RunError):
    """The test clips have no annotation; pictures of them are drawn all the same."""


@dataclass(frozen=True)
class Variant:
    """How an evaluation differs from the training and the default.

    Attributes:
        part: Of clips of which the end was held out from training, that end, or what was trained on.
        subjects: Most subjects to find in a frame.
        data_settings: Arguments of the data module that differ from those of the training.
        protocol: See :data:`experiments.results.official.ProtocolName`.
    """

    part: Part = "held_out"
    subjects: int = 1
    data_settings: Mapping[str, Any] = field(default_factory=dict)
    protocol: ProtocolName = "usual"

    @property
    def name(self) -> str:
        """The same as a part of a file's name, but for the part of the clips; empty where nothing differs."""
        named: dict[str, Any] = {"protocol": self.protocol} if self.protocol != "usual" else {}
        named |= {**({"subjects": self.subjects} if self.subjects > 1 else {}), **self.data_settings}
        return re.sub(r"[^\w.-]+", "-", "_".join(f"{name}-{value}" for name, value in named.items()))

    def file(self, run: Path) -> Path:
        """Where the numbers are written: ``results.json``, ``results_subjects-2_figures-2.json``, ..."""
        path = run / RESULTS[self.part]
        return path.with_stem(f"{path.stem}_{self.name}") if self.name else path

    def images(self, folder: StageFolder) -> Path:
        """Where the pictures are drawn."""
        return folder.images / self.name

    def config(self, trained: Mapping[str, Any]) -> dict[str, Any]:
        """The config of a training, with what differs.

        Args:
            trained: The saved config.

        Raises:
            RunError: If the part that was trained on is asked for, and nothing was held out.
        """
        data = trained.get("data") or {}
        arguments = data.get("init_args") or {}
        if self.part != "held_out":
            if not arguments.get("held_out"):
                raise RunError("Nothing was held out when this run was trained: leave --part out.")
            arguments = {**arguments, "evaluated_part": self.part}
        return {**trained, "data": {**data, "init_args": {**arguments, **self.data_settings}}}


def evaluate(
    run: Path, command: str, variant: Variant = Variant(), checkpoint: Literal["last", "best"] = "last"
) -> Results:
    """Run the test loop on one device and write ``RUN/results.json``, see :meth:`Variant.file`.

    Beside it go ``frames.csv`` with the measures of each frame, and ``test_frames.png`` among the stage's pictures with
    the best, the median and the worst frames.

    Args:
        run: The run folder.
        command: What the user typed, for the record.
        variant: How it differs from the training and the default.
        checkpoint: ``last`` or ``best`` (smallest validation loss, a quantity without labels).

    Returns:
        What was written.

    Raises:
        NothingToScore: If its test split has no annotation; the pictures are drawn before.
        RunError: If the run is not complete.
    """
    folder = segment_folder(run)
    trained = folder.config()
    _warn_of_another_inpainter(run, folder, trained)
    config = variant.config(trained)
    images = variant.images(folder)
    pl.seed_everything(int(config.get("seed_everything") or 0), workers=True, verbose=False)
    model = load_model(folder, checkpoint, variant.subjects)
    data = build_data(config) if variant.data_settings else load_data(config)  # what is set is refused as such
    if variant.protocol == "davis":
        config = _at_own_size(config, data)
        data = load_data(config)
    kept = folder.clips()
    if kept is not None and isinstance(data, FramesDataModule) and not _OTHER_CLIPS & set(variant.data_settings):
        data.keep_splits(kept)
    metrics = MaskMetrics()
    trainer = measuring_trainer([metrics, MaskImages(directory=str(images))], folder.path, progress=True)
    trainer.test(model, datamodule=data, verbose=False)
    if not metrics.results:
        raise NothingToScore(
            f"The test clips of {run} have no masks or boxes: nothing to score; pictures of them are in "
            f"{images / 'test_sheet.png'}.{_annotated_elsewhere(data, kept)}"
        )
    seconds: dict[str, Any] = {}
    if isinstance(data, FramesDataModule) and not variant.name:
        seconds = time_inference(model.to(trainer.strategy.root_device), data) | {"timed_on": str(model.device)}
        model.cpu()
    settings = _settings(folder, config, checkpoint)
    settings |= {
        "subjects": variant.subjects,
        "transductive": data.transductive if isinstance(data, FramesDataModule) else None,
        "threshold": metrics.threshold,
        "thresholds": metrics.test.levels,
        "protocol": variant.protocol if variant.protocol != "usual" else None,
    }
    trust = folder.trust()
    made_by = MadeBy(
        setting=(config.get("run") or {}).get("setting"),
        command=command,
        **provenance.commit(),  # of the evaluation
        trained_by={name: (config.get("run") or {}).get(name) for name in TRAINED_BY},
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seed=config.get("seed_everything"),
        settings=Settings(**settings),
        versions=provenance.versions(),
        labels_used=LABELS_USED + _features(trust) + _tuned(config) + (TUNED_SUBJECTS if variant.subjects > 1 else ""),
        cues_agree=trust[0] if trust else None,
        target_features=trust[1] if trust else None,
        **seconds,
    )
    results = Results.of(official(metrics) if variant.protocol == "davis" else metrics.results, made_by)
    if not variant.name:  # of the variants of a run there are but the numbers and the sheet
        frames = metrics.test.frames()
        draw_chosen(model, data, frames, images / "test_frames.png")
        write_frames(run / FRAMES[variant.part], frames)
    if variant == Variant():
        keep_frames(run, metrics)
    results.write(variant.file(run))
    return results


def _at_own_size(config: Mapping[str, Any], data: pl.LightningDataModule) -> dict[str, Any]:
    """A config that scores at the size of the annotation, while the networks see what they were trained on."""
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} is no FramesDataModule: the protocol of DAVIS knows those only.")
    size = official_size(data)
    scale = data.working_size[0] / size[0]
    if tuple(max(1, round(side * scale)) for side in size) != data.working_size:
        raise RunError(
            f"The clips are {size[1]}x{size[0]}, and the networks were trained on {data.working_size[1]}x"
            f"{data.working_size[0]}, which is another shape: train with image_size of the clips' shape."
        )
    arguments = {**config["data"]["init_args"], "image_size": list(size), "scale": scale}
    return {**config, "data": {**config["data"], "init_args": arguments}}


def _annotated_elsewhere(data: pl.LightningDataModule, kept: Mapping[Split, Sequence[str]] | None) -> str:
    """What to do where clips that trained are annotated now, and those to be tested are not."""
    if kept is None or not isinstance(data, FramesDataModule):
        return ""
    names = [clip.name for split in SPLITS for clip in data.listed_clips(split) if clip.annotated]
    listed = json.dumps(list(dict.fromkeys(names)))
    return f" Other clips of the training have some: --set 'clips={listed}' scores them." if names else ""


def _warn_of_another_inpainter(run: Path, folder: StageFolder, config: Mapping[str, Any]) -> None:
    """Say so where stage 1 of the run is no longer what stage 2 was trained over."""
    inpainter, known = StageFolder(run / "inpaint").last, (config.get("run") or {}).get("inpainter_sha256")
    given = ((config.get("model") or {}).get("init_args") or {}).get("inpainter_ckpt")
    its_own = given is None or (Path(given).name == inpainter.name and Path(given).parent.parent.name == "inpaint")
    if known is not None and its_own and inpainter.is_file() and sha256(inpainter) != known:
        stage1 = inpainter.parent.parent
        warn(
            f"{stage1} and {folder.path} no longer belong together: the inpainter was trained further, or replaced, "
            f"since; {folder.path.name} holds its own, so the numbers are those of the older one."
        )


def _settings(folder: StageFolder, config: Mapping[str, Any], checkpoint: str) -> dict[str, Any]:
    """The settings of a training, as they stand beside its numbers."""
    path = folder.checkpoints / f"{checkpoint}.ckpt"
    data, run = config.get("data") or {}, config.get("run") or {}
    model, trainer = (config.get("model") or {}).get("init_args") or {}, config.get("trainer") or {}
    return {
        "data": run.get("data"),
        "profile": run.get("profile"),
        "scale": (data.get("init_args") or {}).get("scale"),
        "mode": mode(model) if model else None,
        "data_settings": data,
        "model_settings": {name: value for name, value in model.items() if name != "inpainter_ckpt"},
        "checkpoint": str(path),
        "checkpoint_sha256": sha256(path),
        "steps": load_checkpoint(path)["global_step"],
        "inpainter_steps": run.get("inpainter_steps"),
        "trainer_settings": {name: trainer.get(name) for name in DECIDING if name != "precision"},
        "training_precision": trainer.get("precision"),
        "evaluation_precision": "32-true",
    }


def mode(model: Mapping[str, Any]) -> str:
    """Which part of Fig. 3 the settings of a model are: ``separate`` is the method (e)."""
    if (model.get("detector") or {}).get("direct"):
        return "direct_regression"
    if "foreground" in model and model["foreground"] is None:
        return "background_only"
    return "joint" if (model.get("foreground") or {}).get("reaches_p") else "separate"


def _features(trust: tuple[float, str] | None) -> str:
    """The labels that the features of the targets have seen, in words."""
    seen = trust is not None and trust[1] not in ("none", "footage")
    return f"; the targets' features are of {trust[1]}, trained on the labels of ImageNet" if trust and seen else ""


def _tuned(config: Mapping[str, Any]) -> str:
    """What labels the settings of a config were tuned with, in words."""
    if (config.get("run") or {}).get("profile") != "small":
        return ""
    data = (config.get("data") or {}).get("init_args") or {}
    return TUNED + (TUNED_PLATES if data.get("plates") else "") + (TUNED_TARGETS if data.get("targets") else "")
