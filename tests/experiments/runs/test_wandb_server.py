"""W&B is asked to be online, and its server is away, refuses the key, or goes away in the middle.

The server here is a stand-in that answers what wandb 0.31.0 asks of it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import wandb

from experiments.cli import main
from experiments.runs import loggers
from experiments.runs.folder import StageFolder
from experiments.runs.wandb_account import has_account, unreachable
from tests.wandb_log import records

FitArguments = Callable[..., list[str]]

BUCKET: dict[str, Any] = {
    "id": "UnVuOg==",
    "name": "run",
    "displayName": "run",
    "config": "{}",
    "historyLineCount": 0,
    "project": {"id": "1", "name": "backdrop", "entity": {"id": "1", "name": "somebody"}},
}
ANSWER = {
    "viewer": {"id": "1", "entity": "somebody", "username": "somebody", "flags": "{}", "teams": {"edges": []}},
    "upsertBucket": {"bucket": BUCKET, "inserted": True},
}


class Server(ThreadingHTTPServer):
    """Knows every key, or none; goes away where a run has begun to send what it logs, if it is told to."""

    knows, stays = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []

    def go(self) -> None:
        """Answer no more, and be no more to be found."""
        self.socket.close()
        Thread(target=self.shutdown).start()


class Answers(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(self.path)
        if self.path.endswith("file_stream") and not self.server.stays:
            self.server.go()
        if "graphql" not in self.path:
            self.answer({})
        elif self.server.knows:
            self.answer({"data": ANSWER})
        else:
            self.answer({"errors": [{"message": "unauthorized"}]}, 401)

    def answer(self, content: dict[str, Any], code: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: object) -> None:
        """Be quiet."""


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server, an account on it, and nothing else of W&B."""
    server = Server()
    Thread(target=server.serve_forever, daemon=True).start()
    for name in ("WANDB_MODE", "NETRC"):
        monkeypatch.setenv(name, "")  # so that what Lightning sets is taken away again
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    wandb.teardown()
    yield server
    server.shutdown()
    server.server_close()
    wandb.teardown()


def check_trained_offline(folder: StageFolder, said: str) -> None:
    """The training was finished, and its log lies in a folder for ``wandb sync``."""
    progress = folder.progress()
    assert progress is not None and progress.step == 2
    assert list((folder.path / "wandb").glob("offline-run-*/*.wandb"))
    assert said.count("logged offline") == 1 and "wandb sync" in said


def test_a_training_begins_where_the_server_is_away(
    online: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fit_arguments: FitArguments,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert main(fit_arguments(tmp_path, "inpaint")) == 0
    said = capfd.readouterr().err
    assert "is not reachable" in said
    check_trained_offline(StageFolder(tmp_path / "inpaint"), said)


def test_a_training_begins_where_the_key_is_not_known(
    online: Server, tmp_path: Path, fit_arguments: FitArguments, capfd: pytest.CaptureFixture[str]
) -> None:
    online.knows = False
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    said = capfd.readouterr().err
    assert "W&B does not take this run" in said and "unauthorized" in said
    check_trained_offline(StageFolder(tmp_path / "inpaint"), said)


def test_a_training_ends_where_the_server_goes_away_in_the_middle(
    online: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fit_arguments: FitArguments,
    capfd: pytest.CaptureFixture[str],
) -> None:
    online.stays = False
    monkeypatch.setattr(loggers, "FINISH_S", 3)
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    assert any(path.endswith("file_stream") for path in online.asked)
    said = capfd.readouterr().err
    assert "W&B had not taken all of this run" in said and "wandb sync" in said
    (file,) = (tmp_path / "inpaint" / "wandb").glob("run-*/*.wandb")
    logged = [record.history for record in records(file) if record.WhichOneof("record_type") == "history"]
    names = {"/".join(item.nested_key) or item.key for history in logged for item in history.item}
    assert {"val/loss", "trainer/global_step"} <= names  # what the last step logged is in the file that is sent later


def test_a_server_that_answers_is_reachable(online: Server) -> None:
    assert unreachable() is None


def test_a_server_whose_encryption_python_refuses_is_left_to_wandb(
    online: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private certificate, as of a server of one's own, is known to wandb by other settings than to Python."""
    monkeypatch.setenv("WANDB_BASE_URL", f"https://127.0.0.1:{online.server_port}")  # where no TLS is spoken
    assert unreachable() is None


def test_an_account_on_either_of_wandbs_servers_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Up to wandb 0.30 its server was api.wandb.ai; wandb 0.31.0 writes another name into netrc."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    default = wandb.Settings().base_url.removeprefix("https://")
    for host, has in (("elsewhere.org", False), ("api.wandb.ai", True), (default, True)):
        (tmp_path / "netrc").write_text(f"machine {host} login user password {'x' * 40}\n")
        assert has_account() is has
