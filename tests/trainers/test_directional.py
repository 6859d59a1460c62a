"""6DGS and N-DG from the command line: trained, measured, kept by .ply and refused by name elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import gsplat_core.io
from gsplat_core.models.directional import FALLOFF
from trainers.cli import main
from trainers.presets import preset, with_primitive
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene
from trainers.start import initial_gaussians

kinds = pytest.mark.parametrize("kind", FALLOFF)


@pytest.fixture(scope="module", params=FALLOFF)
def trained(request, tiny_scene, tmp_path_factory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("directional") / request.param)
    options = ["--preset", "tiny", "--steps", "40", "--test-every", "4", "--device", "cpu"]
    assert main(["train", str(tiny_scene), "-o", str(run.path), *options, "--model", request.param]) == 0
    return run


def test_every_command_that_draws_knows_them(trained, capsys) -> None:
    kind = trained.path.name
    scene = gsplat_core.io.load(trained.point_cloud)
    assert scene.primitive == kind
    assert bool(scene.further["slopes"].any())
    before = trained.read_metrics()["psnr"]
    for command in ("eval", "info"):
        assert main([command, str(trained.path)]) == 0
    assert kind in capsys.readouterr().out
    assert trained.read_metrics()["psnr"] == before
    cleaned = trained.path.parent / f"{kind}.ply"
    assert main(["clean", str(trained.path), "-o", str(cleaned)]) == 0
    assert gsplat_core.io.load(cleaned).primitive == kind
    copy = trained.path.parent / f"{kind}_copy.ply"
    assert main(["export", str(trained.path), "-o", str(copy)]) == 0
    assert gsplat_core.io.load(copy).num == scene.num
    assert load_scene(trained.path, print).primitive == kind


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["export", "RUN", "-o", "FOLDER/a.spz"], 3),
        (["export", "RUN", "-o", "FOLDER/a.splat"], 3),
        (["compress", "RUN", "-o", "FOLDER/small"], 2),
    ],
    ids=str,
)
def test_what_knows_plain_gaussians_only_refuses_by_name(trained, tmp_path, capsys, words, code) -> None:
    replaced = [word.replace("RUN", str(trained.path)).replace("FOLDER", str(tmp_path)) for word in words]
    assert main(replaced) == code
    captured = capsys.readouterr()
    message = " ".join((captured.out + captured.err).split())
    assert "'slopes'" in message
    assert f"'{trained.path.name}'" in message
    scenes = (".spz", ".splat", ".gsz", ".ply")
    assert not [path for path in tmp_path.rglob("*") if path.suffix in scenes]


@kinds
def test_a_training_starts_with_lobes_by_its_seed(config, kind) -> None:
    config = with_primitive(config, kind)
    dataset = load_photographs(config)
    scenes = [initial_gaussians(replace(config, seed=seed), dataset) for seed in (0, 0, 1)]
    lobes = [scene.further["directions"] for scene in scenes]
    assert torch.equal(lobes[0], lobes[1])
    assert not torch.equal(lobes[0], lobes[2])
    width = scenes[0].further["lobe_scales"].exp()
    torch.testing.assert_close(width, torch.full_like(width, FALLOFF[kind] ** 0.5))


def test_ndg_has_plain_colours_unless_told_otherwise(config) -> None:
    assert with_primitive(preset("tiny"), "ndg").sh_degree == 0
    assert with_primitive(preset("tiny"), "6dgs").sh_degree == preset("tiny").sh_degree
