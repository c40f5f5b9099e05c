#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1, libavformat 62.12, libx264)
#
# Behaviour: an MP4 whose frames are shown at a variable rate, encoded by x264 with its default of B-frames, lasts less than
# the time of its last frame. A track of an MP4 lasts as long as decoding does: the sum of the steps between decoding times.
# With B-frames these are early by frames, not by seconds, so that a pause near the end lies after the last decoding time.
# Expected: a duration up to the end of the last frame, as without B-frames.
#
# Output seen (frames at 0, 0.04, 0.08, 1, 1.04, 3 and 3.04 s):
#   with B-frames:    last frame at 3.04 s, duration 1.15 s
#   without B-frames: last frame at 3.04 s, duration 3.07 s
#
# Backdrop writes the overlays of videos without B-frames.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

SHOWN = [0, 40, 80, 1000, 1040, 3000, 3040]  # milliseconds


def last_and_duration(options: dict[str, str]) -> tuple[float, float]:
    with av.open("video.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, milliseconds in enumerate(SHOWN):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with av.open("video.mp4") as file:
        return [frame.time for frame in file.decode(video=0)][-1], file.duration / av.time_base


usual, without = last_and_duration({}), last_and_duration({"bf": "0"})
print("with B-frames:    last frame at %.2f s, duration %.2f s" % usual)
print("without B-frames: last frame at %.2f s, duration %.2f s" % without)
assert without[1] > without[0] > 3, "without B-frames it should last as long as its frames"
assert usual[0] > 3 > usual[1], "changed: with B-frames it lasts as long as its frames"
PYTHON
cd "$folder" && venv/bin/python show.py
