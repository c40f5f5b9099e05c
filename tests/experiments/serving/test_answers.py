"""What the page answers, without the page: pictures and words of a file, refusals of others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backdrop.found import Found, Pixels
from backdrop.loading import load
from backdrop.model import Model
from datamodules.readers.videos import VideoFrames
from experiments.serving.answers import Answer, answer
from experiments.serving.guard import Guard
from experiments.serving.limits import Limits
from tests import fake_data


def bright(images: Sequence[Pixels]) -> list[list[Found]]:
    """The bright part of a frame; its share of red is the score."""
    found = []
    for image in images:
        mask = (image[..., 1] > 128).astype(np.float32)
        found.append([Found(mask, (10, 5, 20, 15), 0.5, float(image[..., 0].mean() / 255))])
    return found


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr("backdrop.loading.load_engine", lambda *_: bright)
    return load("run")


def draw(folder: Path, red: int = 200, name: str = "a.png") -> Path:
    image = np.zeros((30, 40, 3), np.uint8)
    image[5:15, 10:20, 1] = 255
    image[..., 0] = red
    Image.fromarray(image).save(folder / name)
    return folder / name


def test_an_image_is_answered_with_pictures_and_words(model: Model, tmp_path: Path) -> None:
    found = answer(model, Limits(), draw(tmp_path), tmp_path)
    assert found.words == "A subject (score 0.78), box from (10, 5) to (20, 15), 8.3% of the frame."
    assert found.overlay is not None and found.overlay.shape == (30, 40, 3)
    assert found.mask is not None and (found.mask > 0).sum() == 100
    assert found.cutout is not None and np.array_equal(found.cutout[..., 3], found.mask)
    assert found.clip is None


def test_an_image_without_a_subject_is_said(model: Model, tmp_path: Path) -> None:
    found = answer(model, Limits(), draw(tmp_path, red=50), tmp_path)
    assert found.words == "No subject found (score 0.20)." and found.mask is not None and not found.mask.any()


def test_a_clip_is_answered_with_its_overlay(model: Model, tmp_path: Path) -> None:
    video = fake_data.write_video(tmp_path / "run.mp4", frames=7)
    found = answer(model, Limits(), video, tmp_path)
    assert "of 7 frames" in found.words and "scores from" in found.words and found.overlay is not None
    assert found.clip is not None and found.clip.parent == tmp_path and len(VideoFrames(found.clip)) == 7


def test_the_pictures_of_a_clip_without_scores_are_of_the_surest_frame(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def third_is_surest(images: Sequence[Pixels]) -> list[list[Found]]:
        masks = [np.ones(image.shape[:2], np.float32) for image in images]
        return [[Found(mask, (0, 0, 1 + at, 9), 0.9 if at == 2 else 0.1)] for at, mask in enumerate(masks)]

    monkeypatch.setattr("backdrop.loading.load_engine", lambda *_: third_is_surest)
    found = answer(load("run"), Limits(), fake_data.write_video(tmp_path / "run.mp4", frames=5), tmp_path)
    assert "A subject in 5 of 5 frames." in found.words
    assert "A subject (no score), box from (0, 0) to (3, 9)" in found.words


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(megabytes=0.0001), "MB, more than 0.0001"),
        (Limits(megapixels=0.001), "40x30 = 0.0 megapixels, more than 0.001"),
    ],
)
def test_a_large_image_is_refused(model: Model, tmp_path: Path, limits: Limits, said: str) -> None:
    found = answer(model, limits, draw(tmp_path), tmp_path)
    assert found.words.startswith("Refused: ") and said in found.words and found == Answer(found.words)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(seconds=0.5), "lasts 1 s (12 frames), more than 0.5 s"),
        (Limits(megapixels=0.001), "64x48"),
    ],
)
def test_a_large_clip_is_refused(model: Model, tmp_path: Path, limits: Limits, said: str) -> None:
    video = fake_data.write_video(tmp_path / "run.mp4", frames=12)
    found = answer(model, limits, video, tmp_path)
    assert found.words.startswith("Refused: ") and said in found.words
    assert [path.name for path in tmp_path.iterdir()] == ["run.mp4"]


def test_an_image_is_refused_by_its_header_alone(model: Model, tmp_path: Path) -> None:
    """A small file that would fill the memory: 900 megapixels of one colour."""
    path = tmp_path / "bomb.png"
    Image.new("1", (30000, 30000)).save(path)
    assert path.stat().st_size < 200_000
    assert "cannot be read" in answer(model, Limits(), path, tmp_path).words
    Image.new("1", (9000, 9000)).save(path)
    assert "9000x9000 = 81.0 megapixels, more than 25" in answer(model, Limits(), path, tmp_path).words


def test_what_is_no_image_is_said_without_its_folder(model: Model, tmp_path: Path) -> None:
    for name in ("a.png", "a.mp4", "a.txt"):
        (tmp_path / name).write_bytes(b"nothing")
        found = answer(model, Limits(), tmp_path / name, tmp_path)
        assert f"{name} cannot be read" in found.words and str(tmp_path) not in found.words


def test_a_file_that_was_not_uploaded_is_not_read(model: Model, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    outside = draw(tmp_path)
    (uploads / "link.png").symlink_to(outside)
    for path in (outside, uploads / ".." / "a.png", uploads / "link.png"):
        assert answer(model, Limits(), path, uploads) == Answer("Refused: this file was not uploaded.")


def test_limits_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="seconds"):
        Limits(seconds=0)


def asked(path: str, host: str, body: bytes | None = None, origin: str | None = None) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of a page behind the guard, which must get the body whole."""
    sent, parts = list[Any](), [] if body is None else [body[:5], body[5:]]

    async def page(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        assert body is None or (await receive())["body"] == body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    method = "GET" if body is None else "POST"
    headers = [(b"host", host.encode()), *([(b"origin", origin.encode())] if origin is not None else [])]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(Guard(page)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_the_guard_answers_this_machine_only() -> None:
    status, headers = asked("/", "127.0.0.1:7860")
    assert status == 200 and b"default-src 'self'" in headers[b"content-security-policy"]
    assert asked("/", "localhost:7860")[0] == 200
    for host in ("evil.example:7860", "evil.example", ""):
        assert asked("/", host)[0] == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8000", "null", ""])
def test_the_guard_refuses_what_the_page_of_another_site_sends(origin: str) -> None:
    for body in (None, b"{}"):
        assert asked("/gradio_api/upload", "localhost:7860", body, origin)[0] == 403
        assert asked("/gradio_api/upload", "localhost:7860", body, "http://localhost:7860")[0] == 200


@pytest.mark.parametrize("path", ["/gradio_api/file=http://a.example/x", "/gradio_api/file=https://a.example/x"])
def test_the_guard_lets_the_page_fetch_nothing(path: str) -> None:
    assert asked(path, "localhost:7860")[0] == 403
    assert asked("/gradio_api/file=/tmp/x.png", "localhost:7860")[0] == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("http://127.0.0.1:7860/gradio_api/file=/tmp/a.png", 200),
        ("https://a.example/a.png", 403),
        (r"HTTPS:\/\/a.example\/a.png", 403),
        (r"\u0068ttps://a.example/a.png", 403),
        ("http://127.0.0.1@a.example/a.png", 403),
        ("http://127.0.0.1.a.example/a.png", 403),
    ],
)
def test_the_guard_passes_on_no_address_of_another_machine(address: str, status: int) -> None:
    body = f'{{"data": [{{"path": "{address}"}}]}}'.encode()
    assert asked("/gradio_api/queue/join", "localhost:7860", body)[0] == status


def test_the_guard_refuses_a_large_request() -> None:
    assert asked("/gradio_api/queue/join", "localhost:7860", bytes(2_000_000))[0] == 403
