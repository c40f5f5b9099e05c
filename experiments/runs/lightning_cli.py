"""Lightning's command line with run folders: ``fit``, ``validate`` and ``test``."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import Namespace
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException

import callbacks  # noqa: F401  (importing makes the short class names known)
import lightning_modules  # noqa: F401
from backdrop.errors import NothingToDo, RunError, Terminated, one_line, warn
from backdrop.files import absent, remove_empty, sha256, write_text
from backdrop.locks import sole
from backdrop.program import fit_option, program
from backdrop.settings import import_class
from datamodules import FramesDataModule, load_all
from experiments.calibration.calibrate import NotCalibrated, calibrate
from experiments.runs import provenance
from experiments.runs.composition import CUES, HELP, compose
from experiments.runs.encoder_file import NAME as ENCODER
from experiments.runs.folder import (
    INPAINTER_CHANGED,
    Progress,
    StageFolder,
    differences,
    require_whole,
)
from experiments.runs.loggers import InpainterArtifact, build_loggers, finish_wandb, new_run_id
from experiments.runs.precision import BF16, CHOSEN, FLOAT32, OPTION, agreed, slow_bf16
from experiments.runs.progress_bar import progress_bar
from experiments.runs.restore import build_data
from experiments.runs.settings import RunSettings
from experiments.runs.slurm import own_environment
from experiments.runs.splits_record import SplitsRecord
from experiments.runs.suggestions import suggested
from experiments.runs.threads import keep_threads
from lightning_modules import SegmentationModule
from lightning_modules.building import try_out

load_all()  # for the short class names


class SaveStageConfig(SaveConfigCallback):
    """Save the merged config as ``config_<fit|validate|test>.yaml`` in the stage's folder and in the loggers."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config, save_to_log_dir=False)

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write the file; called on rank zero only."""
        text = self.parser.dump(self.config, skip_none=False)
        assert trainer.state.fn is not None
        write_text(Path(trainer.default_root_dir) / f"config_{trainer.state.fn.value}.yaml", text)
        for logger in trainer.loggers:
            logger.log_hyperparams({"cli": yaml.safe_load(text)})


class ExperimentCLI(LightningCLI):
    """LightningCLI with run folders: finished stages are skipped, interrupted ones resumed, others left alone."""

    resumed: Progress | None = None
    resumable = False
    command = ""
    words: Sequence[str] = ()

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's subcommands but for ``predict``, which is a command of its own here."""
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name != "predict"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Run all of the command; what must be undone at its end is noted in ``at_end``."""
        with ExitStack() as self.at_end:
            super().__init__(*args, **kwargs)

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:  # noqa: ANN401
        """A parser that raises instead of printing its usage and leaving."""
        return super().init_parser(**{"exit_on_error": False, **kwargs, "description": HELP})

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Understand the command line, of which shipped configs need not be full paths; keep it as it was given."""
        assert isinstance(args, list)
        self.command = shlex.join([*program().split(), *args])
        self.words = args
        super().parse_arguments(parser, [*args[:1], *compose(args[1:], trains=True)])

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the names of the run (``--run.…``)."""
        parser.add_class_arguments(RunSettings, "run")

    def _parse_ckpt_path(self) -> None:
        """Refuse what is no checkpoint of this model, before Lightning takes its hyperparameters for the model's."""
        config = self.config[self.config.subcommand]
        given, kind = config.get("ckpt_path"), config.model.class_path
        if given and given not in ("best", "last", "hpc"):
            its = require_whole(Path(given)).get("hyper_parameters", {}).get("_class_path", kind)
            if its != kind:
                raise RunError(f"{given} is a checkpoint of {its}, expected one of {kind}.")
        super()._parse_ckpt_path()

    @property
    def stage_config(self) -> Any:  # noqa: ANN401  a Namespace, whose entries are of any type
        """The parsed config of the chosen subcommand."""
        return self.config[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Settle the folder, the loggers' names and the checkpoint to resume from, before anything is built."""
        config = self.stage_config
        self._refuse_wrong_values()
        if config.trainer.default_root_dir is None:
            config.trainer.default_root_dir = f"runs/{config.run.data}/{config.run.stage}"
        self.first = rank_zero_only.rank == 0  # type: ignore[attr-defined]  # of several processes
        self.folder = StageFolder(Path(config.trainer.default_root_dir))
        self._place_outputs()
        if self.subcommand == "fit":
            self.at_end.callback(remove_empty, absent(self.folder.path))
            self._choose_precision()
        if self.subcommand == "fit" and not config.trainer.fast_dev_run:
            self._check_inpainter()
            if self.first and not self.at_end.enter_context(sole(self.folder.path / ".training")):
                raise RunError(
                    f"Another process trains in {self.folder.path}: wait for its end, or choose another run folder."
                )
            self._resume_or_refuse()

    def _refuse_wrong_values(self) -> None:
        """Build what checks its values, before anything is decoded: the data module, and the model without weights."""
        config = self.stage_config.as_dict()
        if config["trainer"] is None:
            raise RunError("trainer is null, expected its settings: leave it out for the defaults.")
        self.described, kind = build_data(config), import_class(config["model"]["class_path"])
        assert kind is not None and issubclass(kind, pl.LightningModule)
        scene = getattr(try_out(kind, config["model"].get("init_args") or {}), "scene", None)
        self.asks_inpainter = bool(getattr(scene, "asks_inpainter", True))
        brings: frozenset[str] = getattr(self.described, "brings", frozenset)()
        lacks = [name for name in getattr(scene, "needs", ()) if name not in brings]
        if self.subcommand == "fit" and lacks:
            what, names = ("targets", CUES) if "target" in lacks else ("background plates", "static or temporal")
            raise RunError(
                f"The scene {type(scene).__name__} needs {what}, which the data do not bring: add --background {names}."
            )

    def _place_outputs(self) -> None:
        """Let callbacks that write files write them into the stage's folder."""
        for callback in self.stage_config.trainer.callbacks or []:
            arguments = callback.get("init_args") or {}
            for name, folder in (("dirpath", self.folder.checkpoints), ("directory", self.folder.images)):
                if name in arguments and arguments[name] is None:
                    arguments[name] = str(folder)

    def _choose_precision(self) -> None:
        """Go on in the precision that a training began with; begin in float32 where bfloat16 is slow, and say so."""
        trainer, given = self.stage_config.trainer, any(word.startswith(OPTION) for word in self.words)
        if trainer.precision != BF16 or given:
            return
        if not self.first and CHOSEN in os.environ:
            trainer.precision = os.environ[CHOSEN]
            return
        trainer.precision = agreed(self._own_precision, trainer.devices, trainer.num_nodes)
        os.environ[CHOSEN] = trainer.precision

    def _own_precision(self) -> str:
        """The precision that this process chooses, see :meth:`_choose_precision`."""
        trainer = self.stage_config.trainer
        begun = (self.folder.config().get("trainer") or {}) if self.folder.config_file.is_file() else {}
        if self.stage_config.ckpt_path is None and begun.get("precision") in (BF16, FLOAT32):
            return str(begun["precision"])
        if not slow_bf16(trainer.accelerator):
            return BF16
        option = f"{OPTION} {BF16}"
        warn(
            f"This processor has no bfloat16 (it would take some 40 times as long as float32): this training "
            f"computes in float32 ({FLOAT32}); `{fit_option(option) or option}` forces bfloat16."
        )
        return FLOAT32

    def _check_inpainter(self) -> None:
        """Stage 2: the stage-1 checkpoint must exist, where it is needed; its check sum goes into the config.

        Where none is named, that of the same run is taken.
        """
        config = self.stage_config
        given = config.model.init_args.get("inpainter_ckpt")
        if config.run.stage != "segment" or (given is None and not self.asks_inpainter):
            return
        usual = StageFolder(self.folder.path.parent / "inpaint")
        if given is None and usual.last.is_file():
            given = config.model.init_args["inpainter_ckpt"] = str(usual.last)
        stage1 = usual if given is None else StageFolder(Path(given).parent.parent)
        made = stage1 if stage1.path.name == "inpaint" else usual  # where a run has it
        command = suggested(["inpaint"], config.as_dict(), made.path.parent)
        pass_it = f"pass --model.init_args.inpainter_ckpt {made.last}, which {command} makes."
        if given is None:
            raise RunError(f"Stage 2 needs the inpainter of stage 1: {pass_it}")
        path = Path(given)
        if not path.is_file():
            how = f"make it with {command}." if path == made.last else pass_it
            raise RunError(f"The inpainter checkpoint {path} is missing: {how}")
        if path.parent == stage1.checkpoints and stage1.config_file.is_file():
            trained = stage1.config()
            made_by = trained.get("run") or {}
            config.run.inpainter_commits = made_by.get("commits") or []
            config.run.inpainter_command = made_by.get("command")
            progress = stage1.progress()
            config.run.inpainter_steps = progress.step if progress else None
            if path == stage1.last and progress and stage1.unfinished():
                again = suggested(["inpaint"], trained, made.path.parent)
                warn(
                    f"the inpainter {path} stopped at step {progress.step}, before its end; "
                    f"{again if stage1 == made else 'the command that began it'} goes on with it."
                )
            own, its = _scale(config.as_dict()), _scale(trained)
            if self.asks_inpainter and own != its:
                warn(
                    f"the inpainter {path} was trained at scale {its}, as for another background, and this stage asks "
                    f"it at scale {own}: train it anew with the background of this stage."
                )
        config.run.inpainter_sha256 = sha256(path)

    def _resume_or_refuse(self) -> None:
        """Go on with an interrupted training of the same settings; refuse to overwrite one of other settings."""
        config = self.stage_config
        config.run.commits = provenance.trained_by([])
        config.run.command = self.command
        config.run.threads = torch.get_num_threads()
        if config.ckpt_path is not None:
            return
        self.resumable = True
        if self.first and (mended := self.folder.mend()) is not None:
            warn(mended)
        progress = self.folder.progress()
        if progress is None:
            config.run.id = config.run.id or new_run_id()
            return
        old = self.folder.require_this_version()
        new = yaml.safe_load(self._parser(self.subcommand).dump(config, skip_none=False))
        changed = differences(old, new)
        if changed == [INPAINTER_CHANGED]:
            now, path = config.model.init_args.get("inpainter_ckpt"), self.folder.path
            what = f"The inpainter {now} was trained further, or replaced, since {path} was trained over it"
            if now is None:
                what = f"{path} was begun over an inpainter, which such a training goes without now"
            raise RunError(f"{what}: stage 2 must start anew: delete {path}.")
        if changed:
            raise RunError(
                f"{self.folder.path} holds a run with other settings ({'; '.join(changed[:3])}"
                f"{f'; {len(changed) - 3} more' if len(changed) > 3 else ''}): "
                "choose another run folder, or delete that one."
            )
        if progress.reached(new["trainer"]):
            path, lacks = self.folder.path, ""  # it was stopped just then
            if config.run.stage == "segment" and not self.folder.score_file.is_file():
                lacks = f" It has no score: {program()} calibrate {path.parent} makes it, or says why there is none."
            elif config.run.stage == "encoder" and not (self.folder.checkpoints / ENCODER).is_file():
                lacks = f" {ENCODER} was not written: stage 2 takes {self.folder.last} in its place."
            raise NothingToDo(f"{path} is finished ({progress.step} steps): nothing to do.{lacks}")
        run = old.get("run") or {}
        config.run.id = run.get("id") or new_run_id()
        config.run.commits = provenance.trained_by(run.get("commits") or [])
        config.run.threads = keep_threads(run.get("threads"))
        config.ckpt_path = str(self.folder.last)
        self.resumed = progress

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:  # noqa: ANN401
        """The trainer with our loggers and progress bar, unless the config names others."""
        config = self._get(self.config_init, "trainer")
        extra: list[pl.Callback] = []
        if config.get("enable_progress_bar") is not False:
            extra.append(progress_bar())
        if config.get("plugins") is None and (alone := own_environment(config.devices, config.num_nodes)) is not None:
            kwargs["plugins"] = [alone]
        if config.get("logger") in (None, True):
            kwargs["logger"] = self._loggers()
        if self.subcommand == "fit":
            extra += [self._artifact(), SplitsRecord(self.folder)]
        self.trainer_defaults["callbacks"] = extra
        return super().instantiate_trainer(**kwargs)

    def _loggers(self) -> list[Logger] | bool:
        """CSV and W&B while training; no logger for a single validation or test, whose numbers are printed."""
        if self.subcommand != "fit":
            return False
        if self.stage_config.trainer.fast_dev_run:
            return [CSVLogger(self.folder.path)]  # Lightning puts a dummy in its place, which satisfies the callbacks
        step, due = (self.resumed.step, self.resumed.validation_due) if self.resumed is not None else (None, False)
        run = self._get(self.config_init, "run")
        return build_loggers(self.folder.path, run, resume_step=step, validation_due=due)

    def _artifact(self) -> InpainterArtifact:
        """The callback that ties the two stages together in W&B."""
        config = self.stage_config
        name = f"inpainter-{config.run.data}"
        if config.run.stage == "inpaint":
            self.artifact = InpainterArtifact(name, made=self.folder.last)
        else:
            given = config.model.init_args.get("inpainter_ckpt")
            self.artifact = InpainterArtifact(name, used=Path(given) if given else None)
        return self.artifact

    def fit(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Train, and say at the start and at the end where things are."""
        run, limits = self.stage_config.run, self.stage_config.trainer
        begin = f", resumed at step {self.resumed.step}" if self.resumed is not None else ""
        goal = f"{limits.max_steps} steps" if limits.max_steps > 0 else f"{limits.max_epochs or 1000} epochs"
        alone = run.stage == "segment" and self.stage_config.model.init_args.get("inpainter_ckpt") is None
        begin += ", without an inpainter, which no objective uses" if alone and not self.asks_inpainter else ""
        self._say(f"{run.stage}: {goal} on {run.data} ({run.profile}) in {self.folder.path}{begin}")
        kept = self.folder.clips() if self.resumed is not None else None
        if kept is not None and isinstance(self.datamodule, FramesDataModule):
            self.datamodule.keep_splits(kept)  # those that it began with
        try:
            self.trainer.fit(**kwargs)
            self.artifact.after_fit(self.trainer)
        except SystemExit as left:
            if self.trainer.interrupted:  # Lightning turns Ctrl-C into an exit and goes deaf to a second one
                signal.signal(signal.SIGINT, signal.default_int_handler)
                terminated = isinstance(left, SIGTERMException) or isinstance(left.__context__, Terminated)
                kind = Terminated if terminated else KeyboardInterrupt
                raise kind(self._how_to_go_on()) from None
            raise
        finally:
            finish_wandb()
        self._say(f"{run.stage}: done at step {self.trainer.global_step}, checkpoints in {self.folder.checkpoints}")
        self._say_trust()
        self._calibrate()

    def _calibrate(self) -> None:
        """Give stage 2 its score, and say what that is worth, or why there is none."""
        finished = self.trainer.is_global_zero and self.folder.last.is_file() and not self.trainer.fast_dev_run  # type: ignore[attr-defined]
        if finished and isinstance(self.model, SegmentationModule) and isinstance(self.datamodule, FramesDataModule):
            try:
                line = calibrate(self.folder, self.datamodule).sentence()
            except NotCalibrated as reason:
                line = one_line(reason)
            self._say(f"{self.stage_config.run.stage}: {line}")

    def _say_trust(self) -> None:
        """Write down and say how far the targets of stage 2 are to be trusted, where it has learnt from targets."""
        trust = self.datamodule.trust() if isinstance(self.datamodule, FramesDataModule) else None
        if trust is not None and self.trainer.is_global_zero:
            write_text(self.folder.trust_file, json.dumps(asdict(trust), indent=1) + "\n")
            self._say(f"{self.stage_config.run.stage}: {trust.sentence()}")

    def _how_to_go_on(self) -> str:
        """What to do after an interruption; nothing where the same command would begin anew."""
        progress = self.folder.progress() if self.resumable else None
        return f": the same command goes on from step {progress.step}" if progress is not None else ""

    def _say(self, line: str) -> None:
        if self.trainer.is_global_zero:
            print(line, flush=True)


def _scale(config: Mapping[str, Any]) -> float | None:
    """Working size over evaluation size in a config."""
    scale: float | None = ((config.get("data") or {}).get("init_args") or {}).get("scale")
    return scale


def run_lightning(arguments: Sequence[str], kind: type[ExperimentCLI] = ExperimentCLI) -> ExperimentCLI:
    """Run one of Lightning's subcommands.

    Args:
        arguments: Command-line arguments, from the subcommand on.
        kind: The command line.

    Returns:
        The command-line object, with the trainer, the model and the data module.
    """
    return kind(
        pl.LightningModule,
        pl.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        save_config_callback=SaveStageConfig,
        args=list(arguments),
    )


@dataclass(frozen=True)
class Understood:
    """What a subcommand would do.

    Attributes:
        config: The merged config.
        data: The data module that it describes; nothing is read or decoded.
        asks_inpainter: Whether an objective of its model asks an inpainter.
    """

    config: dict[str, Any]
    data: pl.LightningDataModule
    asks_inpainter: bool


class _Understood(Exception):
    """The arguments fit."""

    def __init__(self, what: Understood) -> None:
        super().__init__()
        self.what = what


class _OnlyUnderstand(ExperimentCLI):
    """Goes no further than the arguments."""

    def before_instantiate_classes(self) -> None:
        """End here, once the values are checked."""
        self._refuse_wrong_values()
        raise _Understood(Understood(self.stage_config.as_dict(), self.described, self.asks_inpainter))

    def _parse_ckpt_path(self) -> None:
        """A checkpoint need not be there yet."""

    def _set_seed(self) -> None:
        """Nothing is drawn."""


def understand(arguments: Sequence[str]) -> Understood:
    """Look whether a subcommand's arguments fit, their values too; nothing is decoded or written.

    Args:
        arguments: Command-line arguments, from the subcommand on.

    Returns:
        What they mean.

    Raises:
        ArgumentError: If they do not fit.
        RunError: If a config does not exist.
        ValueError: If a value is out of its range.
    """
    try:
        run_lightning(arguments, _OnlyUnderstand)
    except _Understood as understood:
        return understood.what
    raise AssertionError("it goes no further than that")
