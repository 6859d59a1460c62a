"""Remove Gaussians that do not belong: leftovers, floaters, specks before a camera.

With photographs (of a run, or --scene), what they hardly show goes: it is not determined by any of them, and
appears wherever one looks from elsewhere. By default that is what never makes up 2 % of a pixel's colour,
which costs next to nothing (0.01 dB for 3.5 % of the sample scene's Gaussians). --min-views also removes what
too few photographs show: in captures whose photographs overlap everywhere, these are mostly specks that hang
before one camera. Where they do not, it tears out the surroundings (2.3 dB at 3 views on the sample scene):
look at the figures that are printed.

A file without photographs is cleaned of what stands out by itself: what is too faint to be drawn, huge, far
away or isolated. These rules can be asked for with photographs, too, and --min-weight and --min-views without
any: then the views are those of orbits around the scene, which see no room from inside.

Lengths are relative to the distance from the scene's middle within which half of it lies. 0 switches a rule
off that begins with min, inf one that begins with max.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from gsplat_core import outliers
from gsplat_core.contributions import contributions
from gsplat_core.errors import UsageError
from gsplat_core.render.settings import USUAL
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Config:
    min_weight: float | None = None
    """A Gaussian stays if it makes up at least this share of some pixel's colour (default: 0.02 of
    photographs; 0 without)."""
    min_views: int | None = None
    """A Gaussian stays if at least so many photographs show it (default: 1; 0 without)."""
    min_opacity: float | None = None
    """A Gaussian stays if it is at least so opaque (default: 0 with photographs; 1/255 without, below which
    nothing is drawn)."""
    max_size: float | None = None
    """A Gaussian stays if its largest standard deviation is at most this (default: inf with photographs; 5
    without)."""
    max_distance: float | None = None
    """A Gaussian stays if it is at most so far from the middle (default: inf with photographs; 100
    without)."""
    max_isolation: float | None = None
    """A Gaussian stays if its 8 nearest neighbours are on average at most so many of its own largest standard
    deviations away, or at most 3 times as far as is usual in the scene (default: inf with photographs; 12
    without)."""

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                asked = f"from {least} to {most}" if most == 1 else f"at least {least}"
                raise UsageError(f"--{name.replace('_', '-')} must be {asked}, not {value}.")


_INF = float("inf")
_RANGES = {
    "min_weight": (0, 1), "min_views": (0, _INF), "min_opacity": (0, 1),
    "max_size": (0, _INF), "max_distance": (0, _INF), "max_isolation": (0, _INF),
}  # fmt: skip
_WITH = Config(0.02, 1, 0.0, _INF, _INF, _INF)
_WITHOUT = Config(0.0, 0, outliers.INVISIBLE, outliers.HUGE, outliers.FAR, outliers.ISOLATED)


def unphotographed(config: Config) -> Config:
    """The settings for a scene without photographs."""
    return _filled(config, _WITHOUT)


def run(scene: Gaussians, cameras: Sequence[Camera], config: Config) -> tuple[Gaussians, str]:
    """The scene without the Gaussians that a rule speaks against, how many those were, and of which rule.

    Raises:
        UsageError: none would be left.
    """
    rules = against(scene, cameras, _filled(config, _WITH))
    goes = torch.stack([*rules.values(), torch.zeros(scene.num, dtype=torch.bool, device=scene.device)])
    stays = ~goes.any(dim=0)
    left = int(stays.sum())
    if not left:
        most = max(rules, key=lambda rule: int(rules[rule].sum()))
        raise UsageError(f"No Gaussian would be left: {int(rules[most].sum()):,} {most}.")
    counts = {rule: int(mask.sum()) for rule, mask in rules.items()}
    lines = [f"  {count:,} {rule}" for rule, count in counts.items()]
    return scene.subset(stays), "\n".join(
        [f"removed {scene.num - left:,} of {scene.num:,} Gaussians", *lines]
    )


def against(scene: Gaussians, cameras: Sequence[Camera], config: Config) -> dict[str, Tensor]:
    """What speaks against Gaussians, and against which, bool [N]; only rules that are switched on.

    Args:
        config: a setting that is None switches its rule off.
    """
    found: dict[str, Tensor] = {}
    if config.min_weight or config.min_views:
        shown = contributions(scene, cameras, USUAL.as_trained(scene.metadata))
        if config.min_weight:
            hardly = shown.largest_weight < config.min_weight
            found[f"make up less than {config.min_weight:.4g} of every pixel (--min-weight)"] = hardly
        if config.min_views:
            rarely = shown.views < config.min_views
            found[f"show in fewer than {config.min_views} views (--min-views)"] = rarely
    if config.min_opacity:
        faint = scene.opacities.sigmoid() < config.min_opacity
        found[f"are fainter than {config.min_opacity:.4g} (--min-opacity)"] = faint
    bulk = outliers.extent(scene)
    if (most := _bound(config.max_size)) < _INF:
        huge = outliers.sizes(scene, bulk) > most
        found[f"are larger than {most:g} x {bulk.radius:.4g} (--max-size)"] = huge
    if (most := _bound(config.max_distance)) < _INF:
        far = outliers.distances(scene, bulk) > most
        found[f"are farther away than {most:g} x {bulk.radius:.4g} (--max-distance)"] = far
    if (most := _bound(config.max_isolation)) < _INF:
        alone = outliers.isolation(scene) > most
        found[f"are farther than {most:g} x their size from others (--max-isolation)"] = alone
    return found


def _bound(most: float | None) -> float:
    return _INF if most is None else most


def _filled(config: Config, usual: Config) -> Config:
    """With the usual settings where there are none."""
    given = {field.name: getattr(config, field.name) for field in fields(config)}
    return replace(usual, **{name: value for name, value in given.items() if value is not None})
