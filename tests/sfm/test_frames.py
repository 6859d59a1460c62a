"""Frames of a video: sharp ones, evenly along the way; upright, and as many as there are."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageFilter

from gsplat_core.errors import DataError
from gsplat_core.sfm.frames import Survey, choose, laplacian_variance, survey, write_frames
from gsplat_core.sfm.video import check_video, is_video, read_video

WIDTH, HEIGHT = 192, 108
# Stands, walks, stands, and walks twice as fast.
WAY = [0] * 12 + list(range(0, 120, 4)) + [120] * 20 + list(range(120, 360, 8))
BLURRED = 3


def write_video(path: Path, frames: Sequence[np.ndarray]) -> None:
    height, width = frames[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=30, macro_block_size=1, quality=9)
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A window that moves over a picture; all frames but every third are blurred."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 150, 3), dtype=np.uint8)
    wide = Image.fromarray(noise).resize((600, 120), Image.Resampling.BICUBIC)
    frames = []
    for number, x in enumerate(WAY):
        frame = wide.crop((x, 0, x + WIDTH, HEIGHT))
        frames.append(np.asarray(frame.filter(ImageFilter.GaussianBlur(2)) if number % BLURRED else frame))
    path = tmp_path_factory.mktemp("video") / "walk.mp4"
    write_video(path, frames)
    return path


def never(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def test_a_survey_knows_the_way_and_what_is_sharp(walk: Path) -> None:
    told: list[tuple[int, int]] = []
    seen = survey(walk, lambda *far: told.append(far))
    assert len(seen.way) == len(seen.sharpness) == len(WAY)
    assert told[-1] == (len(WAY), len(WAY))
    assert np.all(np.diff(seen.way) >= 0)
    assert seen.way[11] == 0
    assert seen.way[-1] * WIDTH == pytest.approx(WAY[-1], rel=0.2)
    assert seen.way[61] - seen.way[43] <= 6 / WIDTH  # it stands
    sharp = np.arange(len(WAY)) % BLURRED == 0
    assert seen.sharpness[sharp].min() > seen.sharpness[~sharp].max()


def test_chosen_frames_are_sharp_and_evenly_along_the_way(walk: Path) -> None:
    chosen = choose(survey(walk, never), 10)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 10
    assert all(number % BLURRED == 0 for number in chosen)
    steps = np.diff([WAY[number] for number in chosen])
    assert steps.min() >= 12
    assert steps.max() <= 66


def test_how_many_follows_from_the_way_unless_it_is_asked_for() -> None:
    sharpness = np.ones(2000)
    still = Survey(np.zeros(2000), sharpness)
    assert len(choose(still, None)) == 40
    assert len(choose(Survey(np.linspace(0, 10, 2000), sharpness), None)) == 120
    assert len(choose(Survey(np.linspace(0, 1e4, 2000), sharpness), None)) == 300
    assert len(choose(still, 25)) == 25
    jumps = Survey(np.repeat([0.0, 1, 2, 8, 9, 10, 16, 17], 10), np.ones(80))
    assert 7 <= len(choose(jumps, 8)) <= 8
    assert choose(Survey(np.linspace(0, 1, 5), np.ones(5)), 100) == [0, 1, 2, 3, 4]


def test_frames_are_written_as_they_are_in_the_video(walk: Path, tmp_path: Path) -> None:
    chosen = [0, 7, 50]
    names = write_frames(walk, chosen, tmp_path, never)
    assert names == ["frame_000000.jpg", "frame_000007.jpg", "frame_000050.jpg"]
    frames = list(read_video(walk)[1])
    for number, name in zip(chosen, names, strict=True):
        with Image.open(tmp_path / name) as written:
            difference = np.asarray(written).astype(float) - frames[number]
        assert np.abs(difference).mean() < 3
    with pytest.raises(DataError, match="changed while it was read"):
        write_frames(walk, [len(WAY)], tmp_path, never)


def test_a_video_that_was_taken_upright_is_upright(walk: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    options = ["-loglevel", "error", "-display_rotation", "90", "-i", str(walk), "-c", "copy", str(turned)]
    subprocess.run([program, *options], check=True)
    facts, frames = read_video(turned)
    assert (facts.width, facts.height) == (HEIGHT, WIDTH)
    assert np.abs(next(frames).astype(float) - np.rot90(next(read_video(walk)[1]))).mean() < 3
    assert next(read_video(turned, "gray", 64)[1]).shape == (64, 36)


def test_a_video_that_is_cut_off_ends_earlier(walk: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-loglevel", "error", "-i", str(walk), "-c", "copy", str(whole)], check=True)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    assert 2 <= len(survey(cut, never).way) < len(WAY)


@pytest.mark.parametrize(
    "content", [b"", b"no video at all", b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n"]
)
def test_what_is_no_video_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4: cannot be read as a video"):
        check_video(path)


def test_a_file_is_a_video_by_its_ending() -> None:
    assert all(is_video(Path(name)) for name in ("a.MP4", "b.mov", "c.webm"))
    assert not any(is_video(Path(name)) for name in ("a.jpg", "b.json", "c", "d.ply"))


def test_blur_takes_sharpness_away() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))
    levels = [laplacian_variance(np.asarray(noise.filter(ImageFilter.GaussianBlur(r)))) for r in (0, 1, 2)]
    assert levels[0] > levels[1] > levels[2] > 0
