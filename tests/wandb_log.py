"""Reading W&B's own log of an offline run."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def records(path: Path) -> Iterator[Any]:
    """Its records: 7 bytes, then blocks of 32 KiB with chunks of crc, length, kind."""
    from wandb.proto import wandb_internal_pb2

    data, position, part = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        part, position = part + data[position + 7 : position + 7 + length], position + 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            part = b""
            yield record


def logged_rows(path: Path) -> list[dict[str, str]]:
    """What was logged, row by row: JSON text by name."""
    return [
        {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]
