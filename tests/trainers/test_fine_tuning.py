"""Training for a codec: the coded scene looks better than one that was coded without."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gsplat_core.compress.codec import Codec
from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import CODECS, decode
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.config import TrainConfig
from trainers.evaluation import evaluate, mean
from trainers.fine_tuning import fine_tune
from trainers.presets import with_primitive
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Feed


@pytest.fixture
def settings(config: TrainConfig) -> TrainConfig:
    """600 steps on 2,000 Gaussians, enough for codebooks of 128; none are added or removed."""
    never = ADCConfig(refine_start=600, refine_stop=600, reset_every=600)
    return replace(
        config,
        steps=600,
        densify={"adc": never},
        initialization="random",
        random_points=2000,
        reorder_every=0,
    )


def trained(settings: TrainConfig, dataset: Dataset) -> Gaussians:
    trainer = Trainer(settings, initial_gaussians(settings, dataset), dataset.scale)
    with closing(Feed(dataset.train, settings.seed, trainer.device)) as feed:
        for step in range(1, settings.steps + 1):
            trainer.advance(feed(step))
    return trainer.gaussians.detached()


def psnr_when_coded(gaussians: Gaussians, codec: Codec, dataset: Dataset) -> float:
    data = codec.encode(gaussians).to_bytes()
    decoded = decode(Container.from_bytes(data, Path("test.gsz")))
    return mean(view.psnr for view in evaluate(decoded, dataset.train))


@pytest.mark.parametrize("name", CODECS)
def test_training_for_a_codec_gains_on_coding_without(settings: TrainConfig, name: str) -> None:
    dataset, coded = load_photographs(settings), CODECS[name].primitive
    scene = trained(settings, dataset).with_primitive(coded)
    settings, codec = with_primitive(settings, coded), CODECS[name].create(1.0)
    tuned = fine_tune(scene, dataset, settings, codec, steps=100, keep=1.0)
    untrained = psnr_when_coded(scene, CODECS[name].create(1.0), dataset)
    assert psnr_when_coded(tuned, codec, dataset) > untrained
