"""Tiny data sets in their real layouts and file formats: a bright striped subject that moves over a textured wall."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (48, 64)


def draw_frame(clip: int, frame: int, size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One frame, RGB uint8 (H, W, 3), and its mask, bool (H, W): a subject of about half the frame's height."""
    height, width = size
    bricks = np.random.default_rng(7).integers(60, 180, (-(-height // 6), -(-width // 8), 3)).astype(np.uint8)
    wall = bricks.repeat(6, axis=0).repeat(8, axis=1)[:height, :width]
    wall = np.roll(wall, 2 * frame, axis=1)
    mask = np.zeros(size, dtype=bool)
    x = int((0.15 + 0.4 * ((frame * 0.11 + clip * 0.23) % 1)) * width)
    mask[height // 4 : 3 * height // 4, x : x + width // 4] = True
    colour = np.random.default_rng(100 + clip).integers(0, 256, 3)
    subject = np.where((np.arange(height) // 6 % 2)[:, None, None], colour, 255 - colour).astype(np.uint8)
    return np.where(mask[..., None], np.broadcast_to(subject, wall.shape), wall), mask


def write_images(
    folder: Path,
    clip: int = 0,
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    first: int = 0,
    pattern: str = "{:05d}.jpg",
) -> None:
    """A folder of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        Image.fromarray(draw_frame(clip, frame, size)[0]).save(folder / pattern.format(first + frame), quality=95)


def write_masks(
    folder: Path,
    clip: int = 0,
    frames: Sequence[int] = range(6),
    size: tuple[int, int] = SIZE,
    first: int = 0,
    pattern: str = "{:05d}.png",
) -> None:
    """Masks of some frames, 8-bit grey, 0 and 255."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        mask = draw_frame(clip, frame, size)[1]
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / pattern.format(first + frame))


def write_davis(
    root: Path,
    train: Sequence[str] = ("bear", "boat"),
    val: Sequence[str] = ("camel",),
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    lists: bool = True,
) -> Path:
    """DAVIS-2016: JPEGImages, Annotations and ImageSets at 480p."""
    for number, name in enumerate([*train, *val]):
        write_images(root / "JPEGImages" / "480p" / name, number, frames, size)
        write_masks(root / "Annotations" / "480p" / name, number, range(frames), size)
    if lists:
        folder = root / "ImageSets" / "480p"
        folder.mkdir(parents=True)
        for file, names in (("train", train), ("val", val)):
            lines = [
                f"/JPEGImages/480p/{name}/{frame:05d}.jpg /Annotations/480p/{name}/{frame:05d}.png"
                for name in names
                for frame in range(frames)
            ]
            (folder / f"{file}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_video(
    path: Path,
    clip: int = 0,
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    rate: int = 10,
    portrait: bool = False,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """A video, H.264 by default; ``portrait`` sets the flag that asks players for a quarter turn, as phones do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":  # its assembler and its threads write other bytes now and then
            stream.options = {"x264-params": "asm=0"}
            stream.codec_context.thread_count = 1
        for frame in range(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(clip, frame, size)[0], format="rgb24")))
        file.mux(stream.encode())
    if portrait:
        data = bytearray(path.read_bytes())
        matrix = data.index(b"tkhd") + 44  # after version, flags, times, number, duration, layer, volume
        data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, size[0] << 16, 0, 1 << 30)
        path.write_bytes(data)
    return path


def write_videos(
    root: Path, clips: int = 3, frames: int = 6, size: tuple[int, int] = SIZE, masks: bool = True, splits: bool = True
) -> Path:
    """The generic layout: clips/run1.mp4 (and one clip as images), sparse masks/, splits.json."""
    for number in range(clips):
        name = f"run{number + 1}"
        if number == 1:
            write_images(root / "clips" / name, number, frames, size, first=1, pattern="{:06d}.jpg")
        else:
            write_video(root / "clips" / f"{name}.mp4", number, frames, size)
        if masks and number > 0:
            write_masks(
                root / "masks" / name, number, range(0, frames, 2), size, first=number % 2, pattern="{:06d}.png"
            )
    if splits:
        names = [f"run{number + 1}" for number in range(clips)]
        content = {"train": names[: max(1, clips - 2)], "val": names[-2:-1] or names, "test": names[-1:]}
        (root / "splits.json").write_text(json.dumps(content))
    return root


def centre_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Tight box of a mask as (cx, cy, sx, sy) in [-1, 1], by a plain loop over its pixels."""
    height, width = mask.shape
    pixels = [(x, y) for y in range(height) for x in range(width) if mask[y, x]]
    x0, x1 = min(x for x, _ in pixels), max(x for x, _ in pixels) + 1
    y0, y1 = min(y for _, y in pixels), max(y for _, y in pixels) + 1
    return (x0 + x1) / width - 1, (y0 + y1) / height - 1, (x1 - x0) / width, (y1 - y0) / height


def pixel_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Tight box of a mask as left, top, right, bottom in pixels, on pixel edges."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def write_boxes(path: Path, clip: int = 0, frames: Sequence[int] = range(6), first: int = 0) -> None:
    """A table of boxes as a user would write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{first + frame},{','.join(map(str, pixel_box(draw_frame(clip, frame)[1])))}" for frame in frames]
    path.write_text("\n".join(["frame,x0,y0,x1,y1", *lines]) + "\n")


def write_gif(path: Path, clip: int = 0, durations: Sequence[int] = (100,) * 6) -> Path:
    """A GIF whose frames are shown for so many milliseconds each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(draw_frame(clip, frame)[0]) for frame in range(len(durations))]
    images[0].save(path, save_all=True, append_images=images[1:], duration=list(durations), loop=0)
    return path


def write_variable_rate(path: Path, shown: Sequence[int], codec: str = "libx264", stated: int = 30) -> Path:
    """A video whose frames are shown at so many milliseconds each, of a stated rate."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=stated)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, milliseconds in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(draw_frame(0, number)[0], format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def write_handheld(root: Path, frames: int = 4) -> Path:
    """Handheld190k in the generic layout: five sequences of two cameras, sparse masks of the last two."""
    for sequence in range(5):
        for camera in (1, 2):
            name = f"seq{sequence + 1}/cam{camera}"
            clip = 2 * sequence + camera
            write_images(root / "clips" / name, clip, frames, first=1, pattern="{:06d}.jpg")
            if sequence > 2:
                write_masks(root / "masks" / name, clip, [1], first=1, pattern="{:06d}.png")
    return root


def write_davis_2017(root: Path, frames: int = 4) -> Path:
    """DAVIS-2017: palette masks of two objects, lists of both years, unsupervised masks with ignored pixels."""
    for number, name in enumerate(("bear", "boat", "camel", "dogs")):
        write_images(root / "JPEGImages" / "480p" / name, number, frames)
        for frame in range(frames):
            for folder in ("Annotations", "Annotations_unsupervised"):
                values = draw_frame(number, frame)[1].astype(np.uint8)
                if name == "dogs":
                    values[:6, :8] = 2
                if folder == "Annotations_unsupervised":
                    values[-4:, -4:] = 255
                picture = Image.fromarray(values, mode="P")
                picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [90] * 759)  # 256 colours, so that 255 is kept
                path = root / folder / "480p" / name / f"{frame:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
    for year, train, val in (("2016", "bear", "camel"), ("2017", "bear\nboat", "camel\ndogs")):
        lists = root / "ImageSets" / year
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text(f"{train}\n")
        (lists / "val.txt").write_text(f"{val}\n")
    return root


def write_mat(path: Path, masks: Sequence[NDArray[np.bool_]]) -> None:
    """A MATLAB 7.3 file as Human3.6M has them: ``Masks`` refers to one image per frame, stored columns first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("#refs#")
        references = []
        for number, mask in enumerate(masks):
            image = group.create_dataset(f"m{number}", data=mask.astype(np.uint8).T, compression="gzip")
            image.attrs["MATLAB_class"] = np.bytes_(b"logical")
            references.append(image.ref)
        cells = file.create_dataset("Masks", (len(masks), 1), dtype=h5py.ref_dtype)
        for number, reference in enumerate(references):
            cells[number, 0] = reference
        cells.attrs["MATLAB_class"] = np.bytes_(b"cell")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_h36m(root: Path, subjects: Sequence[str] = ("S1", "S9"), frames: int = 6) -> Path:
    """Human3.6M as unpacked: two takes by two cameras, box masks for all but one camera, silhouettes of one subject."""
    for number, subject in enumerate(subjects):
        for take, file in (("Phoning-1", "Phoning 1"), ("Phoning-2", "Phoning")):
            length = frames if take.endswith("1") else frames + 1
            for camera in ("54138969", "55011271"):
                folder = root / subject / take / "imageSequence" / camera
                write_images(folder, number, length, first=1, pattern="img_{:06d}.jpg")
                masks = [draw_frame(number, frame)[1] for frame in range(length)]
                segments = root / subject / "MySegmentsMat"
                write_mat(segments / "ground_truth_bb" / f"{file}.{camera}.mat", masks)
                write_mat(segments / "ground_truth_bs" / f"{file}.{camera}.mat", masks)
    return root


def write_labels(
    folder: Path,
    key: str,
    subjects: Sequence[int],
    frames: int = 4,
    size: tuple[int, int] = SIZE,
    suffix: str = ".jpg",
    **more: NDArray[np.float64],
) -> Path:
    """A part of an EPFL data set: one sequence per subject and two cameras, its rows in no order, numbers as floats."""
    rows = []
    for seq, subject in enumerate(subjects):
        for cam in range(2):
            pattern = f"{key}_{{:06d}}{suffix}"
            write_images(folder / f"seq_{seq:03d}" / f"cam_{cam:02d}", subject, frames, size, 5, pattern)
            rows += [(seq, cam, 5 + frame, subject) for frame in range(frames)]
    order = np.random.default_rng(0).permutation(len(rows))
    with h5py.File(folder / "labels.h5", "w") as file:
        for column, name in enumerate(("seq", "cam", "frame", "subj")):
            file[name] = np.asarray(rows, dtype=np.float32)[order, column]
        for name, values in more.items():
            file[name] = np.broadcast_to(values, (len(rows), *values.shape[1:])) if len(values) == 1 else values[order]
    return folder


def write_h36m_labels(root: Path, frames: int = 4) -> Path:
    """Human3.6M in the preprocessed layout."""
    for part, subjects in (("train", (1, 5)), ("test", (9,))):
        boxes = []
        for subject in subjects:
            for _ in range(2):
                for frame in range(frames):
                    x0, y0, x1, y1 = pixel_box(draw_frame(subject, frame)[1])
                    boxes.append((x0, y0, x1 - x0, y1 - y0))
        write_labels(
            root / f"h36m-{part}", "img", subjects, frames, bounding_box_cam=np.asarray(boxes, dtype=np.float64)
        )
    return root


def write_ski_crops(root: Path, frames: int = 4) -> Path:
    """Ski-PosePTZ: crops, 2D joints in [0, 1] that span the middle of the crop."""
    corners = np.linspace([0.4, 0.3], [0.6, 0.7], 17).reshape(1, 34)
    for part, subjects in (("train", (0, 4)), ("test", (5,))):
        write_labels(root / part, "image", subjects, frames, (64, 64), ".png", **{"2D": corners})
    return root


SKI_TURN = -0.193200777


def ski_camera(trial: int, camera: int, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intrinsics (3, 3) and pose [R | t] (3, 4) of a camera that looks at the skier, metres and 1280x720 pixels."""
    angle = 0.5 * camera + 0.02 * frame + 0.001 * trial
    forward = np.array([np.cos(angle), np.sin(angle), 0.0])
    right, down = np.array([np.sin(angle), -np.cos(angle), 0.0]), np.array([0.0, 0.0, -1.0])
    rotation = np.stack([right, down, forward])
    centre = np.array([3.0, 4.0, 1.0]) - 10 * forward
    intrinsics = np.array([[2000.0 + 10 * frame, 0, 640], [0, 2000.0 + 10 * frame, 360], [0, 0, 1]])
    return intrinsics, np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)


def ski_markers(frame: int) -> NDArray[np.float64]:
    """23 markers (23, 3) in metres, in the cameras' frame: the body in a box of 0.8 x 0.4 x 1.6 m, skis further out."""
    generator = np.random.default_rng(frame)
    markers = np.array([3.0, 4.0, 1.0]) + generator.uniform([-0.4, -0.2, -0.8], [0.4, 0.2, 0.8], (23, 3))
    markers[15:21] += 2.0
    return np.asarray(markers)


def write_ski(
    root: Path, trials: Sequence[int] = (103, 302, 405), cameras: Sequence[int] = (1, 2), frames: int = 4
) -> Path:
    """Ski-PTZ in full frames: frames from 1, camera 2 does not see the skier in frame 2, masks of frame 3."""
    turn = np.array([[np.cos(SKI_TURN), -np.sin(SKI_TURN)], [np.sin(SKI_TURN), np.cos(SKI_TURN)]])
    for number, trial in enumerate(trials):
        for camera in cameras:
            name = f"trial_{trial}_cam{camera}"
            write_images(root / "Videos_Small" / name, number, frames, (360, 640), 1, "frame_{:06d}.jpg")
            lines = []
            for frame in range(frames):
                intrinsics, pose = ski_camera(trial, camera, frame)
                matrix = intrinsics @ pose
                values = (matrix / matrix[2, 3]).ravel()[:11]
                unseen = camera == 2 and frame == 1
                lines.append(" ".join(["0"] * 12 if unseen else [*(f"{value:.12g}" for value in values), "1"]))
            file = root / "Data" / "DLT_Parameters" / f"PP_Trial_{trial}_CAM{camera}.DLT"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
            if trial != trials[0]:
                mask = draw_frame(number, 2, (720, 1280))[1]
                path = root / "Segmentation_masks" / name / "frame_000003.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.where(mask, 255, 180).astype(np.uint8)).save(path, quality=95)
        rows = []
        for frame in range(frames):
            markers = ski_markers(frame)
            markers[:, :2] = markers[:, :2] @ turn  # turns back: row vectors times the turn's matrix
            rows.append(",".join(f"{value * 1000:.6f}" for value in markers.ravel()))
        path = root / "Data" / "3D_Position_Data" / f"Trial_{trial}_AllMarker_Raumkoor.mat.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([",".join(f"m{n}" for n in range(69)), *rows]) + "\n")
    return root


def save(path: Path, values: NDArray[np.uint8]) -> None:
    """An image file, grey or RGB, in a folder that need not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def cdnet_codes(clip: int, frame: int) -> NDArray[np.uint8]:
    """The codes of a frame: a subject whose right edge is unknown, with a shadow beneath, and an unused border."""
    mask = draw_frame(clip, frame)[1]
    left, _, right, bottom = pixel_box(mask)
    codes = np.where(mask, 255, 0).astype(np.uint8)
    codes[:, right - 2 : right][mask[:, right - 2 : right]] = 170
    codes[bottom : bottom + 3, left:right] = 50
    codes[:4] = 85
    return codes


def write_cdnet(root: Path, clips: Sequence[str] = ("baseline/highway", "PTZ/zoom"), frames: int = 6) -> Path:
    """CDnet-2014: frames from 1, of which temporalROI.txt leaves out the first two, whose masks are all outside."""
    for number, name in enumerate(clips):
        write_images(root / name / "input", number, frames, first=1, pattern="in{:06d}.jpg")
        for frame in range(frames):
            codes = cdnet_codes(number, frame) if frame > 1 else np.full(SIZE, 85, np.uint8)
            save(root / name / "groundtruth" / f"gt{frame + 1:06d}.png", codes)
        inside = np.full(SIZE, 255, np.uint8)
        inside[:4] = 0
        save(root / name / "ROI.bmp", inside)
        (root / name / "temporalROI.txt").write_text(f"3 {frames}\n")
    return root


def write_sbi(root: Path, frames: int = 6) -> Path:
    """SBI: the codes of CDnet without their files, once with 1 for 255; suffixes and names of frames vary."""
    patterns = {"Board": "in{:06d}.png", "Candela_m1.10": "Candela_m1.10_{:06d}.jpg"}
    for number, (name, pattern) in enumerate(patterns.items()):
        write_images(root / name / "input", number, frames, first=50, pattern=pattern)
        for frame in range(frames):
            codes = cdnet_codes(number, frame)
            if number:
                codes = draw_frame(number, frame)[1].astype(np.uint8)
            save(root / name / "groundtruth" / f"gt{50 + frame:06d}.png", codes)
    return root


def write_segtrack(root: Path, frames: int = 6) -> Path:
    """SegTrack v2: a clip of one object and one of two, masks in three channels; suffixes differ."""
    for number, (name, suffix) in enumerate((("birdfall", ".png"), ("cheetah", ".bmp"))):
        pattern = f"{name}_{{:05d}}{suffix}"
        write_images(root / "JPEGImages" / name, number, frames, first=18, pattern=pattern)
        for frame in range(frames):
            mask = draw_frame(number, frame)[1]
            objects = [mask]
            if number:
                left, _, right, _ = pixel_box(mask)
                middle = np.arange(SIZE[1]) < (left + right) // 2
                objects = [mask & middle, mask & ~middle]
            for at, part in enumerate(objects, start=1):
                folder = root / "GroundTruth" / name / (str(at) if number else "")
                values = np.repeat(part[..., None], 3, axis=2).astype(np.uint8) * 255
                save(folder / f"{name}_{18 + frame:05d}.{'bmp' if at == 2 else 'png'}", values)
    (root / "ImageSets").mkdir(parents=True)
    (root / "ImageSets" / "all.txt").write_text("*birdfall\n*cheetah\n")
    return root


def fbms_definition(values: Sequence[int], frames: Sequence[tuple[int, str, str]], count: int) -> str:
    """A definition file: values of the regions; place, mask and image of the annotated frames; number of frames."""
    lines = ["Ground truth definition file; do not change!", "", "Total number of regions:", str(len(values))]
    for region, value in enumerate(values):
        lines += ["", f"Scale of region {region}:", str(value)]
    lines += ["", "Confusion penality matrix", *(" ".join("0" for _ in values) for _ in values), ""]
    lines += ["Total number of frames in this shot:", str(count)]
    lines += ["Total number of labeled frames for this shot:", str(len(frames))]
    for position, mask, image in frames:
        lines += ["Frame number:", str(position), "File name:", mask, "Input file name:", image]
    return "\n".join(lines) + "\n"


def write_fbms(root: Path, frames: int = 6) -> Path:
    """FBMS-59: white background in PPM (with a map of probabilities beside), and black background in PGM."""
    layout = (("Trainingset", "bear01"), ("Trainingset", "cars2"), ("Testset", "camel01"), ("Testset", "cars10"))
    for number, (part, name) in enumerate(layout):
        folder, grey = root / part / name, name.startswith("cars")
        pattern = f"{name}_{{:0{2 if grey else 4}d}}"
        write_images(folder, number, frames, first=1, pattern=f"{pattern}.jpg")
        labelled = []
        for frame in (0, 3, frames - 1):
            mask, stem = draw_frame(number, frame)[1], pattern.format(1 + frame)
            left, _, right, _ = pixel_box(mask)
            halves = np.where(np.arange(SIZE[1]) < (left + right) // 2, 1, 2) * mask  # two regions beside 0
            if grey:
                values, file = np.array([0, 85, 170], np.uint8)[halves], f"{stem}.pgm"
            else:
                values, file = np.array([[255] * 3, [0] * 3, [255, 0, 0]], np.uint8)[halves], f"{stem}_gt.ppm"
                save(folder / "GroundTruth" / f"{stem}_PROB_gt.ppm", values)
            save(folder / "GroundTruth" / file, values)
            labelled.append((frame, file, f"{stem}.ppm"))
        scales = (0, 85, 170) if grey else (0xFFFFFF, 0, 0xFF0000)
        (folder / "GroundTruth" / f"{name}Def.dat").write_text(fbms_definition(scales, labelled, frames))
    return root


LAYOUTS = {
    "davis": write_davis,
    "davis-2017": write_davis_2017,
    "videos": write_videos,
    "handheld": write_handheld,
    "h36m": write_h36m,
    "h36m-labels": write_h36m_labels,
    "ski": write_ski,
    "ski-crops": write_ski_crops,
    "cdnet": write_cdnet,
    "fbms": write_fbms,
    "segtrack": write_segtrack,
    "sbi": write_sbi,
}
"""Every layout of every data set that lies on disk: name of the data config, and of the layout where there are two."""
