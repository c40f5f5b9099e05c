"""What a trial of a sweep is, and its record in the trial's folder."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from backdrop.files import write_text
from experiments.errors import RunError

RECORD = "trial.json"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a trial learns, and so what may share a painter or be gone on with.

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
    def setting(self) -> str:
        """What is varied, in short: a name for all seeds."""
        return "-".join(map(short_name, self.settings)) or "default"

    @property
    def name(self) -> str:
        """Name of the trial."""
        return f"{self.setting}-seed{self.seed}"

    def painter(self) -> Recipe:
        """What of it decides stage 1; trials that agree in it share their painter."""
        data = tuple(data_options(self.settings))
        return replace(self, background="inpainting", settings=data, options=tuple(data_options(self.options)))


def short_name(setting: str) -> str:
    """A setting in a name: of a config its file's, of an option the last part of its name and the value.

    Args:
        setting: ``--config=ablations/joint.yaml`` or ``--model.init_args.detector.s_min=0.1``.

    Returns:
        ``joint`` or ``s_min=0.1``, fit for a folder's name.
    """
    name, _, value = setting.removeprefix("--").partition("=")
    text = Path(value).stem if name == "config" else f"{own_name(name)}={value}"
    return re.sub(r"[^\w.=+-]+", "_", text)


def own_name(name: str) -> str:
    """The last part of a setting's name, ``s_min``; of those of a prior its last two, ``mask_prior_level``."""
    group, _, own = name.rpartition(".")
    prior = re.search(r"\w+_prior$", group)
    return f"{prior[0]}_{own}" if prior else own


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
        folder: A trial's or a painter's folder.
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
        folder: A trial's or a painter's folder.
        recipe: What is made in it.
    """
    write_text(folder / RECORD, json.dumps(asdict(recipe), indent=2) + "\n")


def _record(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        Recipe(**found)
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: delete {folder}, and it is made anew.") from error
    record: dict[str, Any] = found
    return record
