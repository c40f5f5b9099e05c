"""The demo's figures: an articulated body with its own clothes and gait, drawn part by part.

Convention: a body stands at the origin of its own frame, unit = its height; ``forward``, ``left`` and ``up`` turn with
it. Projected points are (x right, y down) in pixels, plus a depth that grows towards the camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Point = NDArray[np.float64]

TEXELS = 300
"""Texture resolution in texels per body height."""

_THIGH, _SHIN, _FOOT = 0.245, 0.235, 0.125
_TORSO, _SHOULDER, _HIP = 0.30, 0.105, 0.055
_UPPER_ARM, _FOREARM, _HAND = 0.165, 0.145, 0.055


@dataclass(frozen=True)
class Look:
    """What makes one figure itself: proportions and textures, float32 RGB in [0, 1], (rows along, columns across).

    Attributes:
        girth: Width factor of all parts.
        head: Size factor of the head.
        textures: Texture per part: skin, hair, torso, sleeve, forearm, thigh, shin, shoe, skirt, hat.
        skirt: Length of a skirt or coat below the hip in body heights; 0 for none.
        long_hair: Length of hair below the head's centre in body heights.
        hat: Whether it wears a cap.
        bag: Whether it carries a rucksack.
    """

    girth: float
    head: float
    textures: dict[str, Array]
    skirt: float
    long_hair: float
    hat: bool
    bag: bool


@dataclass(frozen=True)
class Pose:
    """A posture; angles in radians.

    Attributes:
        yaw: Heading; 0 faces the camera, pi/2 walks right.
        lean: Forward bend of the torso.
        roll: Sideways bend of the torso, to the figure's left.
        phase: Phase of the gait.
        stride: Largest thigh angle of the gait.
        stance: Sideways angle of the legs.
        swing: Largest angle of the arms' swing.
        abduction: Sideways angle of (left, right) arm.
        flexion: Forward angle of (left, right) arm on top of the swing.
        elbow: Bend of (left, right) elbow.
        crouch: Bend of the knees on top of the gait.
        seated: 1 sits on a seat 0.26 body heights up, 0 stands.
        nod: Turn of the head against the body.
    """

    yaw: float = 0.0
    lean: float = 0.04
    roll: float = 0.0
    phase: float = 0.0
    stride: float = 0.0
    stance: float = 0.08
    swing: float = 0.0
    abduction: tuple[float, float] = (0.15, 0.15)
    flexion: tuple[float, float] = (0.0, 0.0)
    elbow: tuple[float, float] = (0.3, 0.3)
    crouch: float = 0.05
    seated: float = 0.0
    nod: float = 0.0


def _noise(rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float]) -> Array:
    """Smooth noise in about [-1, 1]; ``cell`` is its grain (rows, columns) in texels."""
    grid = rng.normal(0, 0.5, (max(2, int(shape[0] / cell[0]) + 2), max(2, int(shape[1] / cell[1]) + 2)))
    return np.asarray(cv2.resize(grid.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC))


def random_colour(rng: np.random.Generator) -> Array:
    """A colour as clothes have it: mostly muted, sometimes strong; RGB in [0, 1], (3,)."""
    hue = rng.uniform(0, 180)
    saturation = rng.choice([rng.uniform(0, 50), rng.uniform(50, 140), rng.uniform(140, 215)], p=[0.3, 0.45, 0.25])
    value = rng.choice([rng.uniform(35, 90), rng.uniform(90, 180), rng.uniform(180, 240)], p=[0.35, 0.4, 0.25])
    pixel = np.array([[[hue, saturation, value]]], dtype=np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0] / 255.0, dtype=np.float32)


def _fabric(rng: np.random.Generator, quiet: bool = False) -> Callable[[tuple[int, int]], Array]:
    """A random cloth, ``quiet`` without large figures; the result cuts a piece of (rows, columns) texels from it."""
    base, second, third = random_colour(rng), random_colour(rng), random_colour(rng)
    kind = rng.choice(
        ["plain", "stripes", "pin", "checks", "print", "dots", "block", "camo"],
        p=[0.5, 0.0, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0] if quiet else [0.2, 0.18, 0.1, 0.16, 0.12, 0.08, 0.08, 0.08],
    )
    period = float(rng.uniform(12, 26))
    duty = float(rng.uniform(0.3, 0.6))

    def cut(shape: tuple[int, int]) -> Array:
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        weight = np.zeros(shape, np.float32)
        accent = np.zeros(shape, np.float32)
        if kind == "stripes":
            weight = ((rows / period) % 1 < duty).astype(np.float32)
        elif kind == "pin":
            weight = ((columns / (period * 0.6)) % 1 < 0.3).astype(np.float32)
        elif kind == "checks":
            one, two = (rows / period) % 1 < duty, (columns / period) % 1 < duty
            weight = 0.5 * one.astype(np.float32) + 0.5 * two.astype(np.float32)
            accent = (((rows / period + 0.7) % 1 < 0.08) | ((columns / period + 0.7) % 1 < 0.08)).astype(np.float32)
        elif kind == "dots":
            grid_r, grid_c = (rows / period) % 1 - 0.5, (columns / period) % 1 - 0.5
            weight = (np.hypot(grid_r, grid_c) < 0.26).astype(np.float32)
        elif kind == "block":
            weight = (rows < shape[0] * 0.42).astype(np.float32)
            accent = (np.abs(rows - shape[0] * 0.42) < 3).astype(np.float32)
        elif kind == "camo":
            weight = (_noise(rng, shape, (18, 14)) > 0.1).astype(np.float32)
            accent = (_noise(rng, shape, (14, 11)) > 0.35).astype(np.float32)
        elif kind == "print" and shape[1] > 50:
            centre = np.array([shape[0] * 0.4, shape[1] * 0.5])
            field_ = np.hypot((rows - centre[0]) / 26, (columns - centre[1]) / 24) + 0.5 * _noise(rng, shape, (9, 9))
            weight = (field_ < 0.85).astype(np.float32)
            accent = (field_ < 0.4).astype(np.float32)
        colour = base + weight[..., None] * (second - base)
        colour = colour + 0.8 * accent[..., None] * (third - colour)
        folds = (
            0.10 * _noise(rng, shape, (34, 9)) + 0.07 * _noise(rng, shape, (10, 22)) + 0.03 * _noise(rng, shape, (2, 2))
        )
        return np.asarray(np.clip(colour * (1 + folds[..., None]), 0, 1), dtype=np.float32)

    return cut


def _flat(
    rng: np.random.Generator, colour: Array, shape: tuple[int, int], grain: float, cell: tuple[int, int]
) -> Array:
    """One colour with some grain."""
    return np.asarray(np.clip(colour * (1 + grain * _noise(rng, shape, cell)[..., None]), 0, 1), dtype=np.float32)


_SKIN = np.array([[0.93, 0.76, 0.65], [0.86, 0.66, 0.53], [0.76, 0.56, 0.42], [0.60, 0.42, 0.30], [0.42, 0.28, 0.20]])
_HAIR = np.array([[0.10, 0.08, 0.07], [0.25, 0.16, 0.10], [0.42, 0.28, 0.16], [0.72, 0.56, 0.32], [0.55, 0.53, 0.52]])


def random_look(rng: np.random.Generator) -> Look:
    """Draw a figure's body and clothes.

    Args:
        rng: Source of randomness; one generator state gives one figure.

    Returns:
        The look.
    """
    skin = (_SKIN[rng.integers(len(_SKIN))] * rng.uniform(0.92, 1.06)).astype(np.float32)
    hair = (_HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.8, 1.2)).astype(np.float32)
    top, bottom, outer = _fabric(rng), _fabric(rng, quiet=True), _fabric(rng)

    def bare(shape: tuple[int, int]) -> Array:
        return _flat(rng, skin, shape, 0.04, (12, 8))

    limb, trunk = (62, 30), (110, 84)
    short_sleeves, shorts = rng.random() < 0.4, rng.random() < 0.22
    dress = rng.random() < 0.25
    bare_legs = shorts or (dress and rng.random() < 0.6)
    textures = {
        "skin": bare((50, 40)),
        "hair": _flat(rng, hair, (60, 60), 0.25, (26, 3)),
        "torso": top(trunk),
        "sleeve": top(limb),
        "forearm": bare(limb) if short_sleeves else top(limb),
        "thigh": bare((80, 44)) if bare_legs and not shorts else bottom((80, 44)),
        "shin": bare((80, 36)) if bare_legs else bottom((80, 36)),
        "shoe": _flat(rng, random_colour(rng) * np.float32(rng.uniform(0.4, 1.0)), (44, 22), 0.1, (8, 8)),
        "skirt": (top if rng.random() < 0.5 else outer)((96, 90)),
        "hat": _flat(rng, random_colour(rng), (40, 50), 0.06, (8, 8)),
        "bag": _flat(rng, random_colour(rng), (80, 70), 0.1, (10, 10)),
    }
    return Look(
        girth=float(rng.uniform(0.92, 1.25)),
        head=float(rng.uniform(0.95, 1.12)),
        textures=textures,
        skirt=float(rng.uniform(0.12, 0.26)) if dress else 0.0,
        long_hair=float(rng.uniform(0.06, 0.16)) if rng.random() < 0.4 else 0.0,
        hat=bool(rng.random() < 0.3),
        bag=bool(rng.random() < 0.25),
    )


@dataclass
class _Skeleton:
    """Joints as (forward, left, up) in body heights."""

    joints: dict[str, Point] = field(default_factory=dict)


def _direction(flex: float, abduct: float, side: int) -> Point:
    """Unit vector of a hanging limb raised forward by ``flex`` and outward by ``abduct``."""
    return np.array([np.sin(flex) * np.cos(abduct), side * np.sin(abduct), -np.cos(flex) * np.cos(abduct)])


def skeleton(pose: Pose) -> dict[str, Point]:
    """Joints of a posture, feet on the ground.

    Args:
        pose: The posture.

    Returns:
        Name -> (forward, left, up) in body heights.
    """
    joints: dict[str, Point] = {"hip": np.zeros(3)}
    for name, side, shift in (("l", 1, 0.0), ("r", -1, np.pi)):
        phase = pose.phase + shift
        thigh = pose.stride * np.sin(phase) + 0.1 * pose.stride + 0.5 * pose.crouch
        knee = pose.crouch + 1.7 * pose.stride * max(0.0, float(np.cos(phase))) ** 1.5
        thigh += pose.seated * (1.45 - thigh)
        knee += pose.seated * (1.45 - knee)
        root = np.array([0.0, side * _HIP, 0.0])
        joints[f"{name}_hip"] = root
        joints[f"{name}_knee"] = root + _THIGH * _direction(thigh, pose.stance, side)
        joints[f"{name}_ankle"] = joints[f"{name}_knee"] + _SHIN * _direction(thigh - knee, pose.stance * 0.7, side)
        toe = _direction(min(thigh - knee, 0.5) * 0.8 + 1.35, 0.15, side)
        joints[f"{name}_toe"] = joints[f"{name}_ankle"] + _FOOT * toe + np.array([0, 0, -0.01])
    upward = np.array([np.sin(pose.lean), np.sin(pose.roll), np.cos(pose.lean) * np.cos(pose.roll)])
    across = np.array([0.0, np.cos(pose.roll), -np.sin(pose.roll)])
    neck = _TORSO * upward
    joints["neck"] = neck
    head_up = np.array([np.sin(pose.lean * 0.7), np.sin(pose.roll * 0.6), np.cos(pose.lean * 0.7)])
    joints["head"] = neck + 0.105 * head_up + np.array([0.012, 0, 0])
    for name, side, shift, k in (("l", 1, np.pi, 0), ("r", -1, 0.0, 1)):
        flex = pose.swing * np.sin(pose.phase + shift) + pose.flexion[k] - 0.4 * pose.lean
        abduct = pose.abduction[k]
        root = neck - 0.035 * upward + side * _SHOULDER * across
        raised = min(1.0, abs(abduct) / 1.2)
        joints[f"{name}_shoulder"] = root
        joints[f"{name}_elbow"] = root + _UPPER_ARM * _direction(flex, abduct, side)
        fore = _direction(flex + pose.elbow[k] * (1 - raised), abduct + pose.elbow[k] * raised, side)
        joints[f"{name}_wrist"] = joints[f"{name}_elbow"] + _FOREARM * fore
        joints[f"{name}_hand"] = joints[f"{name}_wrist"] + _HAND * fore
    lowest = min(min(j[2] for key, j in joints.items() if key.endswith(s)) for s in ("ankle", "toe")) - 0.028
    return {key: joint - np.array([0, 0, lowest]) for key, joint in joints.items()}


class _Canvas:
    """Premultiplied colour and coverage, drawn over part by part."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.colour = np.zeros((*shape, 3), np.float32)
        self.alpha = np.zeros(shape, np.float32)

    def part(
        self, start: Point, end: Point, profile: list[tuple[float, float]], texture: Array, light: float = 1.0
    ) -> None:
        """Draw a part round the axis from ``start`` to ``end``.

        Args:
            start: Pixel (x, y).
            end: Pixel (x, y).
            profile: (position in pixels along the axis from start, half-width in pixels), in order.
            texture: Colours, rows along and columns across.
            light: Brightness factor.
        """
        axis = end - start
        length = float(np.hypot(*axis))
        along = axis / length if length > 1e-3 else np.array([0.0, 1.0])
        across = np.array([-along[1], along[0]])
        if across @ np.array([0.8, 0.6]) < 0:  # always from the lit side to the dark side
            across = -across
        outline = np.array(profile)
        widest = max(float(outline[:, 1].max()), 0.5)
        right = start + outline[:, :1] * along + outline[:, 1:] * across
        left = start + outline[:, :1] * along - outline[:, 1:] * across
        polygon = np.concatenate([right, left[::-1]])
        low = np.maximum(np.floor(polygon.min(0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(polygon.max(0)).astype(int) + 2, np.array(self.alpha.shape[::-1]))
        if (high - low < 1).any():
            return
        width, height = (high - low).tolist()
        cover = np.zeros((height, width), np.uint8)
        cv2.fillPoly(cover, [np.round((polygon - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        rows, columns = texture.shape[:2]
        span = float(outline[-1, 0] - outline[0, 0])
        origin = start + outline[0, 0] * along - widest * across - low
        step_x, step_y = across * (2 * widest / columns), along * (max(span, 1.0) / rows)
        matrix = np.column_stack([step_x, step_y, origin])
        colour = cv2.warpAffine(
            texture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        shade = cv2.warpAffine(
            _SHADE,
            np.column_stack([across * (2 * widest / _SHADE.shape[1]), along * max(span, 1.0), origin]),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        alpha = cover.astype(np.float32)
        alpha *= 1 / 255
        rest = 1 - alpha
        shade *= alpha * np.float32(light)
        colour *= shade[..., None]
        window = np.s_[low[1] : high[1], low[0] : high[0]]
        self.colour[window] *= rest[..., None]
        self.colour[window] += colour
        self.alpha[window] *= rest
        self.alpha[window] += alpha


_ACROSS = np.linspace(-1, 1, 32)
_SHADE = (0.58 + 0.42 * np.sqrt(1 - 0.96 * _ACROSS**2) - 0.16 * _ACROSS).astype(np.float32)[None].repeat(2, axis=0)
"""Brightness across a round part, from the lit side to the dark side."""


def _limb(length: float, first: float, middle: float, last: float) -> list[tuple[float, float]]:
    """Profile of a limb with round ends: radii at its start, middle and end."""
    cap = np.linspace(0, np.pi / 2, 5)
    start = [(-first * float(np.cos(a)), first * float(np.sin(a))) for a in cap]
    end = [(length + last * float(np.sin(a)), last * float(np.cos(a))) for a in cap]
    return [*start, (0.4 * length, middle), *end]


def _lathe(length: float, widths: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Profile through (fraction of the length, half-width) points, rounded between them."""
    points = np.array(widths)
    at = np.linspace(points[0, 0], points[-1, 0], 17)
    return [(float(a) * length, float(w)) for a, w in zip(at, np.interp(at, points[:, 0], points[:, 1]), strict=True)]


def draw_figure(
    look: Look, pose: Pose, height: float, foot: Point, shape: tuple[int, int], angle: float = 0.0
) -> tuple[tuple[int, int], Array, Array]:
    """Draw one figure on an empty window of a canvas, at twice the resolution and then averaged.

    Args:
        look: Its body and clothes.
        pose: Its posture.
        height: Body height in pixels.
        foot: Pixel (x, y) of the ground point between its feet.
        shape: Canvas (rows, columns) in pixels.
        angle: Roll of the picture in radians, clockwise positive.

    Returns:
        The window's first (column, row) on the canvas; premultiplied colour, float32 (rows, columns, 3) in [0, 1];
        coverage, float32 (rows, columns) in [0, 1]. The window is empty if the figure is off the canvas.
    """
    reach = np.array([0.62, 1.3]) * height, np.array([0.62, 0.2]) * height
    limit = np.array(shape[::-1])
    low = np.clip(np.floor(foot - reach[0]).astype(int), 0, limit)
    high = np.clip(np.ceil(foot + reach[1]).astype(int), low, limit)
    columns, rows = (high - low).tolist()
    if rows == 0 or columns == 0:
        return (0, 0), np.zeros((0, 0, 3), np.float32), np.zeros((0, 0), np.float32)
    canvas = _Canvas((2 * rows, 2 * columns))
    _draw_parts(canvas, look, pose, 2 * height, 2 * (foot - low), angle)
    colour = np.asarray(cv2.resize(canvas.colour, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
    alpha = np.asarray(cv2.resize(canvas.alpha, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
    return (int(low[0]), int(low[1])), colour, alpha


def _draw_parts(canvas: _Canvas, look: Look, pose: Pose, unit: float, foot: Point, angle: float) -> None:
    """Draw all parts of a figure from the farthest to the nearest; ``unit`` is the body height in pixels."""
    joints = skeleton(pose)
    sin, cos = np.sin(pose.yaw), np.cos(pose.yaw)
    roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def at(name: str) -> Point:
        forward, left, up = joints[name]
        nearer = (forward * cos - left * sin) * (1 - up / 0.9)  # seen from eye height, near feet are lower
        return np.asarray(foot + unit * (roll @ np.array([forward * sin + left * cos, 0.2 * nearer - up])))

    def depth(name: str) -> float:
        forward, left, _ = joints[name]
        return float(forward * cos - left * sin)

    tex, g = look.textures, look.girth * unit
    parts: list[tuple[float, Callable[[], None]]] = []

    def limb(first: str, last: str, radii: tuple[float, float, float], texture: str, bias: float = 0.0) -> None:
        a, b = at(first), at(last)
        near = (depth(first) + depth(last)) / 2 + bias
        light = 1.0 if near > -0.03 else 0.86
        profile = _limb(float(np.hypot(*(b - a))), *(r * g for r in radii))
        parts.append((near, lambda: canvas.part(a, b, profile, tex[texture], light)))

    for s in ("l", "r"):
        limb(f"{s}_ankle", f"{s}_toe", (0.026, 0.024, 0.018), "shoe", 0.01)
        limb(f"{s}_knee", f"{s}_ankle", (0.038, 0.039, 0.024), "shin", 0.0)
        limb(
            f"{s}_hip",
            f"{s}_knee",
            (0.058, 0.054, 0.040),
            "skirt" if look.skirt > 0 and pose.seated > 0.5 else "thigh",
            -0.01,
        )
        limb(f"{s}_wrist", f"{s}_hand", (0.019, 0.024, 0.015), "skin", 0.02)
        limb(f"{s}_elbow", f"{s}_wrist", (0.030, 0.029, 0.020), "forearm", 0.015)
        limb(f"{s}_shoulder", f"{s}_elbow", (0.037, 0.035, 0.030), "sleeve", 0.01)

    neck, hip, head = at("neck"), at("hip"), at("head")
    wide = abs(cos)
    trunk = float(np.hypot(*(hip - neck)))
    shoulder, chest = (0.068 + 0.062 * wide) * g, (0.072 + 0.034 * wide) * g
    waist, seat = (0.064 + 0.022 * wide) * g, (0.072 + 0.026 * wide) * g
    torso = _lathe(
        max(trunk, 0.12 * unit),
        [
            (-0.08, 0.03 * g),
            (0.0, 0.6 * shoulder),
            (0.07, 0.95 * shoulder),
            (0.16, shoulder),
            (0.4, chest),
            (0.7, waist),
            (1.0, seat),
            (1.12, 0.8 * seat),
            (1.18, 0.45 * seat),
        ],
    )
    parts.append((0.0, lambda: canvas.part(neck, hip, torso, tex["torso"])))
    if look.skirt > 0 and pose.seated < 0.5:
        knees = (at("l_knee") + at("r_knee")) / 2
        spread = float(np.hypot(*(at("l_knee") - at("r_knee")))) / 2
        share = look.skirt / _THIGH
        bottom = hip + (knees - hip) * share
        hem = max(seat * 1.15, min(1.0, share) * spread + 0.055 * g)
        length = max(float(np.hypot(*(bottom - hip))), 0.05 * unit)
        skirt = _lathe(length, [(-0.5, waist), (0.0, seat), (0.5, (seat + hem) / 2), (1.0, hem), (1.03, hem * 0.97)])
        over = max(0.012, *((depth(f"{s}_hip") + depth(f"{s}_knee")) / 2 for s in ("l", "r")))
        parts.append((over, lambda: canvas.part(hip, bottom, skirt, tex["skirt"])))
    if look.bag:
        back = np.array([-sin * 0.075 * g, 0.0])
        size = (0.05 + 0.035 * wide) * g
        bag = _lathe(0.24 * unit, [(0.0, 0.5 * size), (0.08, size), (0.8, 1.05 * size), (1.0, 0.7 * size)])
        middle = roll @ (back + np.array([0, 0.02 * unit]))
        parts.append((-0.1 * cos - 0.001, lambda: canvas.part(neck + middle, hip + middle, bag, tex["bag"])))
    parts.append((0.03, lambda: _draw_head(canvas, look, neck, head, pose, unit)))
    if look.long_hair and np.cos(pose.yaw + pose.nod) > -0.2:
        fall = look.long_hair * unit
        back = head - roll @ np.array([np.sin(pose.yaw + pose.nod) * 0.02 * unit, 0.0])
        hair = _lathe(
            0.06 * unit + fall, [(0.0, 0.055 * unit), (0.4, 0.068 * unit), (0.8, 0.066 * unit), (1.0, 0.04 * unit)]
        )
        parts.append((-0.06, lambda: canvas.part(back, back + (neck - head), hair, tex["hair"], 0.85)))
    for _, draw in sorted(parts, key=lambda part: part[0]):
        draw()


def _draw_head(canvas: _Canvas, look: Look, neck: Point, head: Point, pose: Pose, unit: float) -> None:
    """Neck, hair, face and cap."""
    tex = look.textures
    yaw = pose.yaw + pose.nod
    sin, cos = float(np.sin(yaw)), float(np.cos(yaw))
    up = (neck - head) / max(float(np.hypot(*(neck - head))), 1e-6)  # from the head down to the neck
    side = np.array([up[1], -up[0]])
    radius = 0.068 * look.head * unit
    width = (0.80 + 0.12 * abs(sin)) * radius

    def oval(centre: Point, half_length: float, half_width: float, texture: Array, light: float = 1.0) -> None:
        turn = np.linspace(0, np.pi, 15)
        profile = [(half_length * (1 - float(np.cos(a))), half_width * float(np.sin(a))) for a in turn]
        canvas.part(centre - up * half_length, centre + up * half_length, profile, texture, light)

    canvas.part(
        head, neck, _limb(float(np.hypot(*(neck - head))), *(r * unit for r in (0.03, 0.029, 0.034))), tex["skin"], 0.85
    )
    oval(head, radius, width, tex["skin"])
    if cos > -0.35:  # the face is seen: hair covers the top and the back of the head
        oval(head - up * 0.58 * radius - side * sin * 0.22 * radius, radius * 0.52, width * 1.04, tex["hair"])
        oval(
            head - side * sin * 0.72 * radius - up * 0.1 * radius,
            radius * 0.8,
            width * 0.45 * abs(sin) + 0.5,
            tex["hair"],
        )
        for eye in (-0.36, 0.36):
            shift = eye * max(cos, 0.0) + 0.72 * sin
            if abs(shift) < 0.85:
                oval(head + side * shift * width + up * 0.02 * radius, 0.06 * radius, 0.10 * radius, _DARK)
        oval(head + side * 0.85 * sin * width + up * 0.22 * radius, 0.16 * radius, 0.09 * radius, tex["skin"], 0.8)
        oval(
            head + side * 0.66 * sin * width + up * 0.52 * radius,
            0.06 * radius,
            0.26 * radius * max(cos, 0.3),
            tex["skin"],
            0.55,
        )
    else:
        oval(head - up * 0.12 * radius, radius * 0.95, width * 1.05, tex["hair"])
        if look.long_hair:
            oval(
                head + up * look.long_hair * 0.4 * unit,
                radius * 0.8 + look.long_hair * 0.5 * unit,
                width * 1.05,
                tex["hair"],
            )
    if look.hat:
        oval(head - up * 0.62 * radius, radius * 0.52, width * 1.12, tex["hat"])
        if cos > -0.35:
            oval(head - up * 0.35 * radius + side * sin * 0.9 * radius, radius * 0.12, width * 0.75, tex["hat"], 0.75)


_DARK = np.full((4, 4, 3), 0.12, np.float32)


@dataclass(frozen=True)
class Walk:
    """A figure's way through a clip.

    Attributes:
        poses: Posture in every frame.
        x: Scene x of the feet, (N,).
        height: Body height in frame heights, (N,).
    """

    poses: list[Pose]
    x: NDArray[np.float64]
    height: NDArray[np.float64]


_Pair = tuple[float, float]
_GESTURES: tuple[tuple[_Pair, _Pair, _Pair], ...] = (  # abduction, flexion, elbow of the (left, right) arm
    ((1.2, 1.2), (0.5, -0.4), (0.2, 0.2)),
    ((1.7, 0.5), (0.5, -0.5), (0.7, 0.5)),
    ((0.5, 1.7), (-0.5, 0.5), (0.5, 0.7)),
    ((0.85, 0.85), (0.6, -0.4), (1.2, 1.2)),
    ((0.7, 0.8), (1.1, -0.4), (0.3, 0.9)),
    ((0.6, 0.6), (1.1, 1.1), (0.4, 0.4)),
    ((0.8, 0.5), (-0.5, 1.3), (0.5, 0.3)),
)


def _gesture(rng: np.random.Generator, pose: Pose) -> Pose:
    """The same posture with a random gesture of the arms."""
    abduction, flexion, elbow = _GESTURES[rng.integers(len(_GESTURES))]
    return replace(pose, abduction=abduction, flexion=flexion, elbow=elbow)


def walk(rng: np.random.Generator, frames: int, range_x: tuple[float, float]) -> Walk:
    """Let a figure walk, turn, stand, gesture and bend.

    Args:
        rng: Source of randomness: heading, gait and gestures.
        frames: Number of frames, a tenth of a second apart.
        range_x: Smallest and largest scene x.

    Returns:
        Its way.
    """
    low, high = range_x
    speed, max_stride = rng.uniform(0.07, 0.12), rng.uniform(0.48, 0.68)
    base = rng.uniform(0.53, 0.64)
    gait_abduction, gait_elbow = rng.uniform(0.35, 0.8), rng.uniform(0.35, 1.2)
    stance = rng.uniform(0.06, 0.2)
    x, size = rng.uniform(low, high), base
    yaw = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.7)
    pose = Pose(
        yaw=yaw,
        phase=rng.uniform(0, 2 * np.pi),
        stance=stance,
        stride=max_stride,
        swing=0.8,
        abduction=(gait_abduction, gait_abduction),
        elbow=(gait_elbow, gait_elbow),
    )
    left, goal = 0, pose
    target_yaw = yaw
    poses: list[Pose] = []
    xs, sizes = np.empty(frames), np.empty(frames)
    for frame in range(frames):
        if left <= 0:
            moving = bool(rng.random() < 0.68)
            left = int(rng.integers(9, 20)) if moving else int(rng.integers(6, 13))
            if moving:
                toward = (
                    1.0
                    if x < low + 0.25 * (high - low)
                    else -1.0
                    if x > high - 0.25 * (high - low)
                    else rng.choice([-1.0, 1.0])
                )
                target_yaw = toward * rng.uniform(0.7, 2.1)
                goal = Pose(
                    lean=rng.uniform(0.02, 0.2),
                    stride=max_stride,
                    swing=rng.uniform(0.7, 1.1),
                    stance=stance * 0.5,
                    abduction=(gait_abduction, gait_abduction),
                    elbow=(gait_elbow, gait_elbow),
                )
                if rng.random() < 0.45:
                    goal = _gesture(rng, goal)
            else:
                target_yaw = yaw + rng.uniform(-1.6, 1.6)
                bend = rng.random() < 0.35
                goal = _gesture(
                    rng,
                    Pose(
                        lean=rng.uniform(0.5, 0.95) if bend else rng.uniform(0, 0.1),
                        roll=rng.uniform(-0.2, 0.2),
                        stance=rng.uniform(0.2, 0.42),
                        crouch=rng.uniform(0.1, 0.6) if bend else 0.05,
                        nod=rng.uniform(-0.6, 0.6),
                    ),
                )
        left -= 1
        if (x < low and np.sin(yaw) < 0) or (x > high and np.sin(yaw) > 0):
            target_yaw = -target_yaw if abs(np.sin(target_yaw)) > 0.2 else np.sign(-x) * 1.2
        yaw += float(np.clip(target_yaw - yaw, -0.42, 0.42))
        pose = _toward(pose, goal, 0.3)
        pace = speed * size * pose.stride / max_stride
        x = float(np.clip(x + pace * np.sin(yaw), low - 0.05, high + 0.05))
        size = float(np.clip(size + 0.16 * pace * np.cos(yaw), 0.50, 0.67))
        step = 2 * (_THIGH + _SHIN) * np.sin(max(pose.stride, 0.15)) * size
        pose = replace(pose, yaw=yaw, phase=pose.phase + np.pi * pace / step)
        poses.append(pose)
        xs[frame], sizes[frame] = x, size
    return Walk(poses, xs, sizes)


def _toward(pose: Pose, goal: Pose, share: float) -> Pose:
    """Move all angles but heading and phase some way towards a goal."""

    def mix(a: float, b: float) -> float:
        return a + share * (b - a)

    def pair(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
        return mix(a[0], b[0]), mix(a[1], b[1])

    return replace(
        pose,
        lean=mix(pose.lean, goal.lean),
        roll=mix(pose.roll, goal.roll),
        stride=mix(pose.stride, goal.stride),
        stance=mix(pose.stance, goal.stance),
        swing=mix(pose.swing, goal.swing),
        abduction=pair(pose.abduction, goal.abduction),
        flexion=pair(pose.flexion, goal.flexion),
        elbow=pair(pose.elbow, goal.elbow),
        crouch=mix(pose.crouch, goal.crouch),
        nod=mix(pose.nod, goal.nod),
    )
