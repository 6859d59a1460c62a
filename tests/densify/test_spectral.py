"""Spectral pruning as a plug-in: when it prunes and how many."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.compress.spectral import spectral_choice
from gsplat_core.densify import ADC, ADCConfig, SceneView, Strategy
from gsplat_core.densify.edits import Clone, Edit, Prune
from gsplat_core.densify.spectral import SpectralPruning, SpectralPruningConfig


class Behind(Strategy):
    """A strategy that ends at a step and always clones the first row."""

    ends = 500

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        return [Clone(torch.tensor([0]))]


def view(num: int = 40) -> SceneView:
    random = torch.Generator().manual_seed(0)
    return SceneView(
        {
            "means": torch.randn(num, 3, generator=random),
            "quats": torch.randn(num, 4, generator=random),
            "scales": torch.randn(num, 3, generator=random) - 2,
            "opacities": torch.randn(num, generator=random),
            "sh0": torch.randn(num, 1, 3, generator=random),
        },
        1.0,
    )


def prunings(config: SpectralPruningConfig, until: int = 1000) -> list[int]:
    plugin = SpectralPruning(Behind(), config)
    return [s for s in range(1, until) if any(isinstance(e, Prune) for e in plugin.on_step(s, view()))]


def test_once_is_when_the_control_behind_has_ended_or_later() -> None:
    assert prunings(SpectralPruningConfig(start=100)) == [500]
    assert prunings(SpectralPruningConfig(start=700)) == [700]


def test_intervals_begin_at_the_start() -> None:
    config = SpectralPruningConfig(times="intervals", start=130, stop=400, every=90)
    assert prunings(config) == [130, 220, 310, 400]


def test_those_go_that_the_graph_does_not_keep_and_edits_behind_stay() -> None:
    prune, clone = SpectralPruning(Behind(), SpectralPruningConfig(start=500, rate=0.7)).on_step(500, view())
    stay = spectral_choice(view().params, 12).tolist()
    assert sorted([*prune.rows.tolist(), *stay]) == list(range(40))
    assert isinstance(clone, Clone)


def test_one_stays_at_least() -> None:
    (prune, _) = SpectralPruning(Behind(), SpectralPruningConfig(rate=0.99)).on_step(6000, view(3))
    assert len(prune.rows) == 2


def test_the_schedule_stretches_with_the_run() -> None:
    config = SpectralPruningConfig().stretched(0.1)
    assert (config.start, config.stop, config.every) == (600, 1500, 300)
    assert prunings(SpectralPruningConfig(start=round(7000 / 30))) == [500]
    base = ADC(ADCConfig(refine_stop=750))
    assert SpectralPruning(base, config)._prunes_at(750)


@pytest.mark.parametrize("wrong", [{"rate": 1.0}, {"rate": 0.0}, {"times": "often"}, {"gamma": 2.0}])
def test_settings_out_of_range_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SpectralPruningConfig(**wrong)  # type: ignore[arg-type]
