"""What a trial is, and its record in the trial's folder."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from backdrop.documents import read_json
from backdrop.errors import RunError
from backdrop.files import write_text
from experiments.runs.composition import INPAINTING, Composition
from experiments.runs.settings import own_name

RECORD = "trial.json"
CLIPS = "data.init_args.clips"
"""The setting that says which clips a model is of."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a trial learns, and so what may share an inpainter or be gone on with.

    Attributes:
        data: Data config.
        profile: Size profile.
        background: What predicts the background in stage 2.
        seed: Of both stages.
        settings: What the sweep varies: options of ``fit``, ``--name=value``, configs first, then by name; those of the
            data go to both stages.
        inpaint_options: Further options of stage 1.
        options: Further options of stage 2; those of the data go to both stages.
    """

    data: str
    profile: str
    background: str
    seed: int
    settings: tuple[str, ...] = ()
    inpaint_options: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def clip(self) -> str | None:
        """The clip that its model is of, where the sweep makes one for each."""
        given = next((word.partition("=")[2] for word in self.settings if word.startswith(f"--{CLIPS}=")), None)
        names = yaml.safe_load(given) if given is not None else None
        return str(names[0]) if isinstance(names, list) and len(names) == 1 else None

    @property
    def setting(self) -> str | None:
        """What is varied but the clip, in short: a name for all seeds; None where that is the clip alone."""
        names = map(short_name, self.without_clip().settings)
        return "-".join(names) or ("default" if self.clip is None else None)

    @property
    def name(self) -> str:
        """Name of the trial."""
        clip = _plain(self.clip) if self.clip is not None else None
        return "-".join(filter(None, (clip, self.setting, f"seed{self.seed}")))

    def without_clip(self) -> Recipe:
        """What it has in common with the trials of other clips."""
        if self.clip is None:
            return self
        return replace(self, settings=tuple(word for word in self.settings if not word.startswith(f"--{CLIPS}=")))

    def inpainter(self) -> Recipe:
        """What of it decides stage 1; trials that agree in it share their inpainter."""
        data = tuple(data_options(self.settings))
        own = Composition("inpaint", self.data, self.profile, self.background).inpaint_files()
        options, background = tuple(data_options(self.options)), self.background if own else INPAINTING
        return replace(self, background=background, settings=data, options=options)

    def words(self) -> list[str]:
        """The options of ``trial`` that describe it."""
        named = {"data": self.data, "profile": self.profile, "background": self.background}
        named |= {"seed_everything": str(self.seed)}
        named |= {"inpaint-options": shlex.join(self.inpaint_options)} if self.inpaint_options else {}
        own = [f"--{name}={value}" for name, value in named.items()]
        return [*own, *self.settings, *(("--", *self.options) if self.options else ())]


def short_name(setting: str) -> str:
    """A setting in a name: of a config its file's, of an option the last part of its name and the value.

    Args:
        setting: ``--config=ablations/fig3/joint.yaml``, ``--ablation=joint`` or
            ``--model.init_args.detector.s_min=0.1``.

    Returns:
        ``joint`` or ``s_min=0.1``, fit for a folder's name.
    """
    name, _, value = setting.removeprefix("--").partition("=")
    named = {"config": Path(value).stem, "ablation": Path(value).name}
    return _plain(named.get(name, f"{own_name(name)}={value}"))


def _plain(text: str) -> str:
    """A text as part of a folder's name."""
    return re.sub(r"[^\w.=+-]+", "_", text)


def by_name(setting: str) -> tuple[bool, str, str]:
    """Sorts settings: configs first, in the order in which they were given, as later ones win; then by name."""
    name = setting.partition("=")[0]
    return name != "--config", name.split(".")[0], short_name(f"{name}=")


def data_options(words: Sequence[str]) -> list[str]:
    """The options of the data among options of ``fit``.

    Args:
        words: Command-line words, ``--name=value`` or ``--name value``.

    Returns:
        Those of ``--data…``, in order.
    """
    found: list[str] = []
    for word, after in zip_longest(words, words[1:], fillvalue=""):
        if word == "--data" or word.startswith(("--data.", "--data=")):
            found += [word] if "=" in word else [word, after]
    return found


def check(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder is that of a recipe.

    Args:
        folder: A trial's or an inpainter's folder.
        recipe: What should be in it.

    Returns:
        False where nothing is written down.

    Raises:
        RunError: If it is of another recipe.
    """
    before = _record(folder)
    if before is None:
        return False
    now = json.loads(json.dumps(asdict(recipe)))
    for key in (key for key in now if before.get(key) != now[key]):
        raise RunError(
            f"{folder} was begun with {key} {_shown(before.get(key))}, and now it is {_shown(now[key])}: "
            "give the same again, choose another folder with --run, or delete that one."
        )
    return True


def _shown(value: object) -> str:
    """A part of a recipe in a message."""
    return shlex.join(map(str, value)) or "(none)" if isinstance(value, list) else str(value)


def write_down(folder: Path, recipe: Recipe) -> None:
    """Write down what a folder is for.

    Args:
        folder: A trial's or an inpainter's folder.
        recipe: What is made in it.
    """
    write_text(folder / RECORD, json.dumps(asdict(recipe), indent=2) + "\n")


def _record(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        found = read_json(path)
        Recipe(**found)
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: delete {folder}, and it is made anew.") from error
    record: dict[str, Any] = found
    return record
