"""The page, made with Gradio."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backdrop.errors import RunError
from backdrop.model import Model
from experiments.serving.answers import answer
from experiments.serving.guard import App, Guard
from experiments.serving.limits import Limits

HOST = "127.0.0.1"
SYSTEM_FONTS = ("system-ui", "sans-serif")
_KINDS, _BUTTONS = ["image", "video"], ["download", "fullscreen"]


def build(model: Model, limits: Limits, uploads: Path, title: str) -> App:
    """Make the page.

    Args:
        model: What finds the subjects.
        limits: What is refused.
        uploads: An empty folder, for what is uploaded and what is made of it.
        title: What stands above it.

    Returns:
        An ASGI application.

    Raises:
        RunError: If Gradio is not installed.
    """
    gradio = _gradio(uploads)
    from fastapi import FastAPI

    def show(path: str | None) -> tuple[Any, ...]:
        found = answer(model, limits, Path(path), uploads) if path else None
        if found is None:
            return "", None, None, None, gradio.Video(value=None, visible=False)
        clip = gradio.Video(value=None if found.clip is None else str(found.clip), visible=found.clip is not None)
        return found.words, found.overlay, found.mask, found.cutout, clip

    blocks = _blocks(gradio, show, limits, title)
    blocks.has_launched = True  # without it, Gradio takes in any file of the machine that a forged request names
    app = gradio.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path="/",
        server_name=HOST,
        allowed_paths=[],
        max_file_size=round(limits.megabytes * 1e6),
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=[],
        theme=gradio.themes.Default(font=SYSTEM_FONTS, font_mono=("monospace",)),  # the others come from the internet
    )
    return Guard(app)


def _gradio(uploads: Path) -> Any:  # noqa: ANN401  # the module
    """Gradio, told to tell nobody, and to keep its files in our folder.

    Raises:
        RunError: If it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    try:
        import gradio
    except ImportError:
        raise RunError("The page is made with Gradio, which is not installed: pip install gradio.") from None
    return gradio


def _blocks(gradio: Any, show: Callable[[str | None], Any], limits: Limits, title: str) -> Any:  # noqa: ANN401
    """What is on the page."""
    about = f"An image, or a clip of {limits.seconds:g} s at most; {limits.megabytes:g} MB, "
    about += f"{limits.megapixels:g} megapixels. Nothing leaves this machine."
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gradio.Markdown(f"# {title}\n{about}")
        file = gradio.File(label="Drop an image or a clip here", file_types=_KINDS, elem_id="file")
        words = gradio.Markdown(elem_id="words")
        clip = gradio.Video(label="Clip with mask and box", visible=False, elem_id="clip")
        with gradio.Row():
            pictures = [
                gradio.Image(label=label, image_mode=mode, format="png", elem_id=name, buttons=_BUTTONS)
                for label, mode, name in (
                    ("Mask and box", "RGB", "overlay"),
                    ("Soft mask", "L", "mask"),
                    ("Cut-out", "RGBA", "cutout"),
                )
            ]
        file.change(show, file, [words, *pictures, clip], api_visibility="private")
    return blocks


def serve(app: App, port: int, ready: Callable[[str], object]) -> None:
    """Serve the page to this machine, until it is interrupted.

    Args:
        app: The page.
        port: Where.
        ready: Told of its address, once it can be opened.

    Raises:
        RunError: If the port is taken.
    """
    import uvicorn

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise RunError(f"Port {port} cannot be had ({error.strerror}): choose another one with --port.") from error
        listener.listen()  # who asks from now on waits
        ready(f"http://{HOST}:{listener.getsockname()[1]}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
