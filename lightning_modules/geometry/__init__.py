"""Boxes and the spatial transformer."""

from lightning_modules.geometry.boxes import (
    box_area,
    box_coverage,
    box_mask,
    cell_centres,
    decode_boxes,
    grow,
    inner_box,
    live_cells,
    mask_extent,
    require_boxes,
    tighten,
)
from lightning_modules.geometry.holes import random_holes
from lightning_modules.geometry.spatial_transformer import crop, crop_matrix, focal_bump, paste

__all__ = [
    "box_area",
    "box_coverage",
    "box_mask",
    "cell_centres",
    "crop",
    "crop_matrix",
    "decode_boxes",
    "focal_bump",
    "grow",
    "inner_box",
    "live_cells",
    "mask_extent",
    "paste",
    "random_holes",
    "require_boxes",
    "tighten",
]
