"""What a setting is of: the place, the training or the measurement; each says so beside itself, in its annotation.

::

    def __init__(self, root: Place[str], image_size: Measurement[tuple[int, int]], batch_size: int = 16) -> None:

A setting without a mark is of the training. :func:`role` answers for an argument of a class, however deep it lies.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from backdrop.trusted import may_be_imported

T = TypeVar("T")


class Role(Enum):
    """What a setting decides."""

    PLACE = "where and on what a run is made, and what it is called; no number depends on it"
    TRAINING = "the weights that are learnt"
    MEASUREMENT = "what is scored and how, and so which results may stand in one table"


class Use(Enum):
    """More that a mark says of a setting."""

    BEGIN = "needed to begin a training, not to apply its result"


Place = Annotated[T, Role.PLACE]
Training = Annotated[T, Role.TRAINING]
Measurement = Annotated[T, Role.MEASUREMENT]
Beginning = Annotated[T, Role.TRAINING, Use.BEGIN]
"""Such as a file of pretrained weights: a trained model is loaded where the file is gone."""


def role(kind: type, name: str, arguments: Mapping[str, Any] | None = None) -> Role:
    """What a setting of a class is of.

    Args:
        kind: The class.
        name: The name of an argument of its constructor, with dots into arguments that are objects themselves.
        arguments: The arguments as a config has them, whose ``class_path`` says which class an object is of.

    Returns:
        What the outermost marked part of the name is of; the training where no part is marked.
    """
    return next((mark for mark in marks(kind, name, arguments) if isinstance(mark, Role)), Role.TRAINING)


def marks(kind: type, name: str, arguments: Mapping[str, Any] | None = None) -> list[Role | Use]:
    """All marks of a setting of a class, the outermost first.

    Args:
        kind: See :func:`role`.
        name: See :func:`role`.
        arguments: See :func:`role`.
    """
    return list(_marks(kind, name.split("."), arguments or {}))


def _marks(kind: type, parts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[Role | Use]:
    annotation = argument_types(kind).get(parts[0])
    if get_origin(annotation) is Annotated:
        yield from (mark for mark in get_args(annotation)[1:] if isinstance(mark, Role | Use))
    inside = arguments.get(parts[0])
    inside = inside if isinstance(inside, Mapping) else {}
    deeper = parts[1:]
    if deeper and deeper[0] == "init_args":
        deeper, nested = deeper[1:], inside.get("init_args") or {}
    else:
        nested = inside
    member = import_class(inside["class_path"]) if "class_path" in inside else class_in(annotation)
    if deeper and member is not None:
        yield from _marks(member, deeper, nested)


@cache
def argument_types(kind: type) -> dict[str, Any]:
    """The annotations of a constructor's arguments, those that it hands on with ``**kwargs`` among them.

    Args:
        kind: The class.
    """
    return {name: hint for name, (_, hint) in _arguments(kind).items()}


def argument_defaults(kind: type) -> dict[str, Any]:
    """The defaults of a constructor's arguments, as they stand in a config; those without one are left out.

    Args:
        kind: The class.
    """
    import yaml  # both here, as they take their time, and `import backdrop` is quick
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind)
    plain = yaml.safe_load(parser.dump(parser.get_defaults(), skip_none=False, skip_validation=True)) or {}
    given = [name for name, (parameter, _) in _arguments(kind).items() if parameter.default is not parameter.empty]
    return {name: plain.get(name) for name in given}


def _arguments(kind: type) -> dict[str, tuple[inspect.Parameter, Any]]:
    """The arguments of a constructor with their annotations, see :func:`argument_types`."""
    found: dict[str, tuple[inspect.Parameter, Any]] = {}
    for member in kind.__mro__:
        constructor = vars(member).get("__init__")
        if not inspect.isfunction(constructor):
            continue
        hints, parameters = get_type_hints(constructor, include_extras=True), inspect.signature(constructor).parameters
        named = [p for p in parameters.values() if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        found = {p.name: (p, hints.get(p.name, Any)) for p in named} | found
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            break
    return found


def import_class(path: str) -> type | None:
    """The class that a ``class_path`` names; None where there is none, or where it may not be imported.

    Which ones may, :func:`backdrop.trusted.may_be_imported` says.
    """
    if not may_be_imported(path):
        return None
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return None
    return found if isinstance(found, type) else None


def class_in(annotation: Any) -> type | None:  # noqa: ANN401
    """The one class of ours in an annotation, such as ``Annotated[Detector | None, ...]``."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if annotation.__module__ != "builtins" else None
    if get_origin(annotation) is Annotated:
        return class_in(get_args(annotation)[0])
    return next(filter(None, map(class_in, get_args(annotation))), None)
