"""From scene, figure and camera to the frames and masks of one demo clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.sets.demo.camera import CameraPath, Preset, follow, smooth_noise
from datamodules.sets.demo.figure import Look, Walk, draw_figure, random_look, walk
from datamodules.sets.demo.scene import draw_scene, foot_y, scene_matrix

Pixels = NDArray[np.uint8]
Objects = NDArray[np.uint8]
Figure = tuple[tuple[int, int], NDArray[np.float32], NDArray[np.float32]]

VERSION = 3
"""Part of the cache's key: raise it whenever a picture changes."""

_SPLITS = {"train": 0, "val": 1, "test": 2}
_JPEG_QUALITY = 92
_HALF_BODY = 0.2  # of a figure with its arms, in frame heights
_SUNLIGHT = np.array([1.02, 1.0, 0.96], np.float32)


@dataclass(frozen=True)
class DemoClip:
    """What one demo clip shows; equal values give equal pictures.

    Attributes:
        preset: Camera.
        seed: Scene, and base of the figure's seed.
        split: Split; splits share no figure.
        number: Position in the split.
        frames: Number of frames.
        image_size: (height, width) in pixels.
        figures: Number of figures.
    """

    preset: Preset
    seed: int
    split: str
    number: int
    frames: int
    image_size: tuple[int, int]
    figures: int = 1

    @property
    def name(self) -> str:
        """Name of the clip: ``train_00``."""
        return f"{self.split}_{self.number:02d}"


@dataclass(frozen=True)
class _Actor:
    """One figure and its way."""

    look: Look
    way: Walk


@dataclass(frozen=True)
class _Plot:
    """What happens in a clip: the figures, the camera, and the random state after they were drawn."""

    actors: list[_Actor]
    camera: CameraPath
    rng: np.random.Generator

    def far_to_near(self, frame: int) -> list[int]:
        """Numbers of the figures in the order in which they are drawn: the nearer is the taller."""
        return sorted(range(len(self.actors)), key=lambda number: self.actors[number].way.height[frame])

    def stand(self, number: int, frame: int, size: tuple[int, int]) -> tuple[NDArray[np.float64], float]:
        """Foot point (x, y) and body height in pixels of one figure in one frame."""
        matrix = np.vstack([self.camera.matrix(frame, size), [0, 0, 1]])
        way = self.actors[number].way
        foot = _project(matrix, way.x[frame], foot_y(way.height[frame]))
        return foot, way.height[frame] * self.camera.zoom[frame] * size[0]

    def figure(self, number: int, frame: int, size: tuple[int, int]) -> Figure:
        """One figure in one frame: ((x0, y0), colour (h, w, 3), coverage (h, w)) of the window it is in."""
        actor, (foot, body) = self.actors[number], self.stand(number, frame, size)
        return draw_figure(actor.look, actor.way.poses[frame], body, foot, size, float(self.camera.angle[frame]))


def _plot(clip: DemoClip) -> _Plot:
    key = [clip.seed, 2002, _SPLITS[clip.split], clip.number]
    rng = np.random.default_rng(key)
    aspect = clip.image_size[1] / clip.image_size[0]
    room = 0.5 * (2.6 - 1.2) * aspect
    look = random_look(rng)
    reach = aspect / 2 - 0.30 if clip.preset == "static" else room + 0.1 * aspect
    if clip.figures == 1:
        way = walk(rng, clip.frames, (-reach, reach))
        return _Plot([_Actor(look, way)], follow(rng, clip.preset, way.x, aspect, room), rng)
    others = [np.random.default_rng([*key, number]) for number in range(1, clip.figures)]
    looks = [look, *map(random_look, others)]
    ways = _lanes([rng, *others], clip, aspect, 0.0 if clip.preset == "static" else room - 0.1 * aspect)
    camera = follow(rng, clip.preset, np.mean([way.x for way in ways], axis=0), aspect, room)
    actors = [_Actor(look, way) for look, way in zip(looks, ways, strict=True)]
    return _Plot(actors, _with_all_in_view(camera, ways, aspect), rng)


def _lanes(rngs: list[np.random.Generator], clip: DemoClip, aspect: float, reach: float) -> list[Walk]:
    """Let figures walk side by side, each on a stretch of its own, about a place at most ``reach`` from the middle."""
    middle = rngs[-1].uniform(-reach, reach)
    lane = aspect / clip.figures
    half = max(lane / 2 - 0.75 * _HALF_BODY, 0.02)
    centres = middle + lane * (rngs[-1].permutation(clip.figures) - (clip.figures - 1) / 2)
    ways = [walk(rng, clip.frames, (-half, half)) for rng in rngs]
    return [replace(way, x=way.x + centre) for way, centre in zip(ways, centres, strict=True)]


def _with_all_in_view(camera: CameraPath, ways: list[Walk], aspect: float) -> CameraPath:
    """The camera turned, where need be, so that the outermost figures stay in the frame."""
    x = np.array([way.x for way in ways])
    inner = aspect / 2 / camera.zoom - _HALF_BODY
    low, high = x.max(axis=0) - inner, x.min(axis=0) + inner
    middle = (low + high) / 2  # where they stand too far apart for both
    return replace(camera, x=np.clip(camera.x, np.minimum(low, middle), np.maximum(high, middle)))


def render_objects(clip: DemoClip) -> Iterator[Objects]:
    """Draw the exact masks of a clip, without the frames.

    Args:
        clip: What to show.

    Yields:
        Number of the figure from 1 on whose coverage is above one half, 0 where there is none, uint8 (H, W); a nearer
        figure hides a farther one.
    """
    plot = _plot(clip)
    for frame in range(clip.frames):
        objects = np.zeros(clip.image_size, dtype=np.uint8)
        for number in plot.far_to_near(frame):
            _enter(objects, number, plot.figure(number, frame, clip.image_size))
        yield objects


def _enter(objects: Objects, number: int, figure: Figure) -> None:
    """Write the number of a figure where it covers the frame."""
    (x0, y0), _, alpha = figure
    objects[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]][alpha > 0.5] = number + 1


def render(clip: DemoClip) -> Iterator[tuple[Pixels, Objects]]:
    """Draw a clip.

    Args:
        clip: What to show.

    Yields:
        Frames as a camera would save them, after JPEG compression, RGB uint8 (H, W, 3), and exact masks, see
        :func:`render_objects`.
    """
    plot = _plot(clip)
    rng, camera = plot.rng, plot.camera
    height, width = clip.image_size
    scene = _scene(clip.seed, clip.image_size)
    to_scene = np.vstack([scene_matrix(clip.image_size), [0, 0, 1]])
    gain = rng.uniform(0.9, 1.08) * (1 + 0.03 * smooth_noise(rng, clip.frames, 14))
    tint = np.array([1 + rng.uniform(-0.03, 0.03), 1.0, 1 + rng.uniform(-0.03, 0.03)], np.float32)
    vignette = _vignette(height, width, rng.uniform(0.1, 0.22)) * tint
    sensor = rng.uniform(0.007, 0.014)
    grain = _grain(rng, height, width)
    for frame in range(clip.frames):
        matrix = np.vstack([camera.matrix(frame, clip.image_size), [0, 0, 1]])
        image = cv2.warpAffine(
            scene,
            _centred((matrix @ to_scene)[:2]),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        ).astype(np.float32)
        image *= 1 / 255
        for number in plot.far_to_near(frame):
            _shade_ground(image, *plot.stand(number, frame, clip.image_size))
        ways = [actor.way for actor in plot.actors]
        image = _motion_blur(image, *_shift(camera, ways[0], frame, clip.image_size, still=True))
        objects = np.zeros(clip.image_size, dtype=np.uint8)
        for number in plot.far_to_near(frame):
            figure = plot.figure(number, frame, clip.image_size)
            (x0, y0), colour, alpha = figure
            window = np.s_[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
            shift = _shift(camera, ways[number], frame, clip.image_size, still=False)
            moved = _motion_blur(cv2.merge([colour, alpha]), *shift)
            image[window] *= 1 - moved[..., 3:]
            image[window] += moved[..., :3] * _SUNLIGHT
            _enter(objects, number, figure)
        image = cv2.GaussianBlur(image, (0, 0), max(height / 384 * 0.6, 0.3))
        image = cv2.multiply(image, vignette, dst=image, scale=float(gain[frame]))
        noise_y, noise_x = rng.integers(0, height), rng.integers(0, width)
        noise = np.ascontiguousarray(grain[noise_y : noise_y + height, noise_x : noise_x + width])
        image += cv2.multiply(noise, image + 0.4, dst=noise, scale=0.9 * sensor)
        pixels = cv2.convertScaleAbs(np.maximum(image, 0, out=image), alpha=255.0)
        _, data = cv2.imencode(
            ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )
        yield np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), dtype=np.uint8), objects


@lru_cache(maxsize=2)
def _scene(seed: int, image_size: tuple[int, int]) -> Pixels:
    """The scene, drawn once per process."""
    return draw_scene(seed, image_size)


def _project(matrix: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """Scene point to frame pixel (x, y)."""
    return np.asarray(matrix[:2] @ np.array([x, y, 1.0]))


def _centred(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map for OpenCV, whose pixel centres are whole numbers."""
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return moved


def _shift(camera: CameraPath, way: Walk, frame: int, size: tuple[int, int], *, still: bool) -> tuple[float, float]:
    """Movement in pixels (x, y) while the shutter is open, of the scene or of the subject."""
    before = max(frame - 1, 0)
    now = frame if frame > 0 else min(1, len(way.x) - 1)
    point = way.x[now], foot_y(way.height[now]) - 0.5 * way.height[now]
    old = point if still else (way.x[before], foot_y(way.height[before]) - 0.5 * way.height[before])
    a, b = _project(camera.matrix(before, size), *old), _project(camera.matrix(now, size), *point)
    return float(b[0] - a[0]) * 0.12, float(b[1] - a[1]) * 0.12


def _motion_blur(image: NDArray[np.float32], dx: float, dy: float) -> NDArray[np.float32]:
    """Average along a short line of (dx, dy) pixels."""
    length = float(np.hypot(dx, dy))
    if length < 0.7:
        return image
    length = min(length, 12.0)
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    step = np.array([dx, dy]) / np.hypot(dx, dy) * length / 2
    middle = np.array([size // 2, size // 2])
    ends = [np.round((middle + sign * step) * 16).astype(int).tolist() for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), dtype=np.float32)


def _shade_ground(image: NDArray[np.float32], foot: NDArray[np.float64], body: float) -> None:
    """The figure's soft shadow; no part of its mask."""
    height, width = image.shape[:2]
    rx, ry = 0.24 * body, 0.035 * body
    cx, cy = foot[0] + 0.07 * body, foot[1] + 0.005 * body
    x0, x1, y0, y1 = (
        int(v)
        for v in (max(0, cx - 2 * rx), min(width, cx + 2 * rx), max(0, cy - 2.5 * ry), min(height, cy + 2.5 * ry))
    )
    if x1 <= x0 or y1 <= y0:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    distance = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
    image[y0:y1, x0:x1] *= (1 - 0.5 * np.exp(-1.2 * distance))[..., None].astype(np.float32)


def _vignette(height: int, width: int, strength: float) -> NDArray[np.float32]:
    """Fall-off towards the corners."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(1 - strength * (x**2 + y**2) / 2, dtype=np.float32)[..., None]


def _grain(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Sensor noise of unit deviation, twice the frame's size: each frame takes its own window."""
    shape = (2 * height, 2 * width)
    grey, colour = (
        rng.standard_normal((*shape, 1), dtype=np.float32),
        rng.standard_normal((*shape, 3), dtype=np.float32),
    )
    return np.asarray(grey + 0.5 * colour, dtype=np.float32)
