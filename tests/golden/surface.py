"""The names that users, saved configs and other programs rely on."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from tests.golden import compose

ROOMS = ("lightning_modules", "datamodules", "callbacks", "experiments")


def measure() -> dict[str, Any]:
    """All of them, by kind."""
    makefile = Path("Makefile").read_text()
    arguments = {path: sorted(_arguments(_find(path))) for path in sorted(set(_classes()))}
    return {
        "arguments": arguments | {"run": sorted(_arguments(compose.RunSettings))},
        "configs": sorted(str(path.relative_to(compose.CONFIGS)) for path in compose.CONFIGS.rglob("*.yaml")),
        "sweeps": sorted(path.name for path in compose.SWEEPS.glob("*.yaml")),
        "commands": sorted(compose.commands()),
        "targets": sorted(re.findall(r"^([a-z-]+):[^=\n]*## ", makefile, re.MULTILINE)),
        "variables": sorted(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE)),
    }


def _classes() -> Iterator[str]:
    """Paths of the classes that a config can name: those of shipped configs, and what the rooms hand out."""
    for file in compose.CONFIGS.rglob("*.yaml"):
        yield from _named(yaml.safe_load(file.read_text()))
    for room in ROOMS[:3]:
        for name in importlib.import_module(room).__all__:
            if inspect.isclass(found := getattr(importlib.import_module(room), name)) and not _an_error(found):
                yield from _with_nested(f"{room}.{name}", found)


def _named(config: object) -> Iterator[str]:
    """The class paths of our classes in a config."""
    if isinstance(config, dict):
        if str(config.get("class_path", "")).startswith(ROOMS):
            yield config["class_path"]
        for value in config.values():
            yield from _named(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named(value)


def _with_nested(path: str, found: type) -> Iterator[str]:
    """A class, and the classes of its arguments with their subclasses."""
    yield path
    for hint in typing.get_type_hints(found.__init__).values():
        for kind in _kinds(hint):
            yield from _with_nested(f"{kind.__module__}.{kind.__qualname__}", kind)


def _kinds(hint: object) -> Iterator[type]:
    """Our classes in a type, and what is derived from them."""
    if inspect.isclass(hint) and hint.__module__.startswith(ROOMS):
        yield hint
        for derived in hint.__subclasses__():
            yield from _kinds(derived)
    for part in typing.get_args(hint):
        yield from _kinds(part)


def _arguments(found: type) -> list[str]:
    """The arguments of a class as a config has them, those that it hands on among them; groups are classes too."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(found, "of", fail_untyped=False)
    names = [name.removeprefix("of.") for name in parser.get_defaults(skip_validation=True).keys() if name != "of"]
    return list({name.split(".")[0] for name in names})


def _find(path: str) -> type:
    module, _, name = path.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found


def _an_error(found: type) -> bool:
    return issubclass(found, Exception)
