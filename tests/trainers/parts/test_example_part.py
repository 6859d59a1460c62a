"""A part is a file and a line: the example of CONTRIBUTING.md, from the command line to the measurement."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from PIL import Image
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.adc import ADCConfig
from trainers.cli import main
from trainers.parts.registry import PARTS, with_parts
from trainers.run_folder import RunFolder

FALLOFF = 0.5


@pytest.fixture
def registered(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "trainers" / "parts"))
    import example_part

    monkeypatch.setitem(PARTS, "vignette", example_part.Vignette)


@pytest.fixture(scope="module")
def dark_corners(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corners") / "scene"
    shutil.copytree(tiny_scene, folder)
    for path in (folder / "images").iterdir():
        pixels = np.asarray(Image.open(path)).astype(np.float64)
        y, x = (np.linspace(-1, 1, n) for n in pixels.shape[:2])
        pixels *= (1 - FALLOFF * (x**2 + y[:, None] ** 2) / 2)[..., None]
        Image.fromarray(pixels.round().astype(np.uint8)).save(path)
    return folder


def test_it_is_trained_kept_and_applied(registered, dark_corners, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    train = ["train", str(dark_corners), "-o", str(run.path), "--steps", "60", "--preset", "tiny"]
    options = ["--device", "cpu", "--parts", "vignette", "--set", "vignette.rate=0.002"]
    assert main([*train, *options]) == 0
    assert json.loads((run.parts / "vignette.json").read_text())["falloff"] > 0.02
    psnr = run.read_metrics()["psnr"]
    assert main(["eval", str(run.path)]) == 0
    assert run.read_metrics()["psnr"] == psnr
    assert main([*train, *options, "--overwrite", "--optimizer", "lm"]) == 2


def test_it_finds_what_the_lens_did(registered, dark_corners, config, tmp_path) -> None:
    never = ADCConfig(refine_start=400, refine_stop=400, reset_every=400)
    config = replace(config, data=str(dark_corners), steps=400, densify={"adc": never})
    run = Run(with_parts(config, ["vignette"]), tmp_path)
    run.fit()
    assert abs(run.trainer.parts.result()["vignette"]["falloff"] - FALLOFF) < 0.2


def test_it_goes_on_to_the_bit(registered, config, tmp_path) -> None:
    config = with_parts(replace(config, background="random"), ["vignette"])
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(17, config, tmp_path / "interrupted")
    assert_same_bits(resumed.state(), straight.state())
    assert float(straight.state()["parts"]["vignette"]["trained"]["falloff"]) != 0
