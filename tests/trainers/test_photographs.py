"""Photographs as they come: in other folders, transparent, masked, turned, with names of all kinds."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gsplat_core.io
from gsplat_core.errors import DataError
from trainers.cli import main
from trainers.config import TrainConfig, read_config
from trainers.evaluation import evaluate
from trainers.media import png_names
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, with_data

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TINY = ("--preset", "tiny", "--test-every", "4")


@pytest.fixture
def scene(tiny_scene: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_scene, tmp_path / "scene")


def photographs(scene: Path) -> list[Path]:
    return sorted((scene / "images").iterdir())


def train(scene: Path, run: Path, *options: str, steps: int = 10) -> RunFolder:
    assert main(["train", str(scene), "-o", str(run), *TINY, "--steps", str(steps), *options]) == 0
    return RunFolder(run)


def left_half(path: Path) -> np.ndarray:
    height, width = np.asarray(Image.open(path)).shape[:2]
    return (np.arange(width) < width // 2)[None].repeat(height, axis=0)


def put_masks(scene: Path) -> None:
    """White on the left, and rubbish in the photographs on the right."""
    (scene / "masks").mkdir()
    for i, path in enumerate(photographs(scene)):
        kept = left_half(path)
        Image.fromarray(np.uint8(255 * kept)).save(scene / "masks" / f"{path.name}.png")
        pixels = np.asarray(Image.open(path)).copy()
        pixels[~kept] = np.random.default_rng(i).integers(0, 256, pixels[~kept].shape)
        Image.fromarray(pixels).save(path)


def fill_masked_out(scene: Path, value: int) -> None:
    for path in photographs(scene):
        pixels = np.asarray(Image.open(path)).copy()
        pixels[~left_half(path)] = value
        Image.fromarray(pixels).save(path)


def make_transparent(scene: Path) -> None:
    """What is dark becomes transparent, with rubbish in the colours behind."""
    for path in photographs(scene):
        pixels = np.asarray(Image.open(path))
        alpha = np.where(pixels.max(axis=2) < 8, 0, 255).astype(np.uint8)
        assert 0 < (alpha == 0).mean() < 1
        rgb = np.where(alpha[..., None] > 0, pixels, 77)
        Image.fromarray(np.dstack([rgb, alpha])).save(path)


# Loading options


def test_photographs_in_another_folder(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (scene / "images").rename(scene / "photos")
    assert main(["train", str(scene), "-o", str(tmp_path / "run"), *TINY]) == 3
    assert "--images FOLDER" in capsys.readouterr().err
    run = train(scene, tmp_path / "run", "--images", "photos")
    assert read_config(run.config).images == "photos"
    moved = scene.rename(tmp_path / "moved")
    assert main(["eval", str(run.path), "--data", str(moved)]) == 0
    (moved / "photos").rename(tmp_path / "outside")
    assert main(["eval", str(run.path), "--data", str(moved)]) == 3
    assert main(["eval", str(run.path), "--data", str(moved), "--images", str(tmp_path / "outside")]) == 0
    compress = [
        "compress",
        str(run.path),
        "-o",
        str(tmp_path / "small"),
        "--steps",
        "1",
        "--data",
        str(moved),
    ]
    assert main([*compress, "--images", str(tmp_path / "outside")]) == 0


def test_folders_are_named_from_the_data_or_from_here(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside").mkdir()
    config = TrainConfig(data=str(scene))
    assert with_data(config, None, Path("images")).images == "images"
    assert with_data(config, None, scene / "images").images == "images"
    assert with_data(config, None, Path("scene/images")).images == "images"
    assert with_data(config, None, Path("outside")).images == str(tmp_path / "outside")


def test_every_loading_option_reaches_the_run_and_must_agree_on_resuming(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put_masks(scene)
    options = ["--images", "images", "--masks", "masks", "--alpha", "white", "--exif-rotate", "--strict"]
    run = train(scene, tmp_path / "run", *options)
    config = read_config(run.config)
    loading = (config.images, config.masks, config.alpha, config.exif_rotate, config.strict)
    assert loading == ("images", "masks", "white", True, True)
    resume = ["train", str(scene), "-o", str(run.path), "--resume"]
    assert main([*resume, *options]) == 0
    assert main(resume) == 0
    plain = train(scene, tmp_path / "plain")
    for option in (
        ["--images", "sparse"],
        ["--masks", "none"],
        ["--alpha", "black"],
        options[-2:-1],
        options[-1:],
    ):
        assert main(["train", str(scene), "-o", str(plain.path), "--resume", *option]) == 2
        assert f"was started with {option[0]}" in capsys.readouterr().err


def test_a_photograph_that_cannot_be_read_is_left_out_unless_strict(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    photographs(scene)[5].write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["train", str(scene), "-o", str(tmp_path / "run"), *TINY, "--strict"]) == 3
    train(scene, tmp_path / "run")
    assert "The image is left out" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["upright", "turned"])
def test_both_conventions_of_turned_photographs(
    scene: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture
) -> None:
    """COLMAP saw the pixels as they are stored, or as EXIF turns them."""
    expected = load_photographs(TrainConfig(data=str(scene))).train[0].image()
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in photographs(scene):
        image = Image.open(path)
        image.load()
        (image if kind == "upright" else image.transpose(Image.Transpose.ROTATE_90)).save(path, exif=exif)
    command = ["train", str(scene), "-o", str(tmp_path / "run"), *TINY, "--steps", "5"]
    if kind == "turned":
        assert main(command) == 3
        assert "--exif-rotate" in capsys.readouterr().err
        assert main(["info", str(scene)]) == 3
    assert main([*command, "--exif-rotate"]) == 0
    assert main(["info", str(scene), "--exif-rotate"]) == 0
    config = read_config(tmp_path / "run/config.json")
    assert torch.equal(load_photographs(config).train[0].image(), expected)


def test_info_takes_what_loading_needs(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    put_masks(scene)
    (scene / "images").rename(scene / "photos")
    (scene / "masks").rename(scene / "people")
    capsys.readouterr()
    arguments = ["info", str(scene), "--json", "--images", "photos", "--masks"]
    for masks, count in (("people", 12), ("none", 0)):
        assert main([*arguments, masks]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["images"], facts["masked_images"]) == (12, count)
    (tmp_path / "a.ply").write_bytes(b"")
    assert main(["info", str(tmp_path / "a.ply"), "--images", "photos"]) == 2


# Transparency


@pytest.mark.parametrize(
    ("background", "alpha", "rule"),
    [
        ("black", "auto", "black"),
        ("white", "auto", "white"),
        ("random", "auto", "keep"),
        ("white", "black", "black"),
        ("black", "white", "white"),
        ("random", "ignore", "ignore"),
    ],
)
def test_transparency_follows_the_background_unless_told_otherwise(
    background: str, alpha: str, rule: str
) -> None:
    assert TrainConfig(background=background, alpha=alpha).alpha_rule == rule  # type: ignore[arg-type]


def test_what_is_transparent_stays_empty(scene: Path, tmp_path: Path) -> None:
    """In front of random colours only emptiness is right where photographs are transparent."""
    make_transparent(scene)
    result = train(scene, tmp_path / "run", "--background", "random", steps=200)
    gaussians = gsplat_core.io.load(result.point_cloud)
    view = load_photographs(TrainConfig(data=str(scene), alpha="black")).test[0]
    empty = torch.from_numpy(np.asarray(Image.open(scene / "images" / view.name))[..., 3] == 0)
    black, white = (next(evaluate(gaussians, [view], colour)).render[empty] for colour in ("black", "white"))
    assert (white - black).mean() > 0.6


def test_test_views_are_on_the_colour_they_are_rendered_on(scene: Path, tmp_path: Path) -> None:
    make_transparent(scene)
    nothing = gsplat_core.io.load(train(scene, tmp_path / "run", steps=1).point_cloud)
    nothing = nothing.subset(torch.zeros(nothing.num, dtype=torch.bool))
    for background, alpha, colour in (("black", "auto", 0), ("white", "auto", 1), ("random", "auto", 0)):
        config = TrainConfig(data=str(scene), background=background, alpha=alpha)  # type: ignore[arg-type]
        view = load_photographs(config).test[0]
        for shown in {"white", "black"} if config.alpha_rule == "keep" else {background}:
            (scored,) = evaluate(nothing, [view], shown)
            empty = torch.from_numpy(np.asarray(Image.open(scene / "images" / view.name))[..., 3] == 0)
            expected = colour if config.alpha_rule != "keep" else float(shown == "white")
            assert bool((scored.truth[empty] == expected).all())


# Masks


def test_what_is_masked_out_has_no_influence(scene: Path, tmp_path: Path) -> None:
    """With other rubbish under the masks, another run becomes the same to the bit."""
    put_masks(scene)
    runs = [train(scene, tmp_path / "one", steps=60)]
    fill_masked_out(scene, 0)
    runs.append(train(scene, tmp_path / "two", steps=60))
    assert len({run.point_cloud.read_bytes() for run in runs}) == 1
    one, two = (json.loads(run.metrics.read_text()) for run in runs)
    assert [one[key] for key in ("psnr", "cc_psnr")] == [two[key] for key in ("psnr", "cc_psnr")]
    assert one["ssim"] == pytest.approx(two["ssim"], abs=1e-6)
    assert one["psnr"] > 15


@pytest.mark.parametrize("strategy", ["adc+lpm", "mcmc", "adc+taming", "adc+turbo+pruning"])
def test_density_controls_do_not_see_what_is_masked_out(scene: Path, tmp_path: Path, strategy: str) -> None:
    put_masks(scene)
    options = ["--strategy", strategy, "--max-gaussians", "400"]
    first = train(scene, tmp_path / "one", *options, steps=60)
    fill_masked_out(scene, 255)
    second = train(scene, tmp_path / "two", *options, steps=60)
    assert first.point_cloud.read_bytes() == second.point_cloud.read_bytes()


def test_a_run_says_that_it_uses_masks(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    put_masks(scene)
    train(scene, tmp_path / "run", steps=2)
    assert "12 photographs have masks" in capsys.readouterr().out
    train(scene, tmp_path / "whole", "--masks", "none", steps=2)
    assert "have masks" not in capsys.readouterr().out


@pytest.mark.parametrize("method", ["full", "stochastic"])
def test_levenberg_marquardt_does_not_see_what_is_masked_out(
    scene: Path, tmp_path: Path, method: str
) -> None:
    put_masks(scene)
    options = ["--optimizer", "lm", "--set", "lm.determined=0", f"lm.method={method}", "lm.full.iterations=2"]
    first = train(scene, tmp_path / "one", *options, steps=30)
    fill_masked_out(scene, 255)
    second = train(scene, tmp_path / "two", *options, steps=30)
    assert first.point_cloud.read_bytes() == second.point_cloud.read_bytes()


def test_levenberg_marquardt_sees_what_is_behind_transparent_photographs(scene: Path, tmp_path: Path) -> None:
    make_transparent(scene)
    options = [
        "--optimizer",
        "lm",
        "--background",
        "random",
        "--set",
        "lm.determined=0",
        "lm.method=full",
        "lm.full.iterations=1",
    ]
    train(scene, tmp_path / "run", *options, steps=12)


def test_damaged_masks_are_refused_by_name(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put_masks(scene)
    (scene / "masks/003.png.png").write_bytes(b"nothing")
    assert main(["train", str(scene), "-o", str(tmp_path / "run"), *TINY]) == 3
    assert "masks/003.png.png" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"003\.png\.png"):
        load_photographs(TrainConfig(data=str(scene)))


# Names


def test_names_of_renderings() -> None:
    names = ["a.jpg", "b/c.PNG", "frame.0001", "frame.0002", "d.jpg", "d.tif", "noending"]
    assert [path.as_posix() for path in png_names(names)] == [
        "a.png", "b/c.png", "frame.0001.png", "frame.0002.png", "d.jpg.png", "d.tif.png", "noending.png",
    ]  # fmt: skip


def test_names_that_are_not_utf8(scene: Path, tmp_path: Path) -> None:
    """In the model, on the disk, and of the folder itself."""
    table = scene / "sparse/0/images.txt"
    data = table.read_bytes()
    for path in photographs(scene):
        name = os.fsdecode(b"caf\xe9_") + path.name
        data = data.replace(path.name.encode(), os.fsencode(name))
        path.rename(path.with_name(name))
    table.write_bytes(data)
    scene = scene.rename(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9ta"))
    run = train(scene, tmp_path / "run")
    assert sorted(path.name for path in run.test.iterdir()) == [
        os.fsdecode(b"caf\xe9_00%d.png" % i) for i in (0, 4, 8)
    ]
    names = [entry["name"] for entry in json.loads(run.metrics.read_text())["per_image"]]
    assert names[0] == os.fsdecode(b"caf\xe9_000.png")
    assert "caf\\udce9_000.png" in run.report.read_text(encoding="utf-8")
    for command in (["eval"], ["render", "--path", "test"], ["info"], ["info", "--json"]):
        assert main([command[0], str(run.path), *command[1:]]) == 0
    for command in (["info", str(scene)], ["info", str(scene), "--json"]):
        assert main(command) == 0
