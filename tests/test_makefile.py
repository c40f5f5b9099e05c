"""The Makefile: set-up once, no stamp after a failure, help, and sentences for what is missing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PYTHON = """#!/usr/bin/env bash
# Stands in for Python: `-m venv DIR` makes DIR/bin/python, which writes down what it is asked to do.
set -eu
if [ "$1" = -m ] && [ "$2" = venv ]; then
    mkdir -p "$3/bin"
    printf '#!/usr/bin/env bash\\necho "$*" >> "%s/log"\\nexit "${FAIL:-0}"\\n' "$3" > "$3/bin/python"
    chmod +x "$3/bin/python"
fi
"""


class Make:
    """Runs make with a stand-in for Python and a virtual environment of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.venv, self.python = root, folder / "venv", folder / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)

    def __call__(self, *words: str, fail: int = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "--no-print-directory", f"PYTHON={self.python}", f"VENV={self.venv}", *words],
            cwd=self.root,
            env={**os.environ, "FAIL": str(fail)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def log(self) -> list[str]:
        file = self.venv / "log"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def make(root: Path, tmp_path: Path) -> Make:
    return Make(root, tmp_path)


def test_the_second_call_installs_nothing(make: Make) -> None:
    assert make("lint").returncode == 0
    assert make("lint").returncode == 0
    assert [line for line in make.log if "pip install" in line] == [make.log[0]]
    assert "-c .ci/constraints.txt -e .[dev]" in make.log[0]
    assert make.log[1:] == ["-m ruff check ."] * 2


def test_a_failed_installation_leaves_no_stamp(make: Make) -> None:
    done = make("lint", fail=3)
    assert done.returncode != 0
    assert not (make.venv / ".stamp").exists()
    assert len(make.log) == 1  # nothing ran on a half installation
    assert make("lint").returncode == 0  # the next call installs again
    assert [line.startswith("-m pip install") for line in make.log] == [True, True, False]


def test_new_dependencies_are_installed(make: Make) -> None:
    assert make("install").returncode == 0
    os.utime(make.venv / ".stamp", (0, 0))  # older than pyproject.toml
    assert make("install").returncode == 0
    assert len(make.log) == 2


def test_the_demo_is_a_training_and_an_evaluation(make: Make) -> None:
    assert make("demo", "SEED=3").returncode == 0
    ran = [line for line in make.log if line.startswith("-m experiments")]
    assert [line.split()[2] for line in ran] == ["train", "evaluate"]
    assert "--data demo --profile small --run runs/demo --seed 3" in ran[0]


def test_a_training_is_that_of_the_command_line(make: Make) -> None:
    words = ["DATA=videos", "ROOT=/my data", "RUN=runs/mine", "STEPS=7", "HELD_OUT=0.2"]
    assert make("train", *words, "ARGS=--trainer.precision 32-true").returncode == 0
    assert make.log[-1] == (
        "-m experiments train --data videos --profile small --root /my data --run runs/mine --seed 0 --steps 7 "
        "-- --data.init_args.held_out 0.2 --trainer.precision 32-true"
    )


def test_a_failing_stage_ends_the_demo(make: Make) -> None:
    assert make("install").returncode == 0
    assert make("demo", fail=1).returncode != 0
    assert len([line for line in make.log if line.startswith("-m experiments")]) == 1


def test_variables_become_options(make: Make) -> None:
    words = ["DATA=davis", "ROOT=/my data", "CLIPS=dance-twirl parkour", "PROFILE=paper", "STEPS=7", "ARGS=--a 'b c'"]
    assert make("train-inpaint", *words, "RESOLUTION=1080p").returncode == 0
    line = make.log[-1]
    for part in (
        "fit --stage inpaint --data davis --profile paper --trainer.default_root_dir runs/davis/inpaint",
        '--data.init_args.root /my data --data.init_args.clips ["dance-twirl","parkour"] ',
        "--data.init_args.resolution 1080p",
        "--trainer.max_steps 7 --a b c",
    ):
        assert part in line


@pytest.mark.parametrize("name", ["001", "no", "on", "1e5", "null", "John's", '"a"', "a$$b", "`id`"])
def test_a_clip_of_any_name_is_a_name(make: Make, name: str) -> None:
    """What YAML 1.1 takes for a number or a truth value is a name here, and no shell eats its marks."""
    assert make("train-inpaint", "DATA=davis", f"CLIPS={name}").returncode == 0
    (clips,) = re.findall(r"--data\.init_args\.clips (\[.*?\])(?: |$)", make.log[-1])
    assert yaml.safe_load(clips) == [name.replace("$$", "$")]


def test_baselines_run_at_the_size_of_the_evaluation(make: Make) -> None:
    assert make("baselines", "DATA=davis", "ROOT=/x", "CLIPS=bear", "METHOD=mog2 flow", "RUN=r").returncode == 0
    assert make.log[-1] == (
        "-m experiments baselines r --method mog2 flow --data davis --data.init_args.root /x "
        '--data.init_args.clips ["bear"]'
    )


def test_sizes_are_those_of_the_data_set_asked_for(make: Make) -> None:
    assert make("flops", "DATA=davis").returncode == 0
    assert make.log[-1] == "-m experiments flops --data davis"


def test_a_gpu_machine_needs_no_installation_where_python_has_everything(make: Make) -> None:
    make.python.write_text("#!/usr/bin/env bash\necho \"$*\" >> \"$0.log\"\n")
    assert make("gpu-proof", "ROOT=/my data", "CLIPS=bear camel", "ARGS=--budget-s 9").returncode == 0
    asked, ran = make.python.with_suffix(".log").read_text().rsplit("\n", 2)[:2]
    assert asked.startswith("-c") and "jsonargparse" in asked
    assert ran == "-m experiments gpu-proof --root /my data --clips bear camel --budget-s 9"
    assert not make.venv.exists()


def test_the_gpu_proof_installs_what_is_missing(make: Make) -> None:
    make.python.write_text(PYTHON.replace("set -eu\n", '[[ "$*" != *find_spec* ]] || exit 1\nset -eu\n'))
    assert make("gpu-proof", "RUN=r", "SEED=1").returncode == 0
    assert make.log[0].startswith("-m pip install") and make.log[1:] == ["-m experiments gpu-proof --run r --seed 1"]
    assert make("gpu-proof").returncode == 0
    assert make.log[2:] == ["-m experiments gpu-proof"]


def test_every_value_is_one_word(make: Make) -> None:
    """Whatever is in it; ARGS alone is read by the shell."""
    odd = "it's \"my\" folder; echo $HOME * `date`"
    escaped = odd.replace("$", "$$")
    assert make("train-seg", f"RUN={escaped}", f"ROOT={escaped}", "DATA=davis", "STEPS=1 2").returncode == 0
    for part in (f"{odd}/segment", f"--data.init_args.root {odd}"):
        assert part in make.log[-1]
    for target in ("train", "evaluate", "predict", "report", "davis", "sweep", "inspect", "baselines", "gpu-proof"):
        words = [f"{name}={escaped}" for name in ("RUN", "ROOT", "INPUT", "OUTPUT")]
        assert make(target, *words).returncode == 0
        assert odd in make.log[-1]


def test_a_report_is_of_the_folder_asked_for(make: Make) -> None:
    assert make("report", "RUN=my runs", "OUTPUT=a page.html").returncode == 0
    assert make.log[-1] == "-m experiments report my runs --output a page.html"
    assert make("dashboard", "ARGS=--project p --entity e").returncode == 0
    assert make.log[-1] == "-m experiments dashboard --project p --entity e"


def test_a_study_of_davis_is_a_sweep_over_clips(make: Make) -> None:
    assert make("davis", "ROOT=/x", "CLIPS=bear camel", "PROFILE=paper", "RESOLUTION=1080p").returncode == 0
    assert make.log[-1] == (
        "-m experiments sweep each --continue --run runs/davis --data davis --profile paper --background temporal "
        '--seed 0 -- --data.init_args.root /x --data.init_args.clips ["bear","camel"] --data.init_args.resolution 1080p'
    )
    assert make("davis", "ROOT=/x", "PROCESSES=2", "INPAINT_ARGS=--a 1", "BACKGROUND=static").returncode == 0
    assert "--background static --seed 0 --processes 2 --inpaint-options=--a 1 --" in make.log[-1]
    assert make("inspect", "PRESET=ptz", "BACKGROUND=static").returncode == 0
    assert "inspect --data demo --profile small --background static --data.init_args.preset ptz" in make.log[-1]


def test_a_sweep_has_a_folder_of_its_own_unless_one_is_given(make: Make) -> None:
    assert make("sweep", "SWEEP=a7", "DATA=davis", "ROOT=/my data", "STEPS=7", "INPAINT_ARGS=--a b").returncode == 0
    line = make.log[-1].split()
    assert line[2:6] == ["sweep", "a7", "--data", "davis"]
    assert not {"--run", "--profile"} & set(line)  # as its file says
    assert make.log[-1].endswith("--inpaint-options=--a b -- --data.init_args.root /my data --trainer.max_steps 7")
    assert make("sweep", "RUN=runs/here", "PROCESSES=2", "BACKGROUND=temporal").returncode == 0
    assert "sweep fig3 --run runs/here --background temporal --processes 2 --" in make.log[-1]
    assert make("sweep", "PROFILE=paper", "METHOD=mog2 flow").returncode == 0
    assert "sweep fig3 --profile paper --baselines mog2 flow --" in make.log[-1]


def test_help_lists_every_target(root: Path, make: Make) -> None:
    shown = make().stdout
    makefile = (root / "Makefile").read_text().replace("\\\n", " ")
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = set(" ".join(phony).split())
    wanted = {"help", "install", "lint", "typecheck", "test", "test-full", "demo", "train-inpaint", "train-seg"}
    wanted |= {"prepare", "inspect", "train", "evaluate", "predict", "report", "dashboard", "flops", "benchmark"}
    assert wanted <= targets
    for target in targets:
        assert re.search(rf"^  {target} +\S", shown, re.MULTILINE), target
    for variable in "DATA PROFILE RUN SEED ROOT CLIPS RESOLUTION PRESET SWEEP ARGS INPUT OUTPUT".split():
        assert f"{variable}=" in shown


def test_ci_runs_the_tests(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text() and "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_constraints_hold_no_address_and_no_torch(root: Path) -> None:
    lines = (root / ".ci" / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    names = {line.split("==")[0].lower() for line in lines}
    assert not {name for name in names if name in ("torch", "torchvision", "triton") or name.startswith("nvidia")}
