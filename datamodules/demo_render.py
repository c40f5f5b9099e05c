"""From scene, figure and camera to the frames and masks of one demo clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.demo_camera import CameraPath, Preset, follow, smooth_noise
from datamodules.demo_figure import Look, Walk, draw_figure, random_look, walk
from datamodules.demo_scene import draw_scene, foot_y, scene_matrix

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Figure = tuple[tuple[int, int], NDArray[np.float32], NDArray[np.float32]]

VERSION = 3
"""Part of the cache's key: raise it whenever a picture changes."""

_SPLITS = {"train": 0, "val": 1, "test": 2}
_JPEG_QUALITY = 92
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
    """

    preset: Preset
    seed: int
    split: str
    number: int
    frames: int
    image_size: tuple[int, int]

    @property
    def name(self) -> str:
        """Name of the clip: ``train_00``."""
        return f"{self.split}_{self.number:02d}"


@dataclass(frozen=True)
class _Plot:
    """What happens in a clip: the figure, its way, the camera, and the random state after they were drawn."""

    look: Look
    way: Walk
    camera: CameraPath
    rng: np.random.Generator

    def figure(self, frame: int, size: tuple[int, int]) -> Figure:
        """The figure in one frame of a size: ((x0, y0), colour (h, w, 3), coverage (h, w)) of the window it is in."""
        matrix = np.vstack([self.camera.matrix(frame, size), [0, 0, 1]])
        foot = _project(matrix, self.way.x[frame], foot_y(self.way.height[frame]))
        body = self.way.height[frame] * self.camera.zoom[frame] * size[0]
        return draw_figure(self.look, self.way.poses[frame], body, foot, size, float(self.camera.angle[frame]))


def _plot(clip: DemoClip) -> _Plot:
    rng = np.random.default_rng([clip.seed, 2002, _SPLITS[clip.split], clip.number])
    aspect = clip.image_size[1] / clip.image_size[0]
    room = 0.5 * (2.6 - 1.2) * aspect
    look = random_look(rng)
    reach = aspect / 2 - 0.30 if clip.preset == "static" else room + 0.1 * aspect
    way = walk(rng, clip.frames, (-reach, reach))
    return _Plot(look, way, follow(rng, clip.preset, way.x, aspect, room), rng)


def render_masks(clip: DemoClip) -> Iterator[Mask]:
    """Draw the exact masks of a clip, without the frames.

    Args:
        clip: What to show.

    Yields:
        Bool (H, W): coverage above one half.
    """
    plot = _plot(clip)
    for frame in range(clip.frames):
        yield _covered(plot.figure(frame, clip.image_size), clip.image_size)


def _covered(figure: Figure, size: tuple[int, int]) -> Mask:
    (x0, y0), _, alpha = figure
    mask = np.zeros(size, dtype=bool)
    mask[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]] = alpha > 0.5
    return mask


def render(clip: DemoClip) -> Iterator[tuple[Pixels, Mask]]:
    """Draw a clip.

    Args:
        clip: What to show.

    Yields:
        Frames as a camera would save them, after JPEG compression, RGB uint8 (H, W, 3), and exact masks, bool (H, W).
    """
    plot = _plot(clip)
    rng, way, camera = plot.rng, plot.way, plot.camera
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
        foot = _project(matrix, way.x[frame], foot_y(way.height[frame]))
        body = way.height[frame] * camera.zoom[frame] * height
        _shade_ground(image, foot, body)
        image = _motion_blur(image, *_shift(camera, way, frame, clip.image_size, still=True))
        figure = plot.figure(frame, clip.image_size)
        (x0, y0), colour, alpha = figure
        window = np.s_[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
        moved = _motion_blur(cv2.merge([colour, alpha]), *_shift(camera, way, frame, clip.image_size, still=False))
        image[window] *= 1 - moved[..., 3:]
        image[window] += moved[..., :3] * _SUNLIGHT
        image = cv2.GaussianBlur(image, (0, 0), max(height / 384 * 0.6, 0.3))
        image = cv2.multiply(image, vignette, dst=image, scale=float(gain[frame]))
        noise_y, noise_x = rng.integers(0, height), rng.integers(0, width)
        noise = np.ascontiguousarray(grain[noise_y : noise_y + height, noise_x : noise_x + width])
        image += cv2.multiply(noise, image + 0.4, dst=noise, scale=0.9 * sensor)
        pixels = cv2.convertScaleAbs(np.maximum(image, 0, out=image), alpha=255.0)
        _, data = cv2.imencode(
            ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )
        yield np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), dtype=np.uint8), _covered(figure, clip.image_size)


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
