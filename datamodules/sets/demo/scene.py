"""The demo's scene: one large textured panorama that all clips of a seed share.

Convention: scene coordinates as in :mod:`datamodules.sets.demo.camera` (origin in the middle, x right, y down, unit =
the frame's height at zoom 1). All cameras are at eye height, so whoever stands upright has the eyes near the horizon.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.sets.demo.figure import Pose, draw_figure, random_look

Array = NDArray[np.float32]

HORIZON = -0.13
"""Scene y of the horizon."""

EYE = 0.9
"""Ground to horizon for a body of height 1: feet stand at ``HORIZON + EYE * height``."""

HEIGHT = 1.7
"""Height of the scene in units."""

DENSITY = 1.2
"""Scene pixels per frame pixel at zoom 1."""

DEFOCUS = 0.012
"""Blur of the scene, which lies behind the focal plane: standard deviation in frame heights."""

HAZE = 0.45
"""How far the air pulls the scene's colours toward their mean. Both keep the subject the least predictable thing."""


def foot_y(height: float) -> float:
    """Scene y of the feet of a body of the given height (in units), by perspective."""
    return HORIZON + EYE * height


def scene_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the scene picture for a frame size: about 2.6 frames wide."""
    scale = DENSITY * image_size[0]
    return round(HEIGHT * scale), round(2.6 * image_size[1] / image_size[0] * scale)


def scene_matrix(image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Affine map (2, 3) from pixels of the scene picture to scene coordinates."""
    rows, columns = scene_size(image_size)
    scale = 1 / (DENSITY * image_size[0])
    return np.array([[scale, 0, -columns / 2 * scale], [0, scale, -rows / 2 * scale]])


class _Canvas:
    """A panorama under construction; all lengths in scene units."""

    def __init__(self, rng: np.random.Generator, image_size: tuple[int, int]) -> None:
        self.rng = rng
        self.unit = DENSITY * image_size[0]
        self.rows, self.columns = scene_size(image_size)
        self.image = np.zeros((self.rows, self.columns, 3), np.float32)
        self.half_width = self.columns / 2 / self.unit
        self.half_height = self.rows / 2 / self.unit

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Scene point to pixel (column, row)."""
        return x * self.unit + self.columns / 2, y * self.unit + self.rows / 2

    def noise(self, shape: tuple[int, int], cell: tuple[float, float]) -> Array:
        """Smooth noise about within [-1, 1]; ``cell`` is its grain (rows, columns) in scene units."""
        count = [max(2, int(s / max(c * self.unit, 1.0)) + 3) for s, c in zip(shape, cell, strict=True)]
        grid = self.rng.normal(0, 0.5, count).astype(np.float32)
        return np.asarray(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC))

    def fractal(self, shape: tuple[int, int], cell: tuple[float, float], octaves: int = 4) -> Array:
        """Noise at several grains, the finer the weaker."""
        total = np.zeros(shape, np.float32)
        for octave in range(octaves):
            total += self.noise(shape, (cell[0] / 2**octave, cell[1] / 2**octave)) * 0.6**octave
        return total

    def polygon(
        self,
        points: NDArray[np.float64],
        colour: Array | NDArray[np.float64],
        grain: float = 0.08,
        cell: tuple[float, float] = (0.02, 0.02),
        opacity: float = 1.0,
    ) -> None:
        """Fill a polygon of scene points (N, 2) with a grained colour."""
        pixels = np.asarray(points) * self.unit + np.array([self.columns / 2, self.rows / 2])
        low = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, [self.columns, self.rows])
        if (high - low < 1).any():
            return
        shape = (int(high[1] - low[1]), int(high[0] - low[0]))
        cover = np.zeros(shape, np.uint8)
        cv2.fillPoly(cover, [np.round((pixels - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        alpha = (cover.astype(np.float32) / 255 * opacity)[..., None]
        fill = np.asarray(colour, np.float32) * (1 + grain * self.fractal(shape, cell, 3)[..., None])
        window = self.image[low[1] : high[1], low[0] : high[0]]
        window += alpha * (fill - window)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Array | NDArray[np.float64],
        grain: float = 0.08,
        cell: tuple[float, float] = (0.02, 0.02),
        opacity: float = 1.0,
    ) -> None:
        """Fill an upright rectangle."""
        self.polygon(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), colour, grain, cell, opacity)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Array | NDArray[np.float64],
        grain: float = 0.08,
        opacity: float = 1.0,
        wobble: float = 0.0,
    ) -> None:
        """Fill an ellipse, its outline disturbed by ``wobble``."""
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        radius = 1 + wobble * self.rng.normal(0, 1, len(turn))
        points = np.column_stack([x + rx * radius * np.cos(turn), y + ry * radius * np.sin(turn)])
        self.polygon(points, colour, grain, (0.012, 0.012), opacity)

    def shadow(self, x: float, y: float, rx: float, ry: float, strength: float) -> None:
        """Darken a soft ellipse on the ground."""
        column, row = self.pixel(x, y)
        width, height = rx * self.unit, ry * self.unit
        x0, x1 = max(0, int(column - 2.2 * width)), min(self.columns, int(column + 2.2 * width) + 1)
        y0, y1 = max(0, int(row - 2.2 * height)), min(self.rows, int(row + 2.2 * height) + 1)
        if x1 <= x0 or y1 <= y0:
            return
        at_y, at_x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        distance = ((at_x - column) / width) ** 2 + ((at_y - row) / height) ** 2
        self.image[y0:y1, x0:x1] *= (1 - strength * np.exp(-distance))[..., None]


def draw_scene(seed: int, image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw the panorama of a seed.

    Args:
        seed: Every seed gives another scene.
        image_size: Frame (height, width) in pixels; another size is another scene, as it draws other random numbers.

    Returns:
        RGB, uint8, of :func:`scene_size`.
    """
    canvas = _Canvas(np.random.default_rng([seed, 1001]), image_size)
    _sky(canvas)
    _hills(canvas)
    _buildings(canvas)
    _ground(canvas)
    _hedge_and_trees(canvas)
    _wall_and_fence(canvas)
    _props(canvas)
    _bystanders(canvas)
    return _finish(canvas)


def _colour(
    rng: np.random.Generator, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
) -> Array:
    """A random RGB colour; hue in degrees, the rest in [0, 1]."""
    pixel = np.array([[[rng.uniform(*hue) % 360, rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0])


def _sky(p: _Canvas) -> None:
    top, low = (
        _colour(p.rng, (200, 225), (0.25, 0.6), (0.65, 0.9)),
        _colour(p.rng, (190, 220), (0.03, 0.15), (0.88, 0.97)),
    )
    ramp = np.linspace(0, 1, p.rows, dtype=np.float32)[:, None, None] * p.half_height * 2 / (HORIZON + p.half_height)
    p.image[:] = top + np.clip(ramp, 0, 1) * (low - top)
    clouds = np.clip(p.fractal((p.rows, p.columns), (0.16, 0.5), 5) * 1.3 - 0.1, 0, 0.85)[..., None]
    p.image += clouds * (np.array([0.97, 0.97, 0.98], np.float32) - p.image)


def _hills(p: _Canvas) -> None:
    xs = np.linspace(-p.half_width - 0.1, p.half_width + 0.1, 160)
    for layer, height in enumerate((0.16, 0.09)):
        line = HORIZON - height - 0.05 * np.cumsum(p.rng.normal(0, 0.16, len(xs))) - 0.012 * p.rng.random(len(xs))
        line = np.clip(line, HORIZON - 0.3, HORIZON - 0.02)
        points = np.concatenate([np.column_stack([xs, line]), [[xs[-1], HORIZON + 0.1], [xs[0], HORIZON + 0.1]]])
        colour = _colour(
            p.rng, (100, 150), (0.12 + 0.1 * layer, 0.2 + 0.15 * layer), (0.55 - 0.12 * layer, 0.62 - 0.1 * layer)
        )
        p.polygon(points, colour, 0.12, (0.02, 0.03))


def _buildings(p: _Canvas) -> None:
    x = -p.half_width - p.rng.uniform(0, 0.2)
    while x < p.half_width:
        width, height = p.rng.uniform(0.28, 0.7), p.rng.uniform(0.2, 0.62)
        if p.rng.random() < 0.75:
            _building(p, x, x + width, HORIZON - height)
        x += width + (p.rng.uniform(0.05, 0.3) if p.rng.random() < 0.4 else 0)


def _building(p: _Canvas, x0: float, x1: float, top: float) -> None:
    base, wall = HORIZON + 0.06, _colour(p.rng, (0, 60), (0.08, 0.45), (0.45, 0.85))
    p.box(x0, top, x1, base, wall, 0.08, (0.06, 0.05))
    if p.rng.random() < 0.5:  # brick courses
        for y in np.arange(top, base, 0.014):
            p.box(x0, y, x1, y + 0.002, wall * 0.72, 0.1, opacity=0.7)
    p.box(x0 - 0.01, top - 0.02, x1 + 0.01, top + 0.008, wall * p.rng.uniform(0.5, 0.8), 0.06)
    columns, pitch = max(2, int((x1 - x0) / p.rng.uniform(0.09, 0.14))), p.rng.uniform(0.11, 0.15)
    frame, glass = _colour(p.rng, (0, 360), (0, 0.2), (0.55, 0.95)), _colour(p.rng, (190, 230), (0.1, 0.4), (0.2, 0.45))
    for row in range(int((base - top - 0.05) / pitch)):
        for column in range(columns):
            cx = x0 + (column + 0.5) * (x1 - x0) / columns
            y0 = top + 0.045 + row * pitch
            w, h = 0.3 * (x1 - x0) / columns, 0.3 * pitch
            p.box(cx - w - 0.006, y0 - 0.006, cx + w + 0.006, y0 + 2 * h + 0.006, frame, 0.05)
            p.box(cx - w, y0, cx + w, y0 + 2 * h, glass * p.rng.uniform(0.6, 1.5), 0.15, (0.03, 0.02))
            if p.rng.random() < 0.3:
                p.box(
                    cx - w,
                    y0,
                    cx + w,
                    y0 + p.rng.uniform(0.2, 1.2) * h,
                    _colour(p.rng, (20, 60), (0.05, 0.3), (0.6, 0.9)),
                )
            p.box(cx - 0.002, y0, cx + 0.002, y0 + 2 * h, frame, 0.02)
    if p.rng.random() < 0.6:
        cx, colour = p.rng.uniform(x0 + 0.06, x1 - 0.06), _colour(p.rng, (0, 360), (0.3, 0.8), (0.3, 0.75))
        p.box(cx - 0.05, base - 0.17, cx + 0.05, base, colour * 0.8, 0.1)
        p.polygon(
            np.array(
                [[cx - 0.09, base - 0.16], [cx + 0.09, base - 0.16], [cx + 0.07, base - 0.22], [cx - 0.07, base - 0.22]]
            ),
            colour,
        )


def _ground(p: _Canvas) -> None:
    """A textured plane in perspective: grass near the wall, slabs or asphalt in front."""
    row0 = int(p.pixel(0, HORIZON + 0.035)[1])
    rows = p.rows - row0
    y, x = np.mgrid[0:rows, 0 : p.columns].astype(np.float32)
    depth = 1 / ((y + row0 - p.rows / 2) / p.unit - HORIZON)  # distance, in eye heights
    across = (x - p.columns / 2) / p.unit * depth
    tile = 1024
    texture = sum(
        np.asarray(
            cv2.resize(p.rng.normal(0, 1, (n, n)).astype(np.float32), (tile, tile), interpolation=cv2.INTER_CUBIC)
        )
        * w
        for n, w in ((1024, 0.35), (256, 0.5), (64, 0.5), (16, 0.6))
    )
    texture = np.asarray(texture, np.float32)

    def sample(scale: float) -> Array:
        return np.asarray(
            cv2.remap(
                texture, (across * scale) % tile, (depth * scale) % tile, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
            )
        )

    grass = _colour(p.rng, (75, 115), (0.3, 0.55), (0.35, 0.55)) * (1 + 0.22 * sample(130.0)[..., None])
    stone = _colour(p.rng, (15, 60), (0.03, 0.25), (0.45, 0.72))
    slabs = float(p.rng.uniform(2.5, 5))
    rate = np.abs(np.diff(depth, axis=0, prepend=depth[:1])) * slabs
    shift = 0.5 * (np.floor(depth * slabs) % 2)
    joint = np.minimum(((across * slabs + shift) % 1), 1 - ((across * slabs + shift) % 1)) < 0.03
    joint |= ((depth * slabs) % 1) < np.maximum(0.05, rate * 0.8)
    fade = np.clip(1.2 - rate * 2, 0, 1)
    number = np.sin(np.floor(across * slabs + shift) * 12.9898 + np.floor(depth * slabs) * 78.233) * 43758.5453
    tone = (1 + 0.10 * ((number % 1) - 0.5)) * (1 - 0.30 * joint * fade)
    paved = stone * (tone + 0.09 * sample(160.0))[..., None]
    kerb = 4.2 + 0.25 * np.sin(across * 0.35)
    edge = (np.clip((depth - kerb) * 6, 0, 1))[..., None]
    ground = paved + edge * (grass - paved)
    band = np.exp(-(((depth - kerb) / 0.12) ** 2))[..., None]
    ground = ground + 0.7 * band * (stone * 1.15 - ground)
    p.image[row0:] = ground


def _tree(p: _Canvas, x: float, foot: float, size: float) -> None:
    bark, leaf = _colour(p.rng, (15, 40), (0.2, 0.45), (0.2, 0.38)), _colour(p.rng, (60, 135), (0.3, 0.65), (0.28, 0.5))
    p.shadow(x + 0.1 * size, foot, 0.4 * size, 0.035 * size, 0.45)
    lean, w = p.rng.uniform(-0.05, 0.05) * size, 0.035 * size
    top = foot - 0.62 * size
    p.polygon(
        np.array([[x - 1.6 * w, foot], [x + 1.6 * w, foot], [x + lean + 0.6 * w, top], [x + lean - 0.6 * w, top]]),
        bark,
        0.3,
        (0.05, 0.008),
    )
    for _ in range(4):
        end_x, end_y = x + lean + p.rng.uniform(-0.25, 0.25) * size, top - p.rng.uniform(0.02, 0.2) * size
        p.polygon(
            np.array([[x + lean - 0.4 * w, top + 0.1 * size], [x + lean + 0.4 * w, top + 0.1 * size], [end_x, end_y]]),
            bark,
            0.3,
        )
    for _ in range(170):
        angle, radius = p.rng.uniform(0, 2 * np.pi), np.sqrt(p.rng.random())
        dx, dy = radius * np.cos(angle) * 0.36 * size, radius * np.sin(angle) * 0.30 * size
        light = 1.0 - 0.75 * (dx + 1.4 * dy) / size + p.rng.normal(0, 0.12)
        r = p.rng.uniform(0.02, 0.07) * size
        p.oval(x + lean + dx, top - 0.1 * size + dy, r, 0.75 * r, leaf * max(light, 0.3), 0.3, wobble=0.14)


def _hedge_and_trees(p: _Canvas) -> None:
    leaf = _colour(p.rng, (80, 130), (0.35, 0.6), (0.25, 0.42))
    x = -p.half_width
    while x < p.half_width:
        length = p.rng.uniform(0.2, 0.7)
        if p.rng.random() < 0.55:
            for _ in range(int(160 * length)):
                at, up = x + p.rng.uniform(0, length), p.rng.uniform(0, 0.09)
                p.oval(
                    at,
                    HORIZON + 0.07 - up,
                    0.016,
                    0.013,
                    leaf * (0.6 + 6 * up + p.rng.normal(0, 0.12)),
                    0.25,
                    wobble=0.15,
                )
        x += length
    spots = np.linspace(-p.half_width, p.half_width, 8) + p.rng.uniform(-0.12, 0.12, 8)
    for spot in spots[p.rng.permutation(8)[:5]]:
        size = p.rng.uniform(0.55, 0.95)
        _tree(p, float(spot), HORIZON + p.rng.uniform(0.07, 0.17), size)


def _wall_and_fence(p: _Canvas) -> None:
    start, end = sorted(p.rng.uniform(-p.half_width, p.half_width, 2))
    end = max(end, start + 0.9)
    base, height, colour = HORIZON + 0.17, p.rng.uniform(0.12, 0.2), _colour(p.rng, (5, 45), (0.15, 0.5), (0.4, 0.65))
    p.shadow((start + end) / 2, base, (end - start) * 0.45, 0.02, 0.4)
    p.box(start, base - height, end, base, colour * 0.7, 0.1)
    for row, y in enumerate(np.arange(base - height, base - 0.01, 0.026)):
        for x in np.arange(start - 0.03 * (row % 2), end, 0.062):
            left, right = max(x + 0.002, start), min(x + 0.06, end)
            if right > left:
                p.box(left, y + 0.002, right, y + 0.024, colour * p.rng.uniform(0.8, 1.15), 0.12, (0.01, 0.02))
    p.box(start - 0.01, base - height - 0.018, end + 0.01, base - height + 0.004, colour * 1.25, 0.08)
    metal, foot = _colour(p.rng, (0, 360), (0.05, 0.4), (0.15, 0.75)), HORIZON + 0.14
    for low, high in ((-p.half_width, start - 0.02), (end + 0.02, p.half_width)):
        for x in np.arange(low, high, 0.035):
            p.box(x, foot - 0.15, x + 0.006, foot, metal * (0.9 + 0.2 * p.rng.random()), 0.05)
        if high > low:
            p.box(low, foot - 0.14, high, foot - 0.131, metal, 0.05)
            p.box(low, foot - 0.03, high, foot - 0.021, metal, 0.05)


def _props(p: _Canvas) -> None:
    for x in np.linspace(-p.half_width + 0.2, p.half_width - 0.2, 4) + p.rng.uniform(-0.15, 0.15, 4):
        foot, metal = HORIZON + 0.3, np.full(3, p.rng.uniform(0.15, 0.35))
        kind = p.rng.integers(4)
        p.shadow(float(x) + 0.03, foot, 0.06, 0.012, 0.5)
        if kind == 0:  # lamp
            p.box(x - 0.008, foot - 0.95, x + 0.008, foot, metal, 0.1)
            p.oval(float(x), foot - 0.97, 0.035, 0.045, np.array([0.95, 0.93, 0.85]))
            p.box(x - 0.02, foot - 0.03, x + 0.02, foot, metal * 0.8)
        elif kind == 1:  # bin
            colour = _colour(p.rng, (0, 360), (0.2, 0.7), (0.2, 0.6))
            p.polygon(
                np.array([[x - 0.045, foot - 0.16], [x + 0.045, foot - 0.16], [x + 0.036, foot], [x - 0.036, foot]]),
                colour,
                0.15,
            )
            p.box(x - 0.05, foot - 0.175, x + 0.05, foot - 0.155, colour * 0.6)
        elif kind == 2:  # sign
            colour = _colour(p.rng, (0, 360), (0.4, 0.85), (0.4, 0.85))
            p.box(x - 0.006, foot - 0.5, x + 0.006, foot, metal)
            p.box(x - 0.07, foot - 0.56, x + 0.07, foot - 0.42, colour, 0.05)
            p.box(x - 0.055, foot - 0.545, x + 0.055, foot - 0.435, np.full(3, 0.92), 0.05)
            for line in range(3):
                p.box(
                    x - 0.04,
                    foot - 0.53 + 0.03 * line,
                    x + 0.04 * p.rng.random(),
                    foot - 0.52 + 0.03 * line,
                    colour * 0.6,
                )
        else:  # planter
            p.box(x - 0.1, foot - 0.09, x + 0.1, foot, _colour(p.rng, (10, 40), (0.2, 0.5), (0.35, 0.6)), 0.12)
            for _ in range(50):
                green = (
                    _colour(p.rng, (60, 140), (0.3, 0.7), (0.25, 0.6))
                    if p.rng.random() < 0.8
                    else _colour(p.rng, (300, 420), (0.4, 0.8), (0.6, 0.9))
                )
                p.oval(
                    x + p.rng.uniform(-0.1, 0.1), foot - 0.1 - p.rng.uniform(0, 0.07), 0.016, 0.013, green, wobble=0.15
                )


def _bench(p: _Canvas, x: float, foot: float, size: float) -> None:
    wood, metal = _colour(p.rng, (15, 40), (0.3, 0.6), (0.35, 0.6)), np.full(3, 0.2)
    p.shadow(x, foot, 0.5 * size, 0.05 * size, 0.5)
    for leg in (-0.42, 0.42):
        p.box(x + leg * size - 0.01, foot - 0.26 * size, x + leg * size + 0.01, foot, metal)
    for k in range(3):
        y = foot - (0.34 + 0.09 * k) * size
        p.box(x - 0.5 * size, y - 0.06 * size, x + 0.5 * size, y, wood * (0.9 + 0.1 * k), 0.15, (0.006, 0.06))
    p.box(x - 0.52 * size, foot - 0.29 * size, x + 0.52 * size, foot - 0.23 * size, wood * 1.1, 0.15, (0.006, 0.06))


def _person(p: _Canvas, x: float, height: float, pose: Pose, foot: float | None = None) -> None:
    look = random_look(p.rng)
    y = foot_y(height) if foot is None else foot
    p.shadow(x + 0.03, y, 0.16 * height, 0.025 * height, 0.5)
    column, row = p.pixel(x, y)
    (x0, y0), colour, alpha = draw_figure(look, pose, height * p.unit, np.array([column, row]), (p.rows, p.columns))
    window = p.image[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
    window *= (1 - alpha)[..., None]
    window += colour


def _bystanders(p: _Canvas) -> None:
    """People who never move, on benches and on their feet, dressed at random as the subjects are."""
    spots = np.linspace(-p.half_width + 0.25, p.half_width - 0.25, 8) + p.rng.uniform(-0.1, 0.1, 8)
    order = p.rng.permutation(8)
    for number, k in enumerate(order[:4]):
        x, height = float(spots[k]), float(p.rng.uniform(0.26, 0.4))
        if number < 1:
            foot = foot_y(height)
            _bench(p, x, foot, height)
            pose = Pose(
                yaw=p.rng.uniform(-0.5, 0.5),
                seated=1.0,
                lean=p.rng.uniform(0, 0.3),
                stance=0.12,
                abduction=(0.3, 0.3),
                flexion=(0.5, 0.5),
                elbow=(0.7, 0.7),
                nod=p.rng.uniform(-0.8, 0.8),
            )
            _person(p, x, height, pose, foot + 0.02 * height)
        else:
            pose = Pose(
                yaw=p.rng.uniform(-3, 3),
                stance=p.rng.uniform(0.05, 0.2),
                lean=p.rng.uniform(0, 0.15),
                abduction=(p.rng.uniform(0.1, 0.5), p.rng.uniform(0.1, 0.5)),
                flexion=(p.rng.uniform(-0.1, 0.6), 0.0),
                elbow=(p.rng.uniform(0.2, 1.6), p.rng.uniform(0.2, 0.8)),
                nod=p.rng.uniform(-0.8, 0.8),
            )
            _person(p, x, height, pose)


def _finish(p: _Canvas) -> NDArray[np.uint8]:
    """Sunlight, cloud shadows, haze, and the blur of what is out of focus."""
    light = 1 + 0.08 * p.noise((p.rows, p.columns), (0.5, 0.7)) + 0.06 * np.linspace(1, -1, p.columns, dtype=np.float32)
    image = np.clip(p.image * light[..., None] * np.array([1.02, 1.0, 0.96], np.float32), 0, 1)
    image += HAZE * (image.mean(axis=(0, 1)) - image)
    image = cv2.GaussianBlur(image, (0, 0), DEFOCUS * p.rows / HEIGHT)
    return np.asarray(np.round(image * 255), dtype=np.uint8)
