"""The settings of a module as plain values: saved with its checkpoint, and built into a module again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from pytorch_lightning.cli import instantiate_module

from backdrop.settings import Use, marks

Module = TypeVar("Module", bound=pl.LightningModule)

_INSTANTIATOR = f"{instantiate_module.__module__}.{instantiate_module.__qualname__}"


def keep_settings(module: pl.LightningModule, **read: object) -> None:
    """Make the settings that ``save_hyperparameters`` has found plain, so that ``load_from_checkpoint`` can build them.

    Args:
        module: The module.
        **read: Settings that were not given but read from elsewhere.
    """
    declared = get_type_hints(type(module).__init__)
    kept = {name: plain(value, declared.get(name)) for name, value in {**module.hparams, **read}.items()}
    module.save_hyperparameters({**kept, "_instantiator": _INSTANTIATOR})


def plain(value: Any, declared: Any = None) -> Any:  # noqa: ANN401  settings are of any type
    """A setting as a config has it: numbers, words, lists and dictionaries.

    Args:
        value: The setting, or an object that groups several.
        declared: Its type where it is declared; an object of another class is named by its ``class_path``.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind, hints = type(value), get_type_hints(type(value))
        arguments = {field.name: plain(getattr(value, field.name), hints[field.name]) for field in fields(value)}
        if kind in (declared, *get_args(declared)):
            return arguments
        return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": arguments}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


def build(kind: type[Module], settings: Mapping[str, Any]) -> Module:
    """Build a module.

    Args:
        kind: Its class.
        settings: Its arguments, plain, as a config or a checkpoint has them.

    Raises:
        ValueError: If one is out of its range; the message is one sentence.
    """
    module: Module = instantiate_module(kind, _own(settings))
    return module


def without_files(kind: type[pl.LightningModule], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without the files that a training begins from: weights, and the checkpoint of stage 1.

    Args:
        kind: The class of the module.
        settings: Its arguments, plain, the defaults among them.

    Returns:
        The same with null for all that is only needed to begin.
    """

    def left(name: str, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Mapping):
            return {key: left(f"{name}.{key}", one) for key, one in value.items()}
        return None if Use.BEGIN in marks(kind, name, settings) else value

    return {name: left(name, value) for name, value in settings.items()}


def try_out(kind: type[Module], settings: Mapping[str, Any]) -> Module:
    """Refuse settings that a module cannot be built of: cheap, as no memory is taken and no file is read.

    Args:
        kind: Its class.
        settings: Its arguments, plain.

    Returns:
        A module without weights (they are on torch's meta device).

    Raises:
        ValueError: If one is out of its range; the message is one sentence.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "module")
    whole = parser.parse_object({"module": _own(settings)}).module.as_dict()  # with the defaults, which name files too
    for name, declared in get_type_hints(kind.__init__).items():
        if whole.get(name, declared) is None and NoneType not in get_args(declared):
            raise ValueError(f"{name} of {kind.__name__} is null, expected a value: leave it out for the default.")
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build(kind, without_files(kind, whole))


def _own(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what Lightning adds."""
    return {name: value for name, value in settings.items() if not name.startswith("_")}
