"""A long video is predicted in constant memory: ten minutes of 1280x720 at five frames a second."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import re, sys
from pathlib import Path
from experiments.cli import main
from experiments.prediction import apply

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

seen, add = [], apply.Table.add

def watched(table, result, *rest):
    if result.number % 100 == 0:
        seen.append(resident())
    add(table, result, *rest)

apply.Table.add = watched
assert main(["predict", *sys.argv[1:]]) == 0
print("MiB", *seen)
"""
SAVE = "overlay,mask,plate"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the video")
def test_memory_stays_flat_over_ten_minutes(trained: Path, tmp_path: Path, root: Path) -> None:
    video, output = tmp_path / "long.mp4", tmp_path / "out"
    source = ["-f", "lavfi", "-i", "testsrc=size=1280x720:rate=5:duration=600"]
    encoded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *encoded, str(video)], check=True)
    words = [str(trained), str(video), "--output", str(output), "--save", SAVE, "--track", "--smooth", "3"]
    done = subprocess.run([sys.executable, "-c", CODE, *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with (output / "boxes.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 3000
    seen = list(map(int, re.findall(r"\d+", done.stdout.splitlines()[-1])))
    print(seen)
    first, last = max(seen[5:10]), max(seen[-5:])  # from 500 frames on the plate keeps no more
    assert last < first + 128  # allocators of several threads; 3000 frames are 8000 MiB
