#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1, libavcodec 62.28), Pillow 13.0.0; FFmpeg 5.1 behaves alike.
#
# Behaviour: FFmpeg writes the shape of a pixel, width over height, into the pHYs chunk of a PNG as it is, and reads it so.
# The PNG specification of the W3C has pixels per unit there, x before y: a pixel that is 64 wide and 45 high has 45 in
# x and 64 in y. So a video of wide pixels becomes images of narrow ones for every reader that follows the specification,
# and an image that follows it is read the wrong way round. JPEG is alike (ITU-T T.871: density).
# Expected: 45 and 64 in the chunk, or 64:45 read from an image that has them.
#
# Output seen:
#   written of wide pixels, 64:45: (64, 45)
#   read of an image whose pixels are 64:45 by the specification: 45/64
#
# Backdrop takes the pixels of images for square, and says so where they state another shape.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5 pillow==13.0.0

cat > "$folder/show.py" <<'PYTHON'
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
from PIL import Image

wide = Fraction(64, 45)  # width of a pixel over its height
with av.open("written.png", "w", format="image2", options={"update": "1"}) as file:
    stream = file.add_stream("png", rate=1)
    stream.width, stream.height, stream.pix_fmt = 16, 8, "rgb24"
    stream.codec_context.sample_aspect_ratio = wide
    file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((8, 16, 3), np.uint8), format="rgb24")))
    file.mux(stream.encode())
written = Image.open("written.png").info["aspect"]
print("written of wide pixels, 64:45:", written)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


with open("by_hand.png", "wb") as image:
    image.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 8, 8, 2, 0, 0, 0)))
    image.write(chunk(b"pHYs", struct.pack(">IIB", 45, 64, 0)))  # 45 pixels a unit in x, 64 in y: wide ones
    image.write(chunk(b"IDAT", zlib.compress((b"\0" + bytes(16 * 3)) * 8)) + chunk(b"IEND", b""))
with av.open("by_hand.png") as file:
    read = file.streams.video[0].sample_aspect_ratio
print("read of an image whose pixels are 64:45 by the specification:", read)
assert written == (64, 45), "changed: it is written as the specification has it"
assert read == 1 / wide, "changed: it is read as the specification has it"
PYTHON
cd "$folder" && venv/bin/python show.py
