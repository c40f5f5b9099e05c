"""The page in a headless browser, and from outside: it shows what was uploaded, and nothing else gets out or in."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backdrop.errors import RunError
from backdrop.found import Found, Pixels
from backdrop.loading import load
from experiments.serving import page
from experiments.serving.limits import Limits
from tests import fake_data
from tests.browser import Browser

pytestmark = pytest.mark.slow

SECRET = "not to be read"


def bright(images: Sequence[Pixels]) -> list[list[Found]]:
    return [[Found((image[..., 1] > 128).astype(np.float32), (10, 5, 20, 15), 0.5, 0.9)] for image in images]


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def address(uploads: Path) -> Iterator[str]:
    """The page of a model that needs no training, in a thread of this process."""
    pytest.importorskip("gradio", reason="Gradio is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(name, "")  # put back at the end
        patch.setattr("backdrop.loading.load_engine", lambda *_: bright)
        app = page.build(load("run"), Limits(megabytes=1, seconds=2), uploads, "Backdrop: tests")
        patch.setattr("uvicorn.Server.install_signal_handlers", lambda _: None, raising=False)
        found, ready = list[str](), threading.Event()

        def tell(where: str) -> None:
            found.append(where)
            ready.set()

        threading.Thread(target=page.serve, args=(app, 0, tell), daemon=True).start()
        assert ready.wait(60)
        yield found[0]


def get(address: str, data: bytes | None = None, kind: str = "application/json", **headers: str) -> tuple[int, str]:
    """Status and text."""
    request = urllib.request.Request(address, data, {"Content-Type": kind, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def ask(address: str, file: dict[str, Any]) -> str:
    """What the page's own function answers to a file, as the queue streams it."""
    config = json.loads(get(f"{address}/config")[1])
    function = config["dependencies"][0]["id"]
    body = {"data": [file], "fn_index": function, "session_hash": "abc", "trigger_id": None}
    status, text = get(f"{address}/gradio_api/queue/join", json.dumps(body).encode())
    if status != 200:
        return text
    return get(f"{address}/gradio_api/queue/data?session_hash=abc")[1]


def test_an_image_and_a_clip_are_answered(address: str, tmp_path: Path) -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[50:150, 100:200, 1] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    clip = fake_data.write_video(tmp_path / "run.mp4", frames=7)
    long = fake_data.write_video(tmp_path / "long.mp4", frames=40)
    words = "document.querySelector('#words')?.innerText ?? ''"
    source = "document.querySelector('#{} {}')?.src ?? ''"
    with Browser(tmp_path / "profile") as browser:
        browser.send("Page.navigate", url=address)
        browser.wait("!!document.querySelector('#file input[type=file]')")
        browser.upload("#file input[type=file]", tmp_path / "a.png")
        browser.wait(words, lambda text: "score 0.90" in text)
        for name in ("overlay", "mask", "cutout"):
            picture = browser.wait(source.format(name, "img"))
            assert picture.startswith(f"{address}/gradio_api/file=")
            browser.wait(f"document.querySelector('#{name} img').naturalWidth", lambda width: width == 400)
        browser.screenshot(tmp_path / "image.png")
        clear = "document.querySelector('#file [aria-label=\"Clear\"], #file [aria-label=\"Remove\"]').click()"
        for path, said in ((clip, "of 7 frames"), (long, "Refused: The clip lasts 4 s")):
            browser.value(clear)
            browser.wait("!!document.querySelector('#file input[type=file]')")
            browser.upload("#file input[type=file]", path)
            browser.wait(words, lambda text, said=said: said in text)
            if path == clip:
                browser.wait(source.format("clip", "video"))
                browser.wait("document.querySelector('#clip video').readyState", lambda state: state >= 2)
                browser.screenshot(tmp_path / "clip.png")
        asked = browser.requests()
        errors = [event for event in browser.events if event.get("method") == "Runtime.exceptionThrown"]
    assert asked and not errors
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:", "about:"))]


def test_no_other_file_is_served(address: str, tmp_path: Path) -> None:
    here = Path.cwd() / "pyproject.toml"
    (tmp_path / "secret.txt").write_text(SECRET)
    for path in (tmp_path / "secret.txt", here, Path("/etc/hostname")):
        for where in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file=x/../{path}", f"/static/{path}"):
            status, text = get(address + where)
            assert status in (403, 404) and SECRET not in text, where


def test_the_page_reads_no_file_that_was_not_uploaded(address: str, tmp_path: Path, uploads: Path) -> None:
    """A request as a program would forge it."""
    Image.new("RGB", (40, 30)).save(tmp_path / "outside.png")
    outside = {"path": str(tmp_path / "outside.png"), "meta": {"_type": "gradio.FileData"}}
    assert "score" not in ask(address, outside)
    inside = uploads / "inside.png"
    Image.new("RGB", (40, 30)).save(inside)
    assert "score" in ask(address, {"path": str(inside), "meta": {"_type": "gradio.FileData"}})  # the request is right


def test_the_page_fetches_nothing(address: str) -> None:
    asked = list[str]()

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_GET

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.png"
        ask(address, {"path": url, "url": url, "meta": {"_type": "gradio.FileData"}})
        assert get(f"{address}/gradio_api/file={url}")[0] == 403
        server.shutdown()
    assert not asked


def test_strange_hosts_and_large_files_are_refused(address: str) -> None:
    assert get(address, Host="evil.example")[0] == 403
    edge = "----edge"
    large = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'.encode()
    large += bytes(2_000_000) + f"\r\n--{edge}--\r\n".encode()
    status, _ = get(f"{address}/gradio_api/upload", large, f"multipart/form-data; boundary={edge}")
    assert status == 413


def test_a_port_that_is_taken_is_said(address: str) -> None:
    with pytest.raises(RunError, match="choose another one with --port"):
        page.serve(None, int(address.rsplit(":", 1)[1]), print)  # type: ignore[arg-type]
