"""Photographs with broken pixels: these are found and lose their say, and whole photographs train as ever."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.densify.strategy import SceneView, Wants
from gsplat_core.errors import DataError
from gsplat_core.losses import as_float
from gsplat_core.optim import Adam
from trainers.cli import main
from trainers.config import TrainConfig
from trainers.evaluation import evaluate, mean
from trainers.parts.confidence import MOST, TRUSTED, Confidence, ConfidenceConfig, trust_of
from trainers.parts.part import Rendering
from trainers.parts.registry import with_parts
from trainers.parts.results import settled
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs
from trainers.views import Target

HEIGHT, WIDTH = 6, 8
BROKEN = (1, 3, 5, 7, 10)


def part_of(**settings: object) -> Confidence:
    part = Confidence(ConfidenceConfig(**settings), TrainConfig(), ())  # type: ignore[arg-type]
    part.initialize(1, torch.device("cpu"))
    return part


def rendering_of(image: Tensor) -> Rendering:
    size = (1, *image.shape[1:3])
    scene = SceneView({"means": torch.zeros(1, 3)}, scene_extent=2.0)
    return Rendering(image, torch.ones(*size, 1), None, {}, {}, scene, torch.full(size, 3.0))


def target_of(image: Tensor, mask: Tensor | None = None) -> Target:
    return Target(image, torch.eye(4)[None], torch.eye(3)[None], image.shape[1], image.shape[0], 0, mask=mask)


def images(seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(1, HEIGHT, WIDTH, 3, generator=random)
    return image, torch.rand(HEIGHT, WIDTH, 3, generator=random)


def taught(part: Confidence, seed: int = 0) -> Confidence:
    """With a network that says something else for every pixel."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for group in part.parameters():
            group.tensor.copy_(torch.randn(group.tensor.shape, generator=random) * 0.3)
    return part


def test_the_photograph_is_compared_with_itself_as_far_as_it_is_not_trusted() -> None:
    """The L1 loss of what is returned is mean(w(c) |I - P|), and so is its gradient."""
    part, (image, photograph) = taught(part_of()), images()
    image.requires_grad_()
    rendering, target = rendering_of(image), target_of(photograph)
    loss = (part.image(1, rendering, target) - photograph).abs().mean()
    loss.backward()
    w = trust_of(said(part, rendering, target))[..., None]
    assert w.min() < 0.5
    assert w.max() == 1
    again = image.detach().requires_grad_()
    expected = (w * (again - photograph).abs()).mean()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(image.grad, again.grad)


def test_the_least_confidence_is_no_trust_and_usual_errors_are_trusted() -> None:
    assert trust_of(torch.tensor([1 / MOST, (1 / MOST + TRUSTED) / 2])).tolist() == pytest.approx([0, 0.5])
    assert trust_of(torch.tensor([TRUSTED * 1.001, 1.0, MOST])).tolist() == [1, 1, 1]


def said(part: Confidence, rendering: Rendering, target: Target) -> Tensor:
    """The confidences [1, H, W] of a target's pixels."""
    with torch.no_grad():
        errors = (target.compared(rendering.image) - as_float(target.image)).abs().mean(dim=-1)
        return part.confidence(part._features(rendering, errors))


def test_its_loss_is_the_formula_and_teaches_the_network_only() -> None:
    part, (image, photograph) = taught(part_of()), images()
    image.requires_grad_()
    rendering, target = rendering_of(image), target_of(photograph)
    part.image(1, rendering, target)
    loss = part.loss(1, rendering, target)
    assert loss is not None
    errors = (image - photograph).abs().mean(dim=-1).detach()
    alpha = part._usual(errors)
    features = part._features(rendering, errors)
    c = part.confidence(features)
    torch.testing.assert_close(loss, (c * errors - alpha * c.log()).mean())
    loss.backward()
    assert image.grad is None
    assert all(bool((group.tensor.grad != 0).any()) for group in part.parameters())


def test_what_is_masked_out_has_no_part_in_it() -> None:
    part, other, (image, photograph) = taught(part_of()), taught(part_of()), images()
    mask = torch.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 3 > 0
    losses = []
    for which, inside in ((part, 0.0), (other, 0.9)):
        photographed = photograph.where(mask[..., None], 0.0)
        rendered = image.where(mask[..., None], torch.tensor(inside))
        rendering, target = rendering_of(rendered), target_of(photographed, mask)
        which.image(1, rendering, target)
        losses.append(which.loss(1, rendering, target))
    assert torch.equal(*losses)
    assert torch.equal(part.state_dict()["alpha"], other.state_dict()["alpha"])


def test_alpha_is_of_the_running_median() -> None:
    part, expected = part_of(), None
    for seed in range(4):
        image, photograph = images(seed)
        part.image(seed + 1, rendering_of(image), target_of(photograph))
        now = float((image - photograph).abs().mean(dim=-1).median())
        expected = now if expected is None else 0.99 * expected + 0.01 * now
    assert float(part.state_dict()["alpha"]) == pytest.approx(expected)


def test_usual_is_the_geometric_mean_around_a_pixel_but_at_least_alpha() -> None:
    part = part_of()
    part._alpha = 0.02
    errors = torch.rand(1, 14, 16, generator=torch.Generator().manual_seed(1)) ** 3 * 0.1 + 1e-3
    usual = part._usual(errors)
    for y, x in ((0, 0), (7, 8), (13, 3)):
        around = errors[0, max(y - 5, 0) : y + 6, max(x - 5, 0) : x + 6]
        assert float(usual[0, y, x]) == pytest.approx(max(float(around.log().mean().exp()), 0.02), rel=1e-5)
    assert part._usual(errors / 100).unique().tolist() == pytest.approx([0.02])


def test_the_network_finds_the_optimum() -> None:
    """c = alpha / |e|, between 0.1 and 10, for errors over three decades."""
    part = part_of(rate=0.01)
    groups = part.parameters()
    adam = Adam([{"params": [group.tensor], "lr": group.rate(1)} for group in groups])
    random = torch.Generator().manual_seed(0)
    for step in range(1, 600):
        errors = 10 ** (torch.rand(1, 16, 16, 1, generator=random) * 3 - 3)
        image = torch.full((1, 16, 16, 3), 0.5)
        rendering, target = rendering_of(image), target_of(image[0] + errors[0])
        part.image(step, rendering, target)
        part.loss(step, rendering, target).backward()  # type: ignore[union-attr]
        adam.step()
        adam.zero_grad()
    alpha = float(part.state_dict()["alpha"])
    errors = alpha * torch.tensor([0.2, 0.5, 1.0, 2.0, 5.0])
    with torch.no_grad():
        found = part.confidence(
            part._features(rendering_of(torch.full((1, 1, 5, 3), 0.5)), errors[None, None])
        )
    assert (found[0, 0].log() - (alpha / errors).log()).abs().max() < math.log(1.6)


def plain(config: TrainConfig, **changes: object) -> TrainConfig:
    never = ADCConfig(refine_start=400, refine_stop=400, reset_every=400)
    return replace(config, densify={"adc": never}, **changes)


def test_while_confidence_is_one_it_is_the_ordinary_training(config, tmp_path) -> None:
    """With a learning rate that changes nothing."""
    ordinary = Run(plain(config), tmp_path / "ordinary")
    idle = Run(plain(config, parts={"confidence": ConfidenceConfig(rate=1e-30)}), tmp_path / "idle")
    ordinary.fit()
    idle.fit()
    assert_same_bits(ordinary.state()["gaussians"], idle.state()["gaussians"])


@pytest.fixture(scope="module")
def broken(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the pixels of half of the training photographs are noise."""
    folder = tmp_path_factory.mktemp("broken") / "scene"
    shutil.copytree(tiny_scene, folder)
    random = np.random.default_rng(1)
    for number in BROKEN:
        path = folder / "images" / f"{number:03d}.png"
        pixels = np.array(Image.open(path))
        noise = random.integers(0, 256, pixels.shape, dtype=np.uint8)
        Image.fromarray(np.where(_broken(number)[..., None], noise, pixels)).save(path)
    return folder


def _broken(number: int) -> np.ndarray:
    return np.random.default_rng(100 + number).random((36, 48)) < 0.5


def test_broken_pixels_are_found_and_the_scene_is_better_without_them(broken, config, tmp_path) -> None:
    psnr = {}
    for name, parts in (("without", {}), ("with", {"confidence": ConfidenceConfig(rate=3e-3)})):
        run = Run(plain(config, data=str(broken), steps=400, parts=parts), tmp_path / name)
        run.fit()
        views = load_photographs(run.config)
        psnr[name] = mean(result.psnr for result in evaluate(run.trainer.gaussians.detached(), views.test))
    assert psnr["with"] > psnr["without"] + 0.2

    part, trust, truth = run.trainer.parts.find(Confidence), [], []
    for number, view in enumerate(views.train):
        target = Target.of(view, torch.device("cpu"), number)
        with torch.no_grad():
            scene = run.trainer._scene_view(400, target)
            rendering = run.trainer._rendering(400, target, Wants(depth=True), scene)
        trust.append(said(part, rendering, target).flatten())
        name = int(Path(view.name).stem)
        truth.append(torch.from_numpy(_broken(name) & (name in BROKEN)).flatten())
    c, wrong = torch.cat(trust), torch.cat(truth)
    assert (c[wrong][:, None] < c[~wrong][None, ::7]).float().mean() > 0.9

    means = part.result()["photographs"]
    bad = {f"{number:03d}.png" for number in BROKEN}
    assert max(means[name] for name in bad) < min(means[name] for name in set(means) - bad)


def test_it_goes_on_to_the_bit(config, tmp_path) -> None:
    config = with_parts(replace(config, background="random"), ["confidence", "exposure"])
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(17, config, tmp_path / "interrupted")
    assert_same_bits(resumed.state(), straight.state())
    assert bool((straight.state()["parts"]["confidence"]["trained"]["output"] != 0).any())


def test_its_result_says_the_same_without_learning(config) -> None:
    first = taught(part_of())
    image, photograph = images()
    first.image(1, rendering_of(image), target_of(photograph))
    second = part_of()
    second.settle(json.loads(json.dumps(first.result())))
    second.initialize(1, torch.device("cpu"))
    assert not second.parameters()
    features = torch.rand(3, 5, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(first.confidence(features).detach(), second.confidence(features))
    rendering, target = rendering_of(image), target_of(photograph)
    second.image(1, rendering, target)
    assert second.loss(1, rendering, target) is None
    assert first.state_dict()["alpha"] == second.state_dict()["alpha"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {}}, "no network of numbers"),
        ({"alpha": None}, "no network of numbers"),
        ({"alpha": math.inf}, "not finite"),
        (
            {"network": {"hidden": [[0.0]], "hidden_bias": [0.0], "output": [0.0], "output_bias": 0.0}},
            "sizes",
        ),
    ],
)
def test_results_of_something_else_are_refused(config, change, message) -> None:
    part = part_of()
    image, photograph = images()
    part.image(1, rendering_of(image), target_of(photograph))
    config = with_parts(config, ["confidence"])
    with pytest.raises(DataError, match=message):
        settled(config, [], {"confidence": {**part.result(), **change}}, torch.device("cpu"))


def test_the_command_has_it(broken, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    train = ["train", str(broken), "-o", str(run.path), "--steps", "30", "--preset", "tiny", "--confidence"]
    assert main(train) == 0
    assert len(json.loads((run.parts / "confidence.json").read_text())["photographs"]) == 10
    psnr = run.read_metrics()["psnr"]
    assert main([*train, "--resume"]) == 0
    assert main(["eval", str(run.path)]) == 0
    assert run.read_metrics()["psnr"] == psnr
    assert main([*train, "--overwrite", "--optimizer", "lm"]) == 2
