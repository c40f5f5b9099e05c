"""Run twice by test_two_processes.py: the callbacks in two gloo processes; each writes <folder>/rank_<n>.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from pytorch_lightning.strategies import DDPStrategy

sys.path.insert(0, str(Path(__file__).parents[2]))  # the project's folder, as pytest has it
from callbacks import LossNotFinite, MaskImages, MaskMetrics, NanGuard
from callbacks.scores import SegmentationScores
from tests.callbacks import toy


def main(folder: Path) -> None:
    """Test odd frame counts, a process without annotated frames or without any, and a loss that breaks in one."""
    metrics = MaskMetrics()
    trainer = toy.trainer(
        folder,
        [metrics, MaskImages(), NanGuard()],
        devices=2,
        strategy=DDPStrategy(process_group_backend="gloo"),
    )
    seen: dict[str, object] = {}
    trainer.test(toy.ToyModule(), toy.loader(toy.ToyFrames(toy.ODD_CLIPS)), verbose=False)
    seen["odd"] = metrics.results
    trainer.validate(toy.ToyModule(), toy.loader(toy.ToyFrames(toy.ODD_CLIPS)), verbose=False)
    seen["odd_validation"] = {name: float(value) for name, value in trainer.callback_metrics.items()}
    frames = toy.ToyFrames(toy.ODD_CLIPS, annotated=toy.half_annotated)
    trainer.test(toy.ToyModule(), toy.loader(frames), verbose=False)
    seen["half"] = metrics.results

    scores = SegmentationScores()
    if trainer.global_rank == 0:
        mask = torch.eye(4)[None, None]
        scores.update(mask, mask > 0, torch.tensor([[0, 0, 1.0, 1.0]]), torch.ones(1), ["only"], torch.zeros(1).long())
    scores.share_names()
    seen["one_rank_only"] = scores.compute()

    try:
        trainer.fit(toy.ToyModule(bad_step=1, bad_rank=1), toy.loader(frames))
    except LossNotFinite as error:
        seen["error"] = str(error)
    (folder / f"rank_{trainer.global_rank}.json").write_text(json.dumps(seen))
    torch.distributed.destroy_process_group()  # its threads would abort the process at its end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
