#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2, libavcodec 62.28), Pillow 13.0.0.
#
# Behaviour: of a photograph with an EXIF block, as every camera writes one, no side data can be read: `frame.side_data`
# itself raises, also where one asks for the display matrix only or how many there are. FFmpeg 8.1 attaches the EXIF block
# to the decoded frame under a number for which PyAV has no name, and PyAV names all of them before it gives one. JPEG,
# PNG, WebP, AVIF, and photographs copied into a video (Motion JPEG) are alike. `frame.rotation` works, but does not tell
# what is mirrored.
# Expected: the display matrix, and the block without a name, or left out.
# Reported upstream: PyAV-Org/PyAV pull request 2392; mended in the coming PyAV 19, which leaves Python 3.11 behind.
#
# Output seen:
#   photograph without EXIF: rotation 0, side data []
#   photograph with EXIF:    rotation -90, side data: ValueError: 31 is not a valid Type
#   the same in a video:     rotation -90, side data: ValueError: 31 is not a valid Type
#
# Backdrop gives numbers without a name one, as PyAV 19 does, so that videos of photographs and AVIF files are read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 pillow==13.0.0

cat > "$folder/show.py" <<'PYTHON'
import av
from PIL import Image

picture = Image.new("RGB", (64, 48), "green")
exif = Image.Exif()
exif[0x10F], exif[0x112] = "Camera", 6  # its maker, and that it was held upright
picture.save("without.jpg")
picture.save("with.jpg", exif=exif)
with av.open("with.mov", "w") as video, av.open("with.jpg") as photograph:
    stream = video.add_stream_from_template(photograph.streams.video[0])
    packet = next(photograph.demux(video=0))
    packet.stream, packet.pts, packet.dts = stream, 0, 0
    video.mux(packet)


def told(path: str) -> tuple[int, str]:
    with av.open(path) as file:
        frame = next(file.decode(video=0))
    try:
        return frame.rotation, f"side data {list(frame.side_data)}"
    except ValueError as error:
        return frame.rotation, f"side data: ValueError: {error}"


seen = [told(path) for path in ("without.jpg", "with.jpg", "with.mov")]
for name, (rotation, text) in zip(("photograph without EXIF:", "photograph with EXIF:   ", "the same in a video:    "), seen):
    print(name, f"rotation {rotation}, {text}")
assert seen[0] == (0, "side data []"), "a photograph without EXIF should have no side data"
fault = (-90, "side data: ValueError: 31 is not a valid Type")
assert seen[1:] == [fault, fault], "changed: side data beside an EXIF block can be read"
PYTHON
cd "$folder" && venv/bin/python show.py
