"""``dashboard``: the workspace that reaches W&B, against a stand-in for its server; no network, no account."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from callbacks.pictures.sheet import sheet
from callbacks.pictures.to_wandb import log_to_wandb
from experiments.cli import main
from experiments.commands import dashboard

Spec = dict[str, Any]


class Endpoint(ThreadingHTTPServer):
    """W&B's GraphQL endpoint, as far as a workspace needs it; it keeps what is saved."""

    def __init__(self, refusal: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusal = refusal
        self.saved: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/graphql":  # W&B's telemetry
            self.answer(404, {})
            return
        asked = json.loads(body)
        if "upsertView" not in asked["query"]:
            viewer = {"id": "VXNlcjox", "entity": "nobody", "username": "nobody", "flags": "{}", "teams": {"edges": []}}
            self.answer(200, {"data": {"viewer": viewer}})
        elif self.server.refusal is not None:
            self.answer(200, {"errors": [{"message": self.server.refusal}], "data": None})
        else:
            self.server.saved.append(asked["variables"])
            view = {"id": "Vmlldzox", "name": asked["variables"]["name"]}
            self.answer(200, {"data": {"upsertView": {"view": view, "inserted": True}}})

    def answer(self, code: int, content: dict[str, Any]) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    server = Endpoint(getattr(request, "param", None))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run(endpoint: Endpoint, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: W&B keeps its settings for the life of a process."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    account = {"WANDB_BASE_URL": endpoint.address, "WANDB_API_KEY": "x" * 40, "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "experiments", "dashboard", *arguments],
        env={**known, **account},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def laid_out(spec: Spec) -> dict[str, list[dict[str, Any]]]:
    """Panels of each section."""
    return {section["name"]: section["panels"] for section in spec["section"]["panelBankConfig"]["sections"]}


def of_kind(spec: Spec, kind: str) -> list[dict[str, Any]]:
    return [panel["config"] for panels in laid_out(spec).values() for panel in panels if panel["viewType"] == kind]


@pytest.fixture
def spec() -> Spec:
    return dashboard.stored_form(dashboard.build("nobody", "backdrop", dashboard.varied(None)))


def without_ids(content: object) -> object:
    """The same without the random names of panels."""
    if isinstance(content, dict):
        return {key: without_ids(value) for key, value in content.items() if key != "__id__"}
    return [without_ids(value) for value in content] if isinstance(content, list) else content


def test_the_workspace_reaches_wandb(endpoint: Endpoint, tmp_path: Path, spec: Spec) -> None:
    done = run(endpoint, tmp_path, "--project", "street")
    assert done.returncode == 0, done.stderr
    (saved,) = endpoint.saved
    assert (saved["entityName"], saved["projectName"], saved["type"]) == ("nobody", "street", "project-view")
    assert without_ids(json.loads(saved["spec"])) == without_ids(spec)
    address = f"{endpoint.address}/nobody/street?nw={saved['name'].removeprefix('nw-').removesuffix('-v')}"
    assert done.stdout.splitlines()[-1] == f"dashboard: {address}"


@pytest.mark.parametrize("endpoint", ["project not found"], indirect=True)
def test_a_refusal_is_one_sentence(endpoint: Endpoint, tmp_path: Path) -> None:
    done = run(endpoint, tmp_path, "--project", "street", "--entity", "team")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "did not take the dashboard of team/street" in line and "project not found" in line


def test_without_an_account_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["dashboard"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no account is configured" in line and "`wandb login`" in line and "`backdrop report DIR`" in line


def test_without_the_package_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    assert main(["dashboard", "--preview", str(tmp_path / "page.html")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install wandb-workspaces" in line


@pytest.fixture(scope="module")
def logging_run(fit_arguments: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages trained for two steps, each of which is logged."""
    run = tmp_path_factory.mktemp("logging")
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(run, stage, "--trainer.log_every_n_steps=1")) == 0
    return run


def test_every_line_is_logged_by_a_training(logging_run: Path, spec: Spec) -> None:
    logged = set[str]()
    for stage in ("inpaint", "segment"):
        with (logging_run / stage / "csv" / "metrics.csv").open(newline="") as text:
            logged |= set(csv.DictReader(text).fieldnames or ())
    shown = {name for panel in of_kind(spec, "Run History Line Plot") for name in panel["metrics"]}
    assert shown - logged == {"train/loss_perceptual", "val/loss_perceptual"}  # those of the paper's profile alone
    assert logged - shown <= {"epoch", "step", "val/best_threshold"} | {n for n in logged if n.startswith("lr-")}
    assert {panel["xAxis"] for panel in of_kind(spec, "Run History Line Plot")} == {"trainer/global_step"}


def test_every_picture_is_logged_by_the_callback(spec: Spec) -> None:
    class Logger:
        names: Sequence[str] = ()

        def log_image(self, key: str, images: list[Any], **options: object) -> None:
            self.names = (*self.names, key)

    black = torch.zeros(3, 8, 8)
    frame = {"clip": "bear", "index": 0, "image": black, "composite": black, "mask": torch.ones(1, 8, 8)}
    logger = Logger()
    log_to_wandb(logger, "val", sheet([frame]), [frame])  # type: ignore[arg-type]
    assert [name for panel in of_kind(spec, "Media Browser") for name in panel["mediaKeys"]] == list(logger.names)


def test_every_setting_is_in_the_config_that_is_logged(logging_run: Path, spec: Spec) -> None:
    settings = yaml.safe_load((logging_run / "segment" / "csv" / "hparams.yaml").read_text())
    (plot,) = of_kind(spec, "Parallel Coordinates Plot")
    runset = spec["section"]["runSets"][0]
    names = [axis["accessor"].removeprefix("config:") for axis in plot["columns"][:-1]]
    names += [group["name"] for group in runset["grouping"]]
    for name in names:
        first, value, *rest = name.split(".")
        assert value == "value"
        found = settings[first]
        for part in rest:
            found = found[part]
    assert [group["name"] for group in runset["grouping"]] == ["cli.value.run.data", "cli.value.run.stage"]
    assert plot["columns"][-1]["accessor"] == "summary:val/j_mean"
    columns = runset["runFeed"]["columnOrder"]
    assert {f"config:{name}" for name in names[:-2]} | {"summary:val/j_mean"} <= set(columns)


def test_a_sweep_names_the_parameters(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    parameters = {
        "model.init_args.detector.s_min": {"values": [0.1, 0.2]},
        "data.init_args.preset": {"values": ["ptz"]},
        "config": {"values": ["a.yaml", "b.yaml"]},
        "model.init_args.box_from_mask": {"value": True},
    }
    file.write_text(yaml.safe_dump({"method": "grid", "parameters": parameters}))
    names = dashboard.varied(str(file))
    (plot,) = of_kind(dashboard.stored_form(dashboard.build("nobody", "p", names)), "Parallel Coordinates Plot")
    axes = {axis["displayName"]: axis["accessor"] for axis in plot["columns"]}
    assert axes == {
        "s_min": "config:cli.value.model.init_args.detector.s_min",
        "preset": "config:cli.value.data.init_args.preset",
        "config": "config:cli.value.run.setting",
        "J": "summary:val/j_mean",
    }


@pytest.mark.parametrize("content", [None, "[", "method: grid", "- 1"])
def test_another_file_is_no_sweep(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.yaml"
    if content is not None:
        file.write_text(content)
    assert main(["dashboard", "--sweep", str(file), "--preview", str(tmp_path / "page.html")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    if content is None:
        assert line.startswith(f"error: There is no sweep {file}, neither here nor among the shipped ones (a7, ")
    else:
        assert line.startswith(f"error: The sweep {file} ") and line.endswith("give a W&B sweep file.")


def test_a_shipped_sweep_is_known_by_its_name(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["dashboard", "--sweep", "table4_3x3", "--preview", str(page)]) == 0
    assert "mask_prior_level" in page.read_text(encoding="utf-8")


def test_the_preview_draws_every_panel(tmp_path: Path, spec: Spec) -> None:
    page = tmp_path / "page.html"
    assert main(["dashboard", "--project", "street", "--preview", str(page)]) == 0
    html = page.read_text(encoding="utf-8")
    assert html.count("<strong>") == sum(map(len, laid_out(spec).values())) + 3  # and three titles of the run table
    for section in laid_out(spec):
        assert f"<h2>{section}</h2>" in html
    assert "val/sheet" in html and "cli.run.data" in html and "http" not in html.replace("http-equiv", "")
