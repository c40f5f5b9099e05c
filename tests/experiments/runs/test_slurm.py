"""Commands in a SLURM allocation; the variables are set as SLURM's manuals of salloc, sbatch and srun say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.runs.folder import StageFolder
from experiments.runs.trainers import measuring_trainer

FitArguments = Callable[..., list[str]]
ALLOCATION = {"SLURM_JOB_ID": "123456", "SLURM_NNODES": "1", "SLURM_NODELIST": "node1", "SLURM_JOB_NAME": "train"}


@pytest.fixture
def allocation(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables of an allocation, and more."""

    def give(**more: str) -> None:
        for name, value in {**ALLOCATION, **more}.items():
            monkeypatch.setenv(name, value)

    return give


def test_a_shell_with_several_tasks_trains_in_one_process(
    allocation: Callable[..., None], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    """Lightning 2.6 alone asks for --ntasks-per-node=4 then, which is wrong for one device."""
    allocation(SLURM_NTASKS="4")
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    progress = StageFolder(tmp_path / "inpaint").progress()
    assert progress is not None and progress.step == 2


def test_several_tasks_for_one_device_are_refused(
    allocation: Callable[..., None], tmp_path: Path, fit_arguments: FitArguments, capsys: pytest.CaptureFixture[str]
) -> None:
    allocation(SLURM_NTASKS="4", SLURM_STEP_NUM_TASKS="4", SLURM_PROCID="0", SLURM_LOCALID="0")
    assert main(fit_arguments(tmp_path, "inpaint")) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "srun --ntasks=1" in said and "--trainer.devices 4" in said
    assert not (tmp_path / "inpaint").exists()


def test_what_measures_uses_one_process_too(allocation: Callable[..., None], tmp_path: Path) -> None:
    allocation(SLURM_NTASKS="4")
    trainer = measuring_trainer([], tmp_path)
    assert (trainer.world_size, trainer.global_rank) == (1, 0)


def test_a_job_of_one_task_is_lightnings_own(allocation: Callable[..., None], tmp_path: Path) -> None:
    """Its SLURM environment knows the job, and requeues it where SLURM says so."""
    allocation(SLURM_NTASKS="1", SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0")
    trainer = measuring_trainer([], tmp_path)
    assert type(trainer._accelerator_connector.cluster_environment).__name__ == "SLURMEnvironment"
