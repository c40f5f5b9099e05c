"""What the documentation site adds to the pages of this folder (a hook of MkDocs, see .mkdocs.yml).

- A page for each file of the repository that a page links to, with an anchor at every line.
- A page of the API for each package, from its docstrings.
- Equations as MathML, which browsers draw by themselves: no script, nothing fetched.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("backdrop", "lightning_modules", "datamodules", "callbacks", "experiments")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".sh": "bash"}
LINK = re.compile(r"\]\((?P<path>[\w./-]+)(?:#L(?P<line>\d+))?(?P<anchor>#[^)\s]+)?\)")
EQUATION = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
SPHINX = re.compile(r":(?:class|func|meth|mod|attr|data|doc):(?=<code>)|(?<=<code>)~(?=\w)|<p>::</p>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of linked files and of the API."""
    linked = {path for file in files.documentation_pages() for path in _outward(file.src_uri, file.content_string)}
    packages = _packages()
    names = "\n".join(f"- [{name}]({name}.md)" for name in packages)
    pages = {f"source/{path}.md": _source_page(path) for path in sorted(linked)}
    pages["api/index.md"] = f"# API\n\nFrom the docstrings of each package.\n\n{names}\n"
    pages |= {f"api/{name}.md": _api_page(name, modules) for name, modules in packages.items()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    nav: Any = config.nav
    nav.append({"API": ["api/index.md", *(f"api/{name}.md" for name in packages)]})
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that leave this folder lead to the page of their file."""
    del config, files

    def link(found: re.Match[str]) -> str:
        path = _resolved(page.file.src_uri, found["path"])
        if path is None:
            return found[0]
        target = posixpath.relpath(f"source/{path}.md", posixpath.dirname(page.file.src_uri) or ".")
        line = f"#line-0-{found['line']}" if found["line"] else found["anchor"] or ""
        return f"]({target}{line})"

    return LINK.sub(link, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw equations, leave out what only Sphinx reads in a docstring, and name the anchors of lines to MkDocs."""
    del config, files
    page.present_anchor_ids = (page.present_anchor_ids or set()) | set(re.findall(r'id="(line-0-\d+)"', html))
    return SPHINX.sub("", EQUATION.sub(_drawn, html))


def _drawn(found: re.Match[str]) -> str:
    """An equation as MathML; its number follows it."""
    latex = re.sub(r"\\tag\{(\w+)\}", r"\\qquad (\1)", unescape(found["latex"]))
    if found["tag"] == "span":
        return str(convert(latex))
    return f"<p>{convert(latex, display='block')}</p>"


def _resolved(page: str, link: str) -> str | None:
    """The path in the repository of a link that leaves the folder of the documents; None for any other."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    outward = not path.startswith((".", "docs/")) and page.split("/")[0] not in ("api", "source")
    return path if outward and (ROOT / path).is_file() else None


def _outward(page: str, text: str) -> Iterator[str]:
    """Files of the repository, outside the folder of the documents, that a page links to."""
    for found in LINK.finditer(text):
        if path := _resolved(page, found["path"]):
            yield path


def _source_page(path: str) -> str:
    """A file of the repository as a page: Markdown as it is, anything else as numbered lines."""
    text = (ROOT / path).read_text()
    if path.endswith(".md"):
        above = "../" * (path.count("/") + 1)
        text = re.sub(r"\]\(docs/", f"]({above}", text)
        return re.sub(r"\[([^\]]+)\]\((?![./#]|https?:)[^)]*\)", r"`\1`", text)  # other files have no page
    fence, language = "~" * 8, LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n{fence} {{.{language} linenums=1}}\n{text}\n{fence}\n"


def _packages() -> dict[str, list[str]]:
    """Modules by package, both by dotted names; a package itself is the first of its modules."""
    found: dict[str, list[str]] = {}
    for top in PACKAGES:
        for file in sorted((ROOT / top).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            package, name = ".".join(parts[:-1]), parts[-1]
            modules = found.setdefault(package, [])
            if not name.startswith("_"):
                modules.append(f"{package}.{name}")
    return {package: modules for package, modules in sorted(found.items()) if modules}


def _api_page(package: str, modules: list[str]) -> str:
    sections = "\n".join(f"::: {module}\n" for module in modules)
    return f"# {package}\n\n{sections}"
