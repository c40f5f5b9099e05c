"""The templates of pages that load nothing: HTML, style and script in one file."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template

FOLDER = Path(__file__).parent / "pages"


def template(name: str) -> Template:
    """Read a template; what is put into it is escaped.

    Args:
        name: Its file, beside the styles and scripts that it includes.

    Returns:
        The template.
    """
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(name)
