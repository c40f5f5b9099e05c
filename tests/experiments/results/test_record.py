"""The results record: it reads what it writes, checks what it reads, and its tables are written in five ways."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from backdrop.errors import RunError
from experiments.results.record import MadeBy, Results, Settings
from experiments.results.table import Column, Table, mean, number, row
from experiments.results.writers import comma_separated, html, latex, markdown, terminal

SETTINGS = Settings(data="demo", profile="small", scale=0.25, mode="separate", thresholds=[0.25, 0.5])
MADE_BY = MadeBy(command="python -m experiments evaluate run", commit=None, dirty=None, seed=3, settings=SETTINGS)


def record(**made: Any) -> Results:  # noqa: ANN401
    numbers = {"j_mean": 0.1 + 0.2, "hit_rate": math.nan, "frames": 4}
    return Results.of({**numbers, "clips": {"a": numbers}, "floors": {}}, MadeBy(**{**vars(MADE_BY), **made}))


def test_it_reads_what_it_writes(tmp_path: Path) -> None:
    models = {"a": MADE_BY}
    whole = record(models=models, versions={"torch": "2"}, seconds_per_frame=0.5)
    whole.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == whole
    written = json.loads((tmp_path / "results.json").read_text())
    assert list(written) == ["j_mean", "hit_rate", "frames", "clips", "floors", "made_by"]
    assert written["j_mean"] == 0.1 + 0.2 and written["hit_rate"] is None
    assert written["made_by"]["commit"] is None and "setting" not in written["made_by"]
    assert written["made_by"]["settings"] == {
        "data": "demo", "profile": "small", "scale": 0.25, "mode": "separate", "thresholds": [0.25, 0.5],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("made_by", "seed"), "3", "made_by.seed is '3', expected a whole number"),
        (("made_by", "settings", "scale"), True, "made_by.settings.scale is True, expected a number"),
        (("made_by", "settings"), [], "made_by.settings holds no fields"),
        (("made_by", "settings", "thresholds"), 0.5, "made_by.settings.thresholds is no list"),
        (("made_by", "settings", "data"), ..., "made_by.settings.data is missing"),
        (("clips", "a", "j_mean"), "much", "clips.a.j_mean is 'much', expected a number"),
        (("floors",), ..., "floors is missing"),
        (("j_mean",), ..., "it holds no scores"),
    ],
)
def test_it_refuses_other_files(path: tuple[str, ...], value: object, message: str, tmp_path: Path) -> None:
    record().write(tmp_path / "results.json")
    content = json.loads((tmp_path / "results.json").read_text())
    part = content
    for name in path[:-1]:
        part = part[name]
    if value is ...:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(RunError) as error:
        Results.read(tmp_path / "results.json")
    assert f"results.json cannot be read as results of this version ({message}): delete it" in str(error.value)


def test_a_table_is_written_in_five_ways(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (
        Column("name", "name", words=True),
        Column("J", "j_mean", spread=True),
        Column("AP", "ap", optional=True),
        Column(None, "seed"),
    )
    named = row("a_b [x] <i>", mean([0.25, 0.5]), "", "0 1")
    lines = (named, row("c", number(0.1 + 0.2), "", "0", look="floor", run=1))
    tables = [Table("T", columns, lines, note="a note")]
    assert markdown(tables).splitlines()[2:6] == [
        "| name | J |", "| --- | ---: |", r"| a_b \[x\] \<i\> | 0.375 ± 0.177 |", "| c | 0.300 |",
    ]  # fmt: skip
    assert r"a\_b [x] <i> & 0.375 $\pm$ 0.177 \\" in latex(tables) and r"\begin{tabular}{lr}" in latex(tables)
    assert comma_separated(tables) == (
        "name,j_mean,j_mean_std,seed\na_b [x] <i>,0.375,0.1767766952966369,0 1\nc,0.30000000000000004,,0\n"
    )
    page = html(tables[0])
    assert '<td data-value="0.30000000000000004" data-key="j_mean">0.300</td>' in page
    assert "a_b [x] &lt;i&gt;" in page and '<tr class="floor">' in page and "AP" not in page
    terminal(*tables)
    assert "a_b [x] <i>" in capsys.readouterr().out
