"""Things that are in one photograph only: they are found, do not count, and others lose nothing."""

from __future__ import annotations

import json
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
from gsplat_core.errors import DataError
from trainers.cli import main
from trainers.evaluation import evaluate, mean
from trainers.parts.part import Part
from trainers.parts.parts import Parts
from trainers.parts.results import settled
from trainers.parts.transient import Transient, TransientConfig, cell_errors, grown, smoothed
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs
from trainers.views import Target

HIDDEN = (1, 3, 6, 9, 11)


def target_of(image: Tensor, mask: Tensor | None = None) -> Target:
    return Target(image, torch.eye(4)[None], torch.eye(3)[None], image.shape[1], image.shape[0], 0, mask=mask)


def test_noise_cancels_in_a_cell_and_another_colour_does_not() -> None:
    random = torch.Generator().manual_seed(0)
    photograph = torch.rand(40, 40, 3, generator=random)
    noise = cell_errors(torch.rand(40, 40, 3, generator=random), target_of(photograph), (4, 4))
    other = cell_errors(photograph - torch.tensor([0.3, -0.3, 0.0]), target_of(photograph), (4, 4))
    assert noise.max() < 0.12
    torch.testing.assert_close(other, torch.full((4, 4), 0.3 * (2 / 3) ** 0.5))


def test_what_is_masked_out_has_no_part_in_an_error() -> None:
    photograph, mask = torch.full((8, 8, 3), 0.5), torch.ones(8, 8, dtype=torch.bool)
    mask[:, :3] = False
    rendered = torch.full((8, 8, 3), 0.7)
    rendered[:, :3] = 9.0
    target = target_of(photograph.where(mask[..., None], torch.zeros(())), mask)
    torch.testing.assert_close(cell_errors(rendered, target, (2, 2)), torch.full((2, 2), 0.2))
    assert float(cell_errors(rendered, target_of(photograph * 0, mask & False), (2, 2)).max()) == 0


def test_single_cells_are_none_and_neighbours_join_as_far_as_they_are_likely() -> None:
    seeds = torch.zeros(12, 12, dtype=torch.bool)
    seeds[1, 1] = True
    assert not grown(seeds, torch.ones_like(seeds)).any()
    seeds[4:8, 4:8] = True
    likely = torch.zeros_like(seeds)
    likely[3:9, 4:8] = True
    found = grown(seeds, likely)
    assert found[3:9, 4:8].sum() >= 20
    assert found[:3].sum() == found[:, :3].sum() == 0
    torch.testing.assert_close(smoothed(torch.ones(5, 7)), torch.ones(5, 7))


@pytest.fixture(scope="module")
def visited(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something of another colour stands before the scene in five of the training photographs."""
    folder = tmp_path_factory.mktemp("visited") / "scene"
    shutil.copytree(tiny_scene, folder)
    for number in HIDDEN:
        path = folder / "images" / f"{number:03d}.png"
        pixels = np.array(Image.open(path))
        pixels[truth(number)] = np.random.default_rng(number).integers(0, 2, 3) * 255
        Image.fromarray(pixels).save(path)
    return folder


def truth(number: int) -> np.ndarray:
    random, there = np.random.default_rng(50 + number), np.zeros((36, 48), bool)
    y, x = random.integers(6, 18), random.integers(8, 28)
    there[y : y + 12, x : x + 12] = True
    return there


def plain(config, **changes):
    never = ADCConfig(refine_start=400, refine_stop=400, reset_every=400)
    return replace(config, densify={"adc": never}, **changes)


def quality(run: Run) -> float:
    views = load_photographs(run.config).test
    return mean(result.psnr for result in evaluate(run.trainer.gaussians.detached(), views))


def test_it_is_found_and_the_scene_is_better_without_it(visited, config, tmp_path) -> None:
    runs = {}
    for name, parts in (("without", {}), ("with", {"transient": TransientConfig()})):
        runs[name] = Run(plain(config, data=str(visited), steps=300, parts=parts), tmp_path / name)
        runs[name].fit()
    assert quality(runs["with"]) > quality(runs["without"]) + 0.3

    part, both, either = runs["with"].trainer.parts.find(Transient), 0, 0
    for number, view in enumerate(load_photographs(runs["with"].config).train):
        shown, counts = int(Path(view.name).stem), part.counts(number)
        there = truth(shown) if shown in HIDDEN else np.zeros((36, 48), bool)
        found = np.zeros_like(there) if counts is None else ~counts.numpy()
        both, either = both + (found & there).sum(), either + (found | there).sum()
    assert both / either > 0.6

    # Those who look at more photographs than that of the step see none of it, either.
    views, params = runs["with"].trainer.views, runs["with"].trainer.store.params
    number = next(n for n in range(len(views)) if part.counts(n) is not None)
    gone = ~part.counts(number)
    assert views.photograph(number)[gone].max() == 0
    assert views.image(params, number)[gone].abs().max() == 0


def test_where_nothing_moves_nothing_is_lost(tiny_scene, config, tmp_path) -> None:
    run = Run(plain(config, steps=200, parts={"transient": TransientConfig()}), tmp_path / "run")
    run.fit()
    part = run.trainer.parts.find(Transient)
    found = torch.cat([cells.flatten() for cells in part._found])
    assert found.float().mean() < 0.01


def test_it_goes_on_to_the_bit(visited, config, tmp_path) -> None:
    config = replace(
        config, data=str(visited), steps=80, parts={"transient": TransientConfig(fence=0.1, ratio=1.5)}
    )
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(43, config, tmp_path / "interrupted")
    assert_same_bits(resumed.state(), straight.state())
    assert bool(straight.state()["parts"]["transient"]["state"]["found"].any())


def test_those_who_train_on_know_what_was_found(visited, config, tmp_path) -> None:
    config = replace(config, data=str(visited), parts={"transient": TransientConfig()})
    views = load_photographs(config).train
    part = Transient(TransientConfig(), config, views)
    part._found[2][5:9, 6:20] = True
    result = json.loads(json.dumps(part.result()))
    assert list(result) == [views[2].name]
    again = settled(config, views, {"transient": result}, torch.device("cpu")).find(Transient)
    assert all(map(torch.equal, again._found, part._found))
    target = Target.of(views[2], torch.device("cpu"), 2)
    for result["001.png"] in ({"cells": ["#"]}, {"cells": 3}, 7, {"cells": ["?" * 48] * 36}):
        with pytest.raises(DataError, match="the cells of"):
            settled(config, views, {"transient": result}, torch.device("cpu"))
    assert again.counts(2).shape == (target.height, target.width)
    assert again.counts(1) is None


class Half(Part):
    def __init__(self, columns: Tensor) -> None:
        self.columns = columns

    def counts(self, view: int) -> Tensor:
        return self.columns.expand(4, 6)


def test_what_counts_counts_for_all_parts() -> None:
    columns = torch.arange(6)
    both = Parts({"a": Half(columns > 1), "b": Part(), "c": Half(columns < 4)}).counts(0)
    assert both[0].tolist() == [False, False, True, True, False, False]
    assert Parts({"b": Part()}).counts(0) is None


def test_the_command_writes_masks_that_it_takes(visited, tmp_path, capsys) -> None:
    run = RunFolder(tmp_path / "run")
    train = ["train", str(visited), "-o", str(run.path), "--preset", "tiny", "--steps", "150"]
    assert main([*train, "--transient", "robust"]) == 0
    result = json.loads((run.parts / "transient.json").read_text())
    masks = sorted((run.parts / "transients").iterdir())
    assert len(masks) == 10
    for path in masks:
        black = (np.array(Image.open(path).convert("L")) == 0).mean()
        assert black == pytest.approx(result.get(path.name, {"share": 0})["share"], abs=1e-6)
    assert main(["eval", str(run.path)]) == 0
    again = ["train", str(visited), "-o", str(tmp_path / "again"), "--preset", "tiny", "--steps", "5"]
    assert main([*again, "--masks", str(run.parts / "transients")]) == 0
    assert "photographs have masks" in capsys.readouterr().out
    assert main([*train, "--transient", "robust", "--overwrite", "--optimizer", "lm"]) == 2
    assert main([*train, "--resume", "--transient", "none"]) == 2
