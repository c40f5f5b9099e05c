"""An exported model: onnxruntime and numpy are all that it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from backdrop.errors import RunError, one_line
from backdrop.found import Found, Pixels
from backdrop.seal import has_changed

FORMAT = "backdrop-1"
"""What an exported file says of itself under the name ``format``."""


class OnnxEngine:
    """An exported model that finds the subject of each frame, on the processor.

    Each frame is a call of its own, and several are spread over the threads. Batches are not faster on a processor, and
    frames may then be of any sizes.

    Args:
        path: The file that ``backdrop export`` has written.
        threads: How many frames are computed at a time; by default as many as ``OMP_NUM_THREADS`` says, else one for
            each core that this process may use.

    Attributes:
        metadata: What the file says of itself: ``name``, ``threshold``, ``working_size``, ``run``, ``commit`` ...

    Raises:
        FileNotFoundError: If there is no such file.
        RunError: If onnxruntime is not installed.
        ValueError: If the file is no model of Backdrop, or has changed since it was written, or the number of threads
            is not positive.
    """

    def __init__(self, path: Path | str, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, expected 1 or more")
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        changed = has_changed(Path(path))
        if changed:
            what = "has changed since backdrop export wrote it, and may be damaged"
            raise ValueError(f"{path} {what}: copy it or export it again.")
        self._session, self.metadata = _session(Path(path))
        if self.metadata.get("format") != FORMAT:
            what = self.metadata.get("format", "")
            other = f"is of the format {what}" if what.startswith("backdrop-") else "is no model of Backdrop"
            raise ValueError(f"{path} {other}, expected {FORMAT}: write it with backdrop export RUN -o {path}.")
        if changed is None:
            what = "has no check sum: another version wrote it, or it is damaged"
            raise ValueError(f"{path} {what}: export it again.")
        self._names = [output.name for output in self._session.get_outputs()]
        self._threads = threads or _usual_threads()
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None  # its threads start when needed

    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        """See :class:`backdrop.found.Engine`; it finds one subject in each frame."""
        if self._pool is None or len(images) == 1:
            return [self._found(image) for image in images]
        return list(self._pool.map(self._found, images))

    def _found(self, image: Pixels) -> list[Found]:
        """The subject of one frame, (H, W, 3)."""
        values = self._session.run(None, {"image": np.ascontiguousarray(image)[None]})
        found = dict(zip(self._names, values, strict=True))
        x0, y0, x1, y1 = found["box"][0].tolist()
        score = float(found["score"][0]) if "score" in found else None
        return [Found(found["mask"][0], (x0, y0, x1, y1), float(found["confidence"][0]), score)]


def _session(path: Path) -> tuple[Any, Mapping[str, str]]:  # onnxruntime has no type information
    """Read the file, and what it says of itself."""
    try:
        import onnxruntime
    except ImportError:
        raise RunError(f"{path} needs onnxruntime: pip install onnxruntime.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors, which are raised as well
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session, dict(session.get_modelmeta().custom_metadata_map)
    except Exception as error:  # what onnxruntime raises depends on what the file holds
        raise ValueError(f"{path} cannot be read as an ONNX model ({one_line(error)[:200]}).") from error


def _usual_threads() -> int:
    """How many threads others would take here."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if said.isdecimal() and int(said) > 0:
        return int(said)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1
