"""Data modules yield, of tiny data, the same batches to the last bit as at commit 41bc105.

Some values are younger. The frames of "videos", and what is made of them: at 41bc105 frames of video files were one to
two grey levels too dark. The plates of "demo, jpeg": at 41bc105 a plate, its coverage and its evidence were compressed
as one picture, in which the colours of the last row of the plate bled into the coverage below it.

data.json holds check sums and means of every batch; it is made by tests/golden/make.py. Pixels depend on the decoders:
where the fingerprint in the file is not that of this machine, names, shapes, types, order and means are compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import data, files

GOLDEN = files.read("data")
SLOW = {"h36m, static", "h36m, temporal", "demo, static", "demo, ptz", "videos, temporal", "demo-2", "long, measured"}
SLOW |= {"long, agreed", "long, one_subject", "handheld", "davis-2017", "ski-crops", "h36m-labels"}


@pytest.fixture(scope="session")
def exact() -> bool:
    """Whether this machine computes the same last digits."""
    return files.exact(GOLDEN, data.PACKAGES)


def test_every_data_module_has_golden_values() -> None:
    assert set(GOLDEN["settings"]) == set(data.SETTINGS)


@pytest.mark.parametrize(
    "setting", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in data.SETTINGS]
)
def test_a_data_module_yields_the_golden_batches(setting: str, tmp_path: Path, exact: bool) -> None:
    golden, found = GOLDEN["settings"][setting], data.measure(setting, tmp_path)
    if exact:
        files.require_equal(golden, found)
        return
    for split, batches in golden.items():
        assert set(found[split]) == set(batches)
        for name, expected in batches.items():
            if name in ("clip", "index"):
                assert found[split][name] == expected, f"{split} {name}"
                continue
            for one, other in zip(found[split][name].split("; "), expected.split("; "), strict=True):
                (*kind, _, mean), (*golden_kind, _, golden_mean) = one.split(), other.split()
                assert kind == golden_kind, f"{split} {name}"
                assert float(mean) == pytest.approx(float(golden_mean), rel=0.02, abs=0.005), f"{split} {name}"
