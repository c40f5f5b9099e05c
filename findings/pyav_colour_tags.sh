#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2, libx264), numpy 2.3.5.
#
# Behaviour: a stream that one sets to BT.709 (`codec_context.colorspace`) or to full range (`codec_context.color_range`)
# says so in the file, but its RGB frames, which PyAV turns into YCbCr when it encodes them, are still turned by BT.601 and
# into limited range. So each reader that follows the file, PyAV and FFmpeg among them, shows other colours, by up to 25 of
# 255. At a width below 1280 players take what says nothing for BT.601, so that the file without the tag is the right one.
# Expected: frames that are turned by what the stream is set to, as the stream itself turns them, or an error.
# Reported upstream: for reading (PyAV-Org/PyAV issues 1431, 2149 and 2230, mended); for writing, not found.
#
# Output seen (lossless 4:4:4; red is written as 200 40 40, green as 40 200 40):
#   nothing set:               [199, 40, 39] [40, 200, 39]
#   BT.709:                    [213, 55, 37] [28, 175, 35]
#   full range:                [189, 49, 48] [48, 189, 48]
#   BT.709, frames turned too: [200, 41, 41] [40, 200, 41]
#
# Backdrop turns the frames by BT.709 itself before it hands them over.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

RED, GREEN = (200, 40, 40), (40, 200, 40)
PICTURE = np.zeros((48, 64, 3), np.uint8)
PICTURE[:, :32], PICTURE[:, 32:] = RED, GREEN


def shown(stated: dict[str, int], turned: bool = False) -> tuple[list[int], list[int]]:
    with av.open("video.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for name, value in stated.items():
            setattr(stream.codec_context, name, int(value))
        frame = av.VideoFrame.from_ndarray(PICTURE, format="rgb24")
        if turned:
            frame = frame.reformat(format="yuv444p", dst_colorspace=Colorspace.ITU709)
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with av.open("video.mp4") as file:
        frame = next(file.decode(video=0))
    for name, value in stated.items():
        assert getattr(frame, name) == value, "the file should say what the stream was set to"
    image = frame.to_ndarray(format="rgb24")
    return image[24, 10].tolist(), image[24, 50].tolist()


def off(seen: tuple[list[int], list[int]]) -> int:
    return int(np.abs(np.array(seen) - (RED, GREEN)).max())


hd = {"colorspace": Colorspace.ITU709}
cases = {
    "nothing set:               ": shown({}),
    "BT.709:                    ": shown(hd),
    "full range:                ": shown({"color_range": ColorRange.JPEG}),
    "BT.709, frames turned too: ": shown(hd, turned=True),
}
for name, seen in cases.items():
    print(name + "%s %s" % seen)
nothing, matrix, full, right = (off(seen) for seen in cases.values())
assert nothing <= 2 and right <= 2, "without a setting, and with frames that are turned, the colours should be right"
assert matrix > 20 and full > 8, "changed: frames are turned by what the stream is set to"
PYTHON
cd "$folder" && venv/bin/python show.py
