"""``report``: one page that loads nothing, with all runs and their very numbers; broken runs are listed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from callbacks.pictures.png import save_png
from experiments.cli import main
from experiments.reporting import curves
from experiments.reporting.pictures import sheet_panels
from experiments.reporting.runs import find_runs
from experiments.results.measures import MEASURES

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VOID = {"meta", "img", "input", "br"}
ROWS = ("bear 0", "bear 1", "camel 0")


def write_sheet(path: Path, rows: tuple[str, ...], seed: int) -> None:
    """A sheet as MaskImages writes it, with noise in its panels."""
    columns, width, height = ["frame and box", "overlay"], 16, 12
    notes = {
        "columns": columns,
        "rows": rows,
        "lefts": [2 + (width + 2) * n for n in range(len(columns))],
        "tops": [2 + (height + 2) * n for n in range(len(rows))],
        "panel": [width, height],
    }
    shape = (2 + (height + 2) * len(rows), 2 + (width + 2) * len(columns), 3)
    save_png(path, np.random.default_rng([seed, len(rows)]).integers(0, 255, shape, dtype=np.uint8), notes)


def scores(seed: int) -> dict[str, Any]:
    numbers = np.random.default_rng(seed).random(32).tolist()
    named = {name: numbers.pop() for column in MEASURES for name in (column, f"best_{column}")}
    return {**named, "best_threshold": 0.35, "average_precision": None, "frames": 3, "masks": 3}


def write_run(folder: Path, seed: int, data: str = "demo") -> None:
    """A run as training and evaluation leave it."""
    for stage in ("inpaint", "segment"):
        csv = folder / stage / "csv" / "metrics.csv"
        csv.parent.mkdir(parents=True)
        csv.write_text(f"epoch,step,train/loss,val/loss,val/j_mean\n0,9,0.{seed}5,,\n0,19,0.2,,\n0,19,,0.3,0.{seed}\n")
        config = {
            "seed_everything": seed,
            "model": {
                "class_path": "lightning_modules.SegmentationModule",
                "init_args": {"s_min": 0.2, "inpainter_ckpt": f"/somewhere/{seed}"},
            },
            "run": {"data": data, "profile": "small", "stage": stage, "id": f"id{seed}", "commits": [f"{seed}" * 40]},
            "trainer": {"max_steps": 20},
        }
        (folder / stage / "config_fit.yaml").write_text(yaml.safe_dump(config))
    write_sheet(folder / "segment" / "images" / "test_sheet.png", ROWS, seed)
    write_sheet(folder / "segment" / "images" / "test_frames.png", ("bear 1 worst J 0.100", "camel 0 best J 0.9"), seed)
    write_sheet(folder / "inpaint" / "images" / "val_step_000020.png", ("bear 0",), seed)
    floors = {"whole_frame": scores(100), "centred_blob": scores(101)}
    settings = {"data": None, "profile": "small", "scale": None, "mode": "separate"}
    made = {"command": f"python -m experiments evaluate <{seed}>", "commit": "c" * 40, "dirty": True, "date": "today"}
    made |= {"seed": seed, "settings": settings}
    results = {**scores(seed), "clips": {"bear": scores(seed + 50)}, "floors": floors, "made_by": made}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "frames.csv").write_text("clip,frame,j,box_iou\nbear,0,0.5,0.4\nbear,1,0.1,0.3\ncamel,0,0.9,0.8\n")


class Element:
    """One element of a page: its name, attributes, text, and what is in it."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes, self.text = name, attributes, ""
        self.inner: list[Element] = []

    def all(self, name: str) -> Iterator[Element]:
        for element in self.inner:
            if element.name == name:
                yield element
            yield from element.all(name)

    @property
    def whole_text(self) -> str:
        return " ".join([self.text.strip(), *(element.whole_text for element in self.inner)]).strip()


class Page(HTMLParser):
    """A page as a tree; an element that is closed wrongly fails the test."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inner.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data

    def all(self, name: str) -> list[Element]:
        return list(self.root.all(name))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one data set, a baseline in the first, and the report of all."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in ((1, "one"), (2, "deeper/<two> & ümlaut")):
        write_run(folder / name, seed)
    baseline = folder / "one" / "baselines" / "mog2"
    baseline.mkdir(parents=True)
    whole = json.loads((folder / "one" / "results.json").read_text())
    (baseline / "results.json").write_text(json.dumps({**whole, **scores(3), "clips": {}, "floors": {}}))
    assert main(["report", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def page(runs: Path) -> Page:
    return Page(runs / "report.html")


def test_the_page_loads_nothing(page: Page) -> None:
    sources = [e.attributes["src"] for e in page.all("img") if "src" in e.attributes]
    assert sources and all(source.startswith("data:image/webp;base64,") for source in sources)
    for name in ("link", "iframe", "object", "embed", "base"):
        assert not page.all(name)
    assert not [e for e in page.all("script") if "src" in e.attributes]
    assert all(a.attributes["href"].startswith("#") for a in page.all("a"))
    styles = page.all("style")[0].text
    assert "url(" not in styles and "@import" not in styles
    policies = [e for e in page.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0].attributes["content"].startswith("default-src 'none'")


def test_links_lead_somewhere(page: Page) -> None:
    named = [e.attributes for kind in ("section", "select", "div", "input", "p") for e in page.all(kind)]
    names = [attributes["id"] for attributes in named if "id" in attributes]
    assert len(names) == len(set(names))
    assert {a.attributes["href"][1:] for a in page.all("a")} <= set(names)
    assert {label.attributes["for"] for label in page.all("label") if "for" in label.attributes} <= set(names)


def test_the_numbers_are_those_of_the_results(runs: Path, page: Page) -> None:
    found: dict[str, dict[str, float]] = {}
    for table in page.all("table")[:2]:  # fixed threshold, best threshold
        for row in table.all("tr"):
            cells = {c.attributes["data-key"]: c for c in row.all("td") if "data-key" in c.attributes}
            name = next(row.all("th")).whole_text
            for key, cell in cells.items():
                value = float(cell.attributes["data-value"])
                assert cell.text == f"{value:.2f}" if key == "best_threshold" else cell.text == f"{value:.3f}"
                found.setdefault(name, {})[key] = value
    floors = json.loads((runs / "one" / "results.json").read_text())["floors"]
    wanted = {name: json.loads((runs / name / "results.json").read_text()) for name in ("one", "one/baselines/mog2")}
    wanted["deeper/<two> & ümlaut"] = json.loads((runs / "deeper/<two> & ümlaut" / "results.json").read_text())
    wanted |= {"whole frame": floors["whole_frame"], "centred blob": floors["centred_blob"]}
    assert found.keys() == wanted.keys()
    for name, numbers in wanted.items():
        keys = [key for column in MEASURES for key in (column, f"best_{column}")] + ["best_threshold"]
        assert found[name] == {key: numbers[key] for key in keys}


def test_settings_that_differ_are_told_from_those_that_do_not(page: Page) -> None:
    tables = {t.whole_text.split("  ")[0]: t for t in page.all("table")}
    table = next(t for name, t in tables.items() if name.startswith("Settings that differ, stage segment"))
    rows = {next(row.all("th")).whole_text: [c.text for c in row.all("td")] for row in table.all("tr")}
    del rows[""]
    assert rows == {"seed_everything": ["2", "1"]}  # not the id, nor where the inpainter lies


def test_what_made_the_runs_is_told(page: Page) -> None:
    text = page.all("table")[-1].whole_text
    parts = ("python -m experiments evaluate <1>", "cccccccccc-dirty", "1111111111", "inpaint 20; segment 20")
    assert [part for part in parts if part not in text] == []


def test_pictures_are_each_there_once_and_described(page: Page) -> None:
    drawn = [e.attributes for e in page.all("img") if e.attributes.get("src")]
    first = [a for a in drawn if a["alt"].endswith("mask over the frame")]
    assert len(drawn) - len(first) == 2 * 2 * (len(ROWS) + 2 + 1)
    assert len({a["src"] for a in drawn}) == len(drawn) - len(first)  # the first screen shows three of each run again
    assert {"one: bear 1 worst J 0.100, overlay", "one: camel 0, overlay"} <= {a["alt"] for a in drawn}
    assert sorted({a["data-frame"] for a in drawn if "data-frame" in a}) == list(ROWS)


def test_a_run_at_a_glance_shows_its_worst_median_and_best_frames(page: Page) -> None:
    card = next(e for e in page.all("article") if "one" in next(e.all("h3")).whole_text.split())
    assert next(card.all("img")).attributes["alt"] == "one: bear 1 worst J 0.100, mask over the frame"
    text = card.whole_text
    assert f"{scores(1)['j_mean']:.3f}" in text and "cues agree" not in text


def test_bars_of_each_clip_stand_beside_the_floors(page: Page) -> None:
    labels = [e.attributes["aria-label"] for e in page.all("div") if e.attributes.get("class", "").startswith("bar ")]
    label = next(label for label in labels if label.startswith("bear, one: "))
    assert label.startswith(f"bear, one: J {scores(51)['j_mean']:.3f}; whole frame {scores(100)['j_mean']:.3f}")
    assert f"centred blob {scores(101)['j_mean']:.3f}" in label


def test_tables_and_what_concerns_the_method_are_folded(page: Page) -> None:
    folded = {id(table) for details in page.all("details") for table in details.all("table")}
    assert page.all("table") and {id(table) for table in page.all("table")} == folded
    assert not any("open" in details.attributes for details in page.all("details"))


def test_a_run_that_is_not_finished_or_not_evaluated_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "short", 1)
    write_run(tmp_path / "stage1", 2)
    config = tmp_path / "short" / "segment" / "config_fit.yaml"
    config.write_text(config.read_text().replace("max_steps: 20", "max_steps: 50"))
    torch.save({"state_dict": {}, "global_step": 20}, checkpoint(tmp_path / "short" / "segment"))
    (tmp_path / "short" / "results.json").unlink()
    shutil.rmtree(tmp_path / "stage1" / "segment")
    assert main(["report", str(tmp_path)]) == 0
    text = {next(e.all("h3")).whole_text: e.whole_text for e in Page(tmp_path / "report.html").all("article")}
    assert "step 20 of 50" in text["short"] and "It is not evaluated: " in text["short"]
    assert "Stage segment is not trained yet." in text["stage1"]


def checkpoint(stage: Path) -> Path:
    (stage / "checkpoints").mkdir()
    return stage / "checkpoints" / "last.ckpt"


def test_the_score_and_the_agreement_of_the_cues_are_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "one", 1)
    trust = {"frames": 3, "agree": 0.25, "clips": {}, "features": "none"}
    (tmp_path / "one" / "segment" / "trust.json").write_text(json.dumps(trust))
    rows = "bear,0,0.5,0.4,0.2\nbear,1,0.1,0.3,\ncamel,0,0.9,0.8,0.95\n"
    (tmp_path / "one" / "frames.csv").write_text(f"clip,frame,j,box_iou,score\n{rows}")
    assert main(["report", str(tmp_path)]) == 0
    page = Page(tmp_path / "report.html")
    assert "cues agree 25%" in " ".join(page.all("article")[0].whole_text.split())
    labels = [e.attributes["aria-label"] for e in page.all("svg")]
    assert any(label.startswith(curves.RISK_TITLE) and "one ends at 0.3" in label for label in labels)


def test_curves_end_where_the_log_does(runs: Path, page: Page) -> None:
    labels = [e.attributes["aria-label"] for e in page.all("svg")]
    label = next(label for label in labels if label.startswith("loss by"))
    assert "one train ends at 0.2" in label and "one val ends at 0.3" in label
    (chart,) = [c for c in curves.stage_charts(find_runs(runs), "segment")[1] if c.title == "j_mean"]
    heights = {line.label: line.points[0][1] for line in chart.lines}
    assert heights["one val"] > heights["deeper/<two> & ümlaut val"]  # 0.1 lies below 0.2


def test_long_curves_are_averaged() -> None:
    thin = curves.thinned([(step, step % 2) for step in range(1000)])
    assert len(thin) == curves.MOST_POINTS and thin[0] == (2.0, 0.4)


@pytest.mark.parametrize(
    ("values", "low", "high"), [([0.2, 0.9], 0.2, 1), ([5.0], 4.5, 5.5), ([-3e-6, 4e-6], -4e-6, 4e-6)]
)
def test_ticks_enclose_the_values(values: list[float], low: float, high: float) -> None:
    ticks = curves.axis_ticks(values)
    assert ticks == sorted(set(ticks)) and ticks[0] <= min(values) and ticks[-1] >= max(values)
    assert ticks[0] <= low and ticks[-1] >= high


@pytest.mark.parametrize("value", [0.001, 0.2, -0.7])
def test_what_is_constant_is_drawn_as_a_level_line(value: float) -> None:
    points = curves.thinned([(step, value) for step in range(1810)])  # equal but for rounding
    drawn = curves.chart("lr", "step", [curves.Series(0, "run", False, points)])
    assert len({y for _, y in drawn.lines[0].points}) == 1 and len(drawn.y_ticks) > 1


def test_panels_are_the_sheets_own(tmp_path: Path) -> None:
    write_sheet(tmp_path / "a.png", ROWS, 0)
    rows = sheet_panels(tmp_path / "a.png", ["overlay"])
    assert [[(p.row, p.column, p.size) for p in row] for row in rows] == [[(n, "overlay", (16, 12))] for n in ROWS]
    save_png(tmp_path / "old.png", np.zeros((30, 3000, 3), np.uint8))  # of an earlier version
    ((panel,),) = sheet_panels(tmp_path / "old.png", ["overlay"])
    assert (panel.row, panel.column, panel.size) == ("old", "sheet", (1024, 10))


def test_broken_runs_are_listed_and_the_others_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in ((1, "good"), (2, "bad")):
        write_run(tmp_path / name, seed)
    bad = tmp_path / "bad"
    (bad / "results.json").write_text("{")
    (bad / "frames.csv").write_text("x,y\n1,2\n")
    (bad / "inpaint" / "config_fit.yaml").write_text("[")
    (bad / "segment" / "csv" / "metrics.csv").write_text("step,train/loss\n1,much\n")
    (bad / "segment" / "images" / "test_sheet.png").write_bytes(b"\x89PNG no more")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text('{"speeds": {}}')
    assert main(["report", str(tmp_path), "--output", str(tmp_path / "out" / "page.html")]) == 0
    page = Page(tmp_path / "out" / "page.html")
    (section,) = [e for e in page.all("section") if e.attributes["id"] == "problems"]
    problems = [item.text for item in section.all("li")]
    files = ("results.json", "frames.csv", "config_fit.yaml", "metrics.csv", "test_sheet.png", "other/results.json")
    for file in files:
        assert [p for p in problems if file in p and "cannot be read" in p], file
    assert len(problems) == len(files)
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == len(problems)
    assert "good" in page.all("table")[0].whole_text
    assert not list(tmp_path.rglob(".*.part"))


def test_sheets_of_earlier_versions_are_shown_and_not_compared(tmp_path: Path) -> None:
    for seed, name in ((1, "one"), (2, "two")):
        write_run(tmp_path / name, seed)
        save_png(tmp_path / name / "segment" / "images" / "test_sheet.png", np.full((9, 9, 3), seed, np.uint8))
    assert main(["report", str(tmp_path)]) == 0
    page = Page(tmp_path / "report.html")
    assert "one: test_sheet, sheet" in [e.attributes["alt"] for e in page.all("img")]
    assert not [e for e in page.all("img") if "data-frame" in e.attributes]
    assert "compare" not in [e.attributes["id"] for e in page.all("section")]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("results.json", '{"j_mean": 0.5, "clips": ["x"]}'),
        ("results.json", '{"j_mean": 0.5, "made_by": "me"}'),
        ("results.json", '{"j_mean": 0.5, "floors": {"whole_frame": 1}}'),
        ("segment/config_fit.yaml", "run: demo\n"),
    ],
)
def test_files_of_another_shape_are_left_out(file: str, content: str, tmp_path: Path) -> None:
    write_run(tmp_path / "bad", 1)
    (tmp_path / "bad" / file).write_text(content)
    assert main(["report", str(tmp_path)]) == 0
    (section,) = [e for e in Page(tmp_path / "report.html").all("section") if e.attributes["id"] == "problems"]
    assert [item.text for item in section.all("li") if file in item.text and "left out" in item.text]


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_a_folder_without_runs_is_one_sentence(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs"
    if what == "file":
        folder.write_text("")
    if what == "empty":
        folder.mkdir()
    assert main(["report", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    said = {"missing": "does not exist: give", "file": "is no folder: give", "empty": "holds no run, that is"}
    assert line.startswith(f"error: {folder} {said[what]}")
    assert not (folder / "report.html").exists()


def test_a_run_by_itself_has_a_report(runs: Path, tmp_path: Path) -> None:
    assert main(["report", str(runs / "one"), "--output", str(tmp_path / "page.html")]) == 0
    page = Page(tmp_path / "page.html")
    assert not [e for e in page.all("section") if e.attributes["id"] == "problems"]
    assert "one" in page.all("table")[0].whole_text and "baselines/mog2" in page.all("table")[0].whole_text


PROBE = """
<script>
const pair = document.getElementById("pair"), cut = document.getElementById("cut");
const [first, second] = pair.querySelectorAll("img");
const report = {sources: [first.src.slice(0, 11), second.src.slice(0, 11)], same: first.src === second.src};
report.before = getComputedStyle(second).clipPath;
cut.value = "20"; cut.dispatchEvent(new Event("input"));
report.after = getComputedStyle(second).clipPath;
const frame = document.getElementById("frame"), old = first.src;
frame.value = "camel 0"; frame.dispatchEvent(new Event("change"));
report.changed = first.src !== old; report.alt = first.alt;
document.querySelector("[value=sides]").click();
report.sides = getComputedStyle(second).clipPath; report.hidden = getComputedStyle(cut.parentElement).display;
document.querySelector("[data-toggle='0']").click();
const lines = [...document.querySelectorAll("svg [data-run='0']")];
report.lines = lines.every((line) => getComputedStyle(line).display === "none");
document.querySelector("#scores details").open = true;
const title = document.querySelector("#scores table th:nth-child(2) button"); title.click();
report.sorted = [...title.closest("table").tBodies[0].rows].map((row) => row.cells[1].textContent.trim());
report.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const out = document.createElement("pre");
out.id = "probe";
out.textContent = JSON.stringify(report);
document.body.append(out);
</script>
"""


def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


def test_the_page_works_in_a_browser(runs: Path, tmp_path: Path) -> None:
    program = browser()
    html = (runs / "report.html").read_text(encoding="utf-8")
    probed = tmp_path / "probed.html"
    probed.write_text(html.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
    command += ["--window-size=500,900", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, f"file://{probed}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)
    assert found is not None
    seen = json.loads(found.group(1))
    assert seen["sources"] == ["data:image/"] * 2 and not seen["same"]
    assert "50%" in seen["before"] and "20%" in seen["after"]
    assert seen["changed"] and seen["alt"].endswith(": camel 0, overlay")
    assert seen["sides"] == "none" and seen["hidden"] == "none" and seen["lines"]
    *runs_first, whole, blob = seen["sorted"]
    assert runs_first == sorted(runs_first, reverse=True) and len(runs_first) == 3
    assert {whole, blob} == {f"{scores(seed)['j_mean']:.3f}" for seed in (100, 101)}
    assert seen["wide"] <= 0  # no sideways scrolling on a narrow screen
