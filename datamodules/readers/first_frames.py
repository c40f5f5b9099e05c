"""What the first frames of a video tell: their size and shape, and what of them Backdrop does not undo."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.reformatter import ColorTrc

from datamodules.readers.remarks import Remark
from datamodules.readers.shown import shown_size, taken_for_hd, turned
from datamodules.readers.video_file import best_stream, decode, open_video

_LOOKED_AT = 8  # frames: some of an interlaced video may be whole
_PROGRESSIVE = 1  # FFmpeg's AVFieldOrder: 0 is not known, above 1 are fields
_HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
_SQUARE = Fraction(1, 100)  # what a pixel's width may differ from its height: encoders round
_ENCODED = "-c:v libx264 -crf 12 -c:a copy"
_SDR = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,tonemap=hable,"
    "zscale=transfer=bt709:matrix=bt709:range=limited,format=yuv420p"
)
_WITH_MATRIX = frozenset({"h264", "hevc", "av1"})  # codecs in whose headers FFmpeg can change it


@dataclass(frozen=True)
class FirstFrames:
    """What the first frames of a video tell.

    Attributes:
        codec: FFmpeg's name of the codec.
        size: (height, width) of the upright frames in pixels.
        pixel_aspect: Width of a pixel of the upright frames over its height.
        interlaced: Whether there are two moments in a frame, every other row of each.
        transfer: PQ or HLG; None where the range is not high.
        taken_for_hd: Whether the colour matrix is not said, and taken for BT.709.
    """

    codec: str
    size: tuple[int, int]
    pixel_aspect: Fraction
    interlaced: bool
    transfer: str | None
    taken_for_hd: bool

    @classmethod
    def of(cls, path: Path) -> FirstFrames:
        """Decode the first frames of a video; broken ones are passed over.

        Args:
            path: The video.

        Raises:
            FileNotFoundError: If there is no such file.
            OSError: If the disk fails.
            ValueError: If it is no video, or no frame can be decoded.
        """
        with open_video(path) as file:
            stream = best_stream(file)
            whole = (frame for frame in decode(file, stream) if isinstance(frame, av.VideoFrame))
            frames = list(islice((frame for frame in whole if not frame.is_corrupt), _LOOKED_AT))
            if not frames:
                raise undecodable(path)
            first, aspect, codec = frames[0], stream.sample_aspect_ratio or Fraction(1), stream.codec_context
            quarter = turned(first)
            return cls(
                codec.codec.canonical_name,
                (first.width, first.height) if quarter else (first.height, first.width),
                1 / aspect if quarter else aspect,
                codec.field_order > _PROGRESSIVE or any(frame.interlaced_frame for frame in frames),
                next((name for transfer, name in _HDR.items() if first.color_trc == transfer), None),
                taken_for_hd(first),
            )

    def remarks(self, path: Path) -> Iterator[Remark]:
        """What there is to say of them.

        Args:
            path: The video, for the commands that mend it.
        """
        video = shlex.quote(str(path))
        if self.interlaced:
            what = f"{path} is interlaced: a frame shows two moments, and what moves is combed"
            mend = f"ffmpeg -i {video} -vf bwdif=mode=send_frame -fps_mode passthrough {_ENCODED} NEW.mkv"
            yield Remark("interlaced", f"{what}; deinterlace it first: {mend}")
        if self.transfer is not None:
            what = f"{path} is HDR ({self.transfer}), and its values are taken for those of SDR: it looks washed out"
            mend = f"ffmpeg -i {video} -vf {_SDR} {_ENCODED} NEW.mkv"
            yield Remark("HDR", f"{what}; map it first: {mend}")
        if self.taken_for_hd:
            what = f"{path} does not say its colour matrix, and is taken for BT.709, as players take HD"
            written = "if it was written by OpenCV, or by FFmpeg from images, it is BT.601"
            known = self.codec in _WITH_MATRIX
            tag = f"-c copy -bsf:v {self.codec}_metadata=matrix_coefficients=6" if known else None
            tag = tag or f"-vf setparams=colorspace=smpte170m -colorspace smpte170m {_ENCODED}"
            yield Remark("untagged HD", f"{what}; {written}, so say that: ffmpeg -i {video} {tag} NEW.mkv")
        if abs(self.pixel_aspect - 1) > _SQUARE:
            height, width = self.size
            high, wide = shown_size(self.size, self.pixel_aspect)
            what = f"{path} has pixels of {self.pixel_aspect.numerator}:{self.pixel_aspect.denominator}"
            shape = f"its {width}x{height} are shown as {wide}x{high}, and that shape counts"
            yield Remark("non-square pixels", f"{what}: {shape}; masks and boxes are of {width}x{height}")


def undecodable(path: Path) -> ValueError:
    """The error to raise where not one frame of a video can be decoded."""
    return ValueError(f"The video {path} has no frame that can be decoded: re-encode or replace it.")
