"""THE composer: which config files make one configuration, where they are sought, and in which order they are merged.

::

    base.yaml, STAGE.yaml                          --stage inpaint|segment|encoder
    data/NAME.yaml                                 --data NAME
    profiles/NAME/STAGE.yaml                       --profile NAME
    background/NAME.yaml                           --background NAME, of stage 2 and of the data
    profiles/../NAME.yaml, or plates.yaml          likewise
    ablations/GROUP/NAME.yaml                      --ablation NAME, which may come again
    what the user gives with --config, then options

Later ones win. A file of the working directory goes before the shipped one of the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from backdrop.errors import RunError, UsageError

if TYPE_CHECKING:
    from pytorch_lightning.cli import LightningArgumentParser

Stage = Literal["inpaint", "segment", "encoder"]
Kind = Literal["stage", "data", "profile", "background", "ablation"]
CONFIGS = Path(__file__).parent.parent / "configs"
KINDS: tuple[Kind, ...] = ("stage", "data", "profile", "background", "ablation")
INPAINTING = "inpainting"
"""The background of the paper, which needs no config of its own."""
CUES, RECORDINGS = "cues", ("videos",)
"""The background of recordings that nobody has prepared, and the data that are such."""

HELP = (
    "--stage inpaint|segment|encoder, --data NAME, --profile NAME, --background NAME and --ablation NAME (more than "
    "once) stand for the shipped configs of these names, or those of the working directory. Configs and options that "
    "are given win over them, later ones over earlier ones."
)


@dataclass(frozen=True)
class Composition:
    """The named configs of a training, or of its data alone.

    Attributes:
        stage: ``inpaint``, ``segment`` or, before it, ``encoder``; None for the data alone.
        data: Data set.
        profile: Size profile.
        background: What predicts the scene in stage 2: ``inpainting``, the plates of the data, or nothing where
            targets take its place (``cues``). Without it recordings of one's own have ``cues``, where the profile is
            made for them, and all others ``inpainting``.
        ablations: What is changed after the profile.

    Raises:
        UsageError: If there is no config of a name; the message lists the choices.
    """

    stage: Stage | None = None
    data: str | None = None
    profile: str | None = None
    background: str | None = None
    ablations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        given: dict[Kind, str | None] = {"stage": self.stage, "data": self.data}
        given |= {"profile": self.profile, "background": self.background}
        for kind, name in given.items():
            if name is not None and name not in (known := names(kind)):
                raise UsageError(f"--{kind} {name} is unknown: choose {', '.join(known)}")
        for name in self.ablations:
            self._ablation(name)

    def files(self) -> list[str]:
        """The names of the config files, in the order in which they are merged."""
        stage, found = self.stage or "inpaint", list[str]()  # of the data, the profiles of both stages say the same
        if self.stage is not None:
            found += ["base.yaml", f"{stage}.yaml"]
        if self.data is not None:
            found += [f"data/{self.data}.yaml"]
        if self.profile is not None:
            found += [f"profiles/{self.profile}/{stage}.yaml"]
        if self.scene != INPAINTING and self.stage != "encoder":  # which has no background
            named = [self.scene, *(["plates"] if self.scene != CUES else [])]
            own = (f"profiles/{self.profile}/{name}.yaml" for name in named)
            of_stage_2 = [f"background/{self.scene}.yaml", *[file for file in own if find(file)][:1]]
            found += of_stage_2 if self.stage != "inpaint" else self.inpaint_files()
        return found + [self._ablation(name) for name in self.ablations]

    @property
    def scene(self) -> str:
        """The background that is meant."""
        own = self.data in RECORDINGS and find(f"profiles/{self.profile}/{CUES}.yaml")
        return self.background or (CUES if own else INPAINTING)

    def inpaint_files(self) -> list[str]:
        """What the background changes in stage 1, as a list of files."""
        file = f"profiles/{self.profile}/{self.scene}_inpaint.yaml"
        return [file] if find(file) else []

    def options(self) -> list[str]:
        """The words of the command line that stand for it."""
        named = {"stage": self.stage, "data": self.data, "profile": self.profile, "background": self.background}
        words = [f"--{kind}={name}" for kind, name in named.items() if name is not None]
        return words + [f"--ablation={name}" for name in self.ablations]

    def _ablation(self, name: str) -> str:
        """The file of an ablation: of all profiles, of the own one, or another config."""
        groups = sorted(path.name for path in (CONFIGS / "ablations").iterdir())
        tried = (f"ablations/{name}.yaml", *(f"ablations/{group}/{name}.yaml" for group in groups))
        tried += (f"profiles/{self.profile}/{name}.yaml", f"{name}.yaml")
        for file in tried:
            if find(file):
                return file
        raise UsageError(f"--ablation {name} is unknown: choose {', '.join(names('ablation'))}")


def names(kind: Kind) -> list[str]:
    """The names that a kind of configs may have: those of the shipped ones, and of those in the working directory.

    Args:
        kind: ``stage``, ``data``, ``profile``, ``background`` or ``ablation``.
    """
    if kind == "stage":
        return list(get_args(Stage))
    folders = [top / {"profile": "profiles", "ablation": "ablations"}.get(kind, kind) for top in (CONFIGS, Path())]
    if kind == "profile":
        return sorted({path.parent.name for folder in folders for path in folder.glob("*/inpaint.yaml")})
    within = "**/*.yaml" if kind == "ablation" else "*.yaml"
    found = sorted({path.stem for folder in folders for path in folder.glob(within)})
    return [INPAINTING, *found] if kind == "background" else found


def find(name: str) -> Path | None:
    """The file of a config: the one of the working directory, else the shipped one; None where there is neither."""
    return next((path for path in (Path(name), CONFIGS / name) if path.is_file()), None)


def compose(words: Sequence[str], trains: bool = False) -> list[str]:
    """Put the files that named configs stand for in front of a command line.

    Args:
        words: Options of ``fit``: the names above, ``--config`` and settings. ``--data CLASS`` stays as it is.
        trains: Whether it is a stage, or the data alone.

    Returns:
        The same without names: ``--config=PATH`` for each file, then the other words.

    Raises:
        RunError: If a config does not exist.
        UsageError: If a name is unknown, or the stage that it needs is missing.
    """
    composition, others = taken(words)
    alone = not any(word.startswith(("--config", "-c")) for word in others)
    needs_stage = composition.profile or composition.background or composition.ablations or (composition.data and alone)
    if trains and needs_stage and composition.stage is None:
        raise UsageError("Which stage? Add --stage inpaint or --stage segment")
    return find_configs([*(f"--config={file}" for file in composition.files()), *others])


def taken(words: Sequence[str]) -> tuple[Composition, list[str]]:
    """Take the names of configs out of a command line.

    Args:
        words: See :func:`compose`.

    Returns:
        What they name, and the other words.

    Raises:
        UsageError: If a name is unknown or missing.
    """
    given: dict[str, list[str]] = {}
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        kind = option.removeprefix("--")
        if not option.startswith("--") or kind not in KINDS:
            others.append(word)
            continue
        name = value if equals else next(rest, None)
        if name is None:
            raise UsageError(f"{option} names no config: choose {', '.join(names(kind))}")
        if kind == "data" and not re.fullmatch(r"[a-z0-9][\w-]*", name):  # a class, a file or a mapping
            others += [word] if equals else [word, name]
        else:
            given.setdefault(kind, []).append(name)
    one: dict[str, Any] = {kind: found[-1] for kind, found in given.items() if kind != "ablation"}
    return Composition(**one, ablations=tuple(given.get("ablation", ()))), others


def find_configs(arguments: Sequence[str]) -> list[str]:
    """Replace config names that are not files here by the shipped configs of that name.

    Args:
        arguments: Command-line arguments.

    Returns:
        The arguments, with ``base.yaml`` after ``--config`` (or ``-c``) made a full path where it is a shipped config.

    Raises:
        RunError: If a config is neither; the message lists the shipped data configs.
    """
    found: list[str] = []
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        head, name = ("--config=", argument[9:]) if argument.startswith("--config=") else ("", argument)
        if (head or previous in ("--config", "-c")) and not Path(name).exists():
            if not (CONFIGS / name).is_file():
                shipped = ", ".join(sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml")))
                raise RunError(f"There is no config {name}, neither here nor among the shipped ones ({shipped}).")
            name = str(CONFIGS / name)
        found.append(head + name)
    return _nulls(found)


def _nulls(arguments: Sequence[str]) -> list[str]:
    """Write a null of a group of the model's settings as jsonargparse 4.53 understands it, not as the word None.

    ``--model.init_args.detector.weights=null`` becomes ``--model.init_args.detector={"weights": null}``.
    """
    written: list[str] = []
    for argument in arguments:
        option = f"{written[-1]}={argument}" if written and argument == "null" else argument
        if nested := re.fullmatch(r"(--model\.(?:init_args\.)?(?!init_args\.)\w+)\.([\w.]+)=null", option):
            if argument == "null":
                written.pop()
            value: dict[str, Any] | None = None
            for name in reversed(nested[2].split(".")):
                value = {name: value}
            argument = f"{nested[1]}={json.dumps(value)}"
        written.append(argument)
    return written


def parser(parts: Sequence[Literal["model", "data"]], **options: Any) -> LightningArgumentParser:  # noqa: ANN401
    """A parser of the options of ``fit``, for what needs a part of a configuration.

    Args:
        parts: What must be complete, and is built by ``instantiate_classes``.
        **options: Of the parser.

    Returns:
        The parser; all other parts are accepted as they are.
    """
    import pytorch_lightning as pl
    from pytorch_lightning.cli import LightningArgumentParser

    import lightning_modules  # noqa: F401  (importing makes the short class names known)
    from datamodules import load_all

    load_all()  # for the short class names
    kinds: dict[str, type] = {"model": pl.LightningModule, "data": pl.LightningDataModule}
    made = LightningArgumentParser(exit_on_error=False, **options)
    made.add_argument("-c", "--config", action="config", help="config file; later ones win")
    for part in parts:
        made.add_subclass_arguments(kinds[part], part, required=True)
    for accepted in sorted({"run", "trainer", *kinds} - set(parts)):
        made.add_argument(f"--{accepted}", type=dict[str, Any], default={}, help="as for fit; need not be complete")
    made.add_argument("--seed_everything", type=Any, default=0, help="as for fit")
    return made


def model_and_data(profile: str, stage: Stage, data: str) -> dict[str, dict[str, Any]]:
    """What the named configs say of the networks and the frames, for commands that need no more.

    Args:
        profile: Size profile.
        stage: Which.
        data: Data config.

    Returns:
        ``init_args`` of ``model`` and ``data``; of the data, those that the configs name.

    Raises:
        UsageError: If there is no config of a name.
    """
    files = find_configs([f"--config={file}" for file in Composition(stage, data, profile).files()])
    model = parser(["model"]).parse_args(files).model.init_args.as_dict()
    frames: dict[str, Any] = {}
    for file in files:  # not parsed: the folder of the data is not known
        loaded = yaml.safe_load(Path(file.removeprefix("--config=")).read_text(encoding="utf-8"))
        frames |= (loaded.get("data") or {}).get("init_args") or {}
    return {"model": model, "data": frames}
