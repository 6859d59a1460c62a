"""Photographs that were exposed differently: the scene is found, and what the camera did to each of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.compress.training import CompressionConfig
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import DataError
from trainers.cli import main
from trainers.evaluation import evaluate, mean
from trainers.parts.exposure import Exposure, ExposureConfig
from trainers.parts.part import Picture
from trainers.parts.results import settled
from trainers.resolution import ResolutionConfig
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs

IDENTITY = torch.eye(3, 4)


def gain(number: int) -> float:
    return 0.7 + 0.6 * ((number * 5) % 12) / 11


@pytest.fixture(scope="module")
def varied_scene(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny scene, its training photographs multiplied by 0.7 to 1.3, those of the test as they were."""
    folder = tmp_path_factory.mktemp("varied") / "scene"
    shutil.copytree(tiny_scene, folder)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        if number % 4:
            pixels = np.asarray(Image.open(path)) * gain(number)
            Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(path)
    return folder


@pytest.fixture
def varied(config, varied_scene: Path):
    """400 steps without density control on the scene with varied exposures, which are learnt."""
    never = ADCConfig(refine_start=400, refine_stop=400, reset_every=400)
    return replace(
        config,
        data=str(varied_scene),
        steps=400,
        densify={"adc": never},
        parts={"exposure": ExposureConfig()},
    )


def gains() -> torch.Tensor:
    """[9] of the training photographs, relative to their mean."""
    values = torch.tensor([gain(number) for number in range(12) if number % 4])
    return values / values.mean()


def on_grey(transforms: torch.Tensor) -> torch.Tensor:
    """[N] by how much transforms [N, 3, 4] brighten grey."""
    return (transforms @ torch.tensor([0.4, 0.4, 0.4, 1.0])).mean(dim=1) / 0.4


def exposure(run: Run) -> Exposure:
    part = run.trainer.parts.find(Exposure)
    assert part is not None
    return part


def test_the_scene_is_found_as_it_was_before_exposures_varied(varied, tmp_path) -> None:
    scores = []
    for name, parts in {"with": varied.parts, "without": {}}.items():
        run = Run(replace(varied, parts=parts), tmp_path / name)
        run.fit()
        views = list(evaluate(run.trainer.gaussians.detached(), load_photographs(varied).test))
        scores.append([mean(view.psnr for view in views), mean(view.cc_psnr for view in views)])
        if name == "with":
            learnt = torch.stack([exposure(run).transform(view) for view in range(9)]).detach()
    (with_it, corrected), (without, corrected_without) = scores
    assert with_it > without + 1.5
    assert corrected > corrected_without + 0.5
    assert float((gains() - 1).abs().max()) > 0.25, "otherwise these exposures test nothing"
    assert float((on_grey(learnt) - gains()).abs().max()) < 0.1


def test_masks_and_small_images_first_leave_them_as_they_are(varied, varied_scene, tmp_path) -> None:
    """What is masked out is far brighter in every second photograph, and has no influence on its exposure."""
    scene = tmp_path / "scene"
    shutil.copytree(varied_scene, scene)
    (scene / "masks").mkdir()
    for number, path in enumerate(sorted((scene / "images").iterdir())):
        pixels = np.array(Image.open(path))
        kept = np.full(pixels.shape[:2], 255, np.uint8)
        kept[:, :16] = 0
        pixels[:, :16] = 255 * (number % 2)
        Image.fromarray(pixels).save(path)
        Image.fromarray(kept).save(scene / "masks" / path.name)
    small_first = ResolutionConfig(until=200, every=20, largest=2.0, shortest=12)
    run = Run(replace(varied, data=str(scene), resolution=small_first), tmp_path / "run")
    run.fit()
    learnt = torch.stack([exposure(run).transform(view) for view in range(9)]).detach()
    assert float((on_grey(learnt) - gains()).abs().max()) < 0.1


def test_the_mean_of_all_transforms_is_the_scene_itself(varied, tmp_path) -> None:
    run = Run(replace(varied, steps=30), tmp_path)
    run.fit()
    transforms = torch.stack([exposure(run).transform(view) for view in range(9)]).detach()
    assert torch.allclose(transforms.mean(dim=0), IDENTITY, atol=1e-6)
    assert float((transforms - IDENTITY).abs().max()) > 0.01
    picture = Picture(torch.rand(1, 4, 5, 3), torch.ones(1, 4, 5, 1), None)
    assert exposure(run).at_test(picture, None) is picture.image


def test_rates_fall_from_a_hundredth_to_a_thousandth(varied, tmp_path) -> None:
    run = Run(replace(varied, steps=8), tmp_path)
    rates = []

    def noted(trainer) -> None:
        rates.append(next(g["lr"] for g in trainer.adam.param_groups if g["name"] == "exposure.transforms"))

    run.after_step = noted
    run.fit()
    assert rates == pytest.approx([0.01 * 0.1 ** (step / 8) for step in range(1, 9)])


@pytest.mark.parametrize("background", [None, torch.tensor([[0.2, 1.0, 0.5]])])
def test_what_is_behind_the_scene_stays_as_it_is(varied, background) -> None:
    matrix = torch.tensor([[0.5, 0.1, 0.0, 0.02], [0.0, 0.9, 0.2, 0.0], [0.1, 0.0, 1.2, -0.1]])
    views = load_photographs(varied).train
    part = settled(varied, views, {"exposure": {views[2].name: matrix.tolist()}}, torch.device("cpu"))
    light, alphas = torch.rand(1, 4, 5, 3), torch.rand(1, 4, 5, 1)
    behind = (1 - alphas) * (torch.zeros(1, 3) if background is None else background)
    seen = part.at_test(Picture(light + behind, alphas, background), 2)
    expected = torch.einsum("ij,nhwj->nhwi", matrix[:, :3], light) + alphas * matrix[:, 3] + behind
    assert torch.allclose(seen, expected, atol=1e-6)
    other = part.at_test(Picture(light + behind, alphas, background), 1)
    assert torch.allclose(other, light + behind, atol=1e-6), "not named, so as the scene is"


@pytest.mark.parametrize("matrix", [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], "bright", None, [[np.inf] * 4] * 3])
def test_a_result_that_is_none_is_refused(varied, matrix) -> None:
    views = load_photographs(varied).train
    with pytest.raises(DataError, match=r"the exposure of .*001\.png"):
        settled(varied, views, {"exposure": {"001.png": matrix}}, torch.device("cpu"))


@pytest.mark.parametrize("compression", [None, CompressionConfig("scalar", start=0.5)])
def test_it_goes_on_to_the_bit_with_random_backgrounds_and_codecs(
    config, varied, tmp_path, compression
) -> None:
    config = replace(
        config, data=varied.data, parts=varied.parts, background="random", compression=compression
    )
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(23, config, tmp_path / "interrupted")
    assert_same_bits(resumed.state(), straight.state())
    assert straight.state()["parts"]["exposure"]["trained"]["transforms"].shape == (9, 3, 4)


def test_photographs_are_compared_as_they_were_exposed(varied, tmp_path) -> None:
    """By density controls that look at more than one photograph, too."""
    run = Run(replace(varied, steps=60), tmp_path)
    run.fit()
    views, params = run.trainer.views, run.trainer.store.params
    with torch.no_grad():
        shown = views.image(params, 3)
        views.as_photographed = None
        transform = exposure(run).transform(3)
        expected = views.image(params, 3) @ transform[:, :3].T
    # The offset is that of the covered part of each pixel.
    assert float((shown - expected).abs().max()) <= float(transform[:, 3].abs().max()) + 1e-6
    assert not torch.equal(shown, expected)


def test_the_command_line_keeps_exposures_for_afterwards(varied_scene, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    options = ["--preset", "tiny", "--steps", "120", "--test-every", "0", "--device", "cpu"]
    train = ["train", str(varied_scene), "-o", str(run.path)]
    assert main([*train, *options, "--appearance", "affine", "--set", "exposure.rate=0.02"]) == 0
    assert json.loads(run.config.read_text())["parts"]["exposure"]["rate"] == 0.02
    kept = json.loads((run.parts / "exposure.json").read_text())
    assert set(kept) == {f"{number:03}.png" for number in range(12)}
    before = run.read_metrics()
    assert main(["eval", str(run.path)]) == 0
    assert run.read_metrics()["psnr"] == before["psnr"]
    small = RunFolder(tmp_path / "small")
    assert main(["compress", str(run.path), "-o", str(small.path), "--steps", "3"]) == 0
    assert json.loads((small.parts / "exposure.json").read_text()) == kept
    (run.parts / "exposure.json").unlink()
    assert main(["eval", str(run.path)]) == 0
    assert run.read_metrics()["psnr"] < before["psnr"] - 1
    assert main([*train, "--overwrite", *options, "--appearance", "none"]) == 0
    assert not run.parts.exists()


def test_what_does_not_go_with_it_is_refused(varied_scene, tmp_path, capsys) -> None:
    train = ["train", str(varied_scene), "-o", str(tmp_path / "run"), "--steps", "3", "--device", "cpu"]
    assert main([*train, "--appearance", "affine", "--optimizer", "lm"]) == 2
    assert "--optimizer lm fits no exposures; leave out --appearance, or use adam." in capsys.readouterr().err
    assert main([*train, "--parts", "nothing"]) == 2
    assert "Unknown part 'nothing'" in capsys.readouterr().err
    assert main([*train, "--set", "parts.exposure.rate=1"]) == 2
    assert main(train) == 0
    capsys.readouterr()
    assert main([*train, "--resume", "--appearance", "affine"]) == 2
    assert "was started with --appearance none, not affine" in capsys.readouterr().err
    assert main([*train, "--resume", "--parts", "exposure"]) == 2


@pytest.mark.parametrize("values", [{"rate": 0.0}, {"rate_final": -1.0}, {"rate": float("inf")}])
def test_rates_that_are_none_are_refused(values) -> None:
    with pytest.raises(ValueError, match="expected a number more than 0"):
        ExposureConfig(**values)
