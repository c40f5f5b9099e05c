"""The sound of a video, for what is drawn of it: copied where players take it in an mp4 or mov, else encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.audio import AudioStream
from av.container import InputContainer, OutputContainer

from backdrop.errors import one_line, warn

_COPIED = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
_NOT_IN_MOV = frozenset({"flac", "opus"})  # FFmpeg writes them into mp4 alone
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)  # of AAC


class Sound:
    """The sound of a video on its way into another file; what cannot be kept is left out, and a warning says so.

    Args:
        source: The video, read from here on.
        target: The file; nothing may have been written into it.
        begin: What is 0 in the target, in seconds on the clock of the source.
    """

    def __init__(self, source: InputContainer, target: OutputContainer, begin: Fraction) -> None:
        self._target, self._begin, self._name = target, begin, source.name
        self._streams: dict[int, AudioStream] = {}  # by the index of the one in the source
        for stream in source.streams.audio:
            try:
                self._streams[stream.index] = _twin(stream, target)
            except (ValueError, av.error.FFmpegError) as error:
                self._leave_out(error)
        used = [stream for stream in source.streams.audio if stream.index in self._streams]
        self._packets = self._read(source, used) if used else iter(())
        self._next: tuple[Fraction, list[av.Packet[Any]]] | None = None

    def write(self, until: Fraction | None = None) -> None:
        """Write the sound on.

        Args:
            until: Up to this time in the target, in seconds; None writes all that is left.
        """
        while True:
            self._next = self._next or next(self._packets, None)
            if self._next is None or (until is not None and self._next[0] > until):
                return
            for packet in self._next[1]:
                self._target.mux(packet)
            self._next = None

    def _read(
        self, source: InputContainer, streams: list[AudioStream]
    ) -> Iterator[tuple[Fraction, list[av.Packet[Any]]]]:
        """Yield (time in the target, packets for it) in the order of the source."""
        time, written = Fraction(0), dict[int, int]()
        packets = source.demux(*streams)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:  # the frames say what is broken
                self._leave_out(error)
                return
            if packet is None:
                return
            stream = cast(AudioStream, packet.stream)
            target = self._streams[stream.index]
            offset = round(self._begin / (packet.time_base or 1))
            if packet.pts is not None:
                time = (packet.pts - offset) * (packet.time_base or Fraction(0))
            if not _is_copied(stream, self._target):
                yield time, self._encoded(packet, target, offset)
            elif packet.size and packet.dts is not None and packet.pts is not None and not packet.is_discard:
                packet.pts, packet.dts, packet.stream = packet.pts - offset, packet.dts - offset, target
                if packet.dts > written.get(stream.index, packet.dts - 1):  # else the source jumps back
                    written[stream.index] = packet.dts
                    yield time, [packet]

    def _encoded(self, packet: av.Packet[Any], target: AudioStream, offset: int) -> list[av.Packet[Any]]:
        """What a packet gives once it is decoded and encoded anew; the last one, which is empty, ends it."""
        found: list[av.Packet[Any]] = []
        try:
            for frame in cast(list[av.AudioFrame], packet.decode()):
                frame.pts = None if frame.pts is None else frame.pts - offset
                found += target.encode(frame)
        except av.error.FFmpegError:
            pass  # a broken packet is a gap
        return found if packet.size else found + target.encode()

    def _leave_out(self, error: Exception) -> None:
        warn(f"The new video goes without sound of {self._name}, or without the rest of it ({one_line(error)}).")


def _is_copied(stream: AudioStream, target: OutputContainer) -> bool:
    taken = _COPIED - _NOT_IN_MOV if target.format.name == "mov" else _COPIED
    return stream.codec_context.codec.canonical_name in taken


def _twin(stream: AudioStream, target: OutputContainer) -> AudioStream:
    """A stream of the target for one of the source.

    Raises:
        ValueError: If it cannot be read, or be encoded.
        FFmpegError: The same, in FFmpeg's words.
    """
    if not getattr(stream, "codec_context", None) or not stream.rate or not stream.channels:
        raise ValueError("its codec or its header is not known")
    if _is_copied(stream, target):
        return target.add_stream_from_template(stream)
    twin = target.add_stream("aac", rate=next((rate for rate in _RATES if rate <= stream.rate), _RATES[-1]))
    twin.codec_context.format, twin.codec_context.layout = "fltp", "mono" if stream.channels == 1 else "stereo"
    return twin
