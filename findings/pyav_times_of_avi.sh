#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1)
#
# Behaviour: the frames that PyAV decodes from an AVI with B-frames come in the right order with `pts` in another one. AVI
# has decoding times only. PyAV opens every file with FFmpeg's flag `genpts`, which makes up times of display in the order
# of the packets; the decoder reorders them with the frames. FFmpeg's command line leaves the flag off.
# Expected: `pts` that ascend with the frames, or None.
# Reported upstream as a question on the order of frames: PyAV-Org/PyAV issue 534.
#
# Output seen (a bar moves to the right by 3 pixels a frame):
#   left edge of the bar: [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33]
#   pts:                  [1, 4, 3, 5, 2, 8, 7, 9, 6, 11, 12, 10]
#
# Backdrop takes the decoding times of an AVI, in order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import av
import numpy as np

with av.open("video.avi", "w") as file:
    stream = file.add_stream("libx264", rate=25, options={"x264-params": "bframes=3:b-adapt=0"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(12):
        image = np.zeros((48, 64, 3), np.uint8)
        image[10:30, 3 * number : 3 * number + 16] = 200
        file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    file.mux(stream.encode())
with av.open("video.avi") as file:
    frames = list(file.decode(video=0))
edges = [int((frame.to_ndarray(format="gray")[20] > 60).argmax()) for frame in frames]
stamps = [frame.pts for frame in frames]
print("left edge of the bar:", edges)
print("pts:                 ", stamps)
assert edges == sorted(edges), "frames should come in the order of display"
assert None not in stamps and stamps != sorted(stamps), "changed: pts ascend with the frames, or are not there"
PYTHON
cd "$folder" && venv/bin/python show.py
