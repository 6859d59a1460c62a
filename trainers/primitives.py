"""What a run may do with scenes of which primitive."""

from __future__ import annotations

from math import inf

from gsplat_core.compress.registry import CODECS, OWN, check_name
from gsplat_core.densify.registry import parts
from gsplat_core.errors import UsageError
from gsplat_core.primitive import get, no_place_for
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.metadata import RAY_STEP
from trainers.config import ANTIALIASINGS, TrainConfig

USUAL_PARTS: dict[str, tuple[str, ...]] = {
    "2dgs": ("surfaces",),
    "flat": ("surfaces", "silhouette"),
    "raygauss": ("rays",),
    "scaffold": ("cooldown",),
    "sundae": ("head",),
}
"""What a training of a primitive has besides; of most, as its paper does."""

OWN_STRATEGIES: dict[str, str] = {"forest": "forest", "scaffold": "scaffold"}
"""The density control that a primitive needs, which knows no other one's rows."""

BESIDE: dict[str, tuple[str, ...]] = {"forest": ("adc", "mcmc", "pruning")}
"""With what it may be combined."""

RAYS = "raygauss"
"""The primitive through which rays are cast."""

BY_SPLATS = ("fastgs", "pruning", "taming", "turbo")
"""Parts of density controls that measure how much of each splat images show."""


def refuse_primitive(name: str, config: TrainConfig) -> None:
    """Raises UsageError where a run gives a primitive to what knows plain Gaussians only."""
    if config.optimizer == "lm" and name != PLAIN:
        raise UsageError(f"--optimizer lm knows plain Gaussians only, not the primitive {name!r}; use adam.")
    if config.optimizer == "lm" and config.order != "global":
        raise UsageError(
            "--optimizer lm knows the order 'global' only; use adam, or leave out --order pixel."
        )
    if config.optimizer == "lm" and config.footprint != "ewa":
        raise UsageError(
            "--optimizer lm knows the footprint 'ewa' only; use adam, or leave out --footprint unscented."
        )
    if config.antialiased and name == ANTIALIASINGS["analytic"].primitive:
        raise UsageError(
            f"the primitive {name!r} is integrated over pixels: there is no screen filter to compensate for; "
            "leave out antialiased=true."
        )
    if config.antialiased and name == "ray":
        raise UsageError(
            f"the primitive {name!r} is looked at along rays: there is no screen filter to compensate for; "
            "leave out antialiased=true."
        )
    if name == "2dgs":
        _refuse_for_surfels(config)
    if name == "raygauss":
        _refuse_for_rays(config)
    _refuse_strategy(name, config)
    if config.on_mesh is not None and name in OWN_STRATEGIES:
        raise UsageError(
            f"rows of the primitive {name!r} grow as they need, which those on a mesh do not; leave out "
            "--mesh, or choose another --model."
        )
    if config.compress is not None:
        refuse_codec(name, config.compress)
        if config.compress in CODECS and (coded := CODECS[config.compress].primitive) != name:
            raise UsageError(
                f"--compress {config.compress} trains scenes of the primitive {coded!r}; add --model {coded}."
            )


def own_strategy(name: str, strategy: str) -> str:
    """The density control of a run with a primitive that may need one of its own: that, behind which the
    run's strategy stands if it can. Trees need their leaves more than the run's plug-ins think."""
    if (own := OWN_STRATEGIES.get(name)) is None or own in parts(strategy):
        return strategy
    beside = BESIDE.get(name, ())
    if not beside:
        return own
    base = parts(strategy)[0]
    return f"{base if base in beside else beside[0]}+{own}"


def _refuse_strategy(name: str, config: TrainConfig) -> None:
    own, given = OWN_STRATEGIES.get(name), parts(config.strategy)
    if own is not None and (own not in given or not {*given} <= {own, *BESIDE.get(name, ())}):
        raise UsageError(
            f"the density control {config.strategy!r} does not know the rows of the primitive {name!r}; "
            f"leave out --strategy, or use --strategy {own}."
        )
    for known, other in OWN_STRATEGIES.items():
        # What was trained as another primitive may be polished as the plain Gaussians that it looks like.
        if other in given and known not in (name, config.primitive):
            raise UsageError(
                f"the density control {other!r} knows rows of the primitive {known!r} only, not of {name!r}; "
                f"add --model {known}, or leave out --strategy."
            )


def _refuse_for_surfels(config: TrainConfig) -> None:
    if config.antialiased:
        raise UsageError(
            "the primitive '2dgs' has a filter of its own, for which nothing compensates; leave out "
            "antialiased=true."
        )
    if config.order != "global" or config.footprint != "ewa":
        raise UsageError("the primitive '2dgs' knows neither --order pixel nor --footprint unscented.")


def _refuse_for_rays(config: TrainConfig) -> None:
    if config.antialiased or config.order != "global" or config.footprint != "ewa":
        raise UsageError(
            "rays are cast through the primitive 'raygauss': there is no order, no footprint and no screen "
            "filter to compensate for; leave out --order, --footprint and antialiased=true."
        )
    if unknown := [name for name in config.densify if name in BY_SPLATS]:
        raise UsageError(
            f"the density control {unknown[0]!r} asks how much images show of each splat, which is not known "
            "of the primitive 'raygauss', as rays are cast through it; add --strategy adc, for example."
        )


def refuse_cameras(name: str, dataset: Dataset) -> None:
    """Raises UsageError where a primitive cannot be seen through the lenses of the photographs."""
    if name not in ("2dgs", "raygauss"):
        return
    for view in (*dataset.train, *dataset.test):
        if view.camera.model != "pinhole":
            raise UsageError(
                f"the primitive {name!r} is seen by pinhole cameras only, and {view.name} was taken with a "
                f"lens of the model {view.camera.model!r}; leave out --distortion keep, or choose another "
                "--model."
            )


def refuse_codec(name: str, codec: str) -> None:
    """Raises UsageError where neither a codec codes a primitive nor can it be made such a scene."""
    if codec in OWN:
        if not OWN[codec].learnt:
            check_name(codec)
        if name != OWN[codec].primitive:
            raise UsageError(
                f"The codec {codec!r} knows the primitive {OWN[codec].primitive!r} only; add --model "
                f"{OWN[codec].primitive}, or choose another codec."
            )
        return
    coded = CODECS[codec].primitive
    if name not in (PLAIN, coded):
        known = "plain Gaussians" if coded == PLAIN else f"these and {coded!r}"
        other = next((key for key, own in OWN.items() if own.learnt and own.primitive == name), None)
        remedy = "" if other is None else f"; train with --compress {other}"
        raise UsageError(f"The codec {codec!r} {no_place_for(name)}; it knows {known} only{remedy}.")


def refuse_pruning(name: str) -> None:
    """Raises UsageError where the rows of a primitive are not each a Gaussian of its own."""
    if get(name).splats != 1:
        raise UsageError(
            f"Pruning compares Gaussians, and rows of the primitive {name!r} are several each; its training "
            "prunes them."
        )


def model_of(model: str | None, renderer: str | None) -> str | None:
    """The primitive that these options choose, if any.

    Raises:
        UsageError: they choose different ones.
    """
    if renderer == "raygauss":
        if model not in (None, RAYS):
            raise UsageError(f"--renderer raygauss draws --model {RAYS}, not --model {model}; leave one out.")
        return RAYS
    if renderer == "rasterizer" and model == RAYS:
        raise UsageError(f"--model {RAYS} is not drawn as splats; leave out --renderer rasterizer.")
    return model


def drawn_by(scene: Gaussians, renderer: str | None) -> Gaussians:
    """The scene as one that a renderer draws; None: as it is. What is converted looks much the same where
    Gaussians do not overlap, and has samples RAY_STEP times the median distance from the middle apart.

    Raises:
        UsageError: it cannot be.
    """
    if renderer is None or (renderer == "raygauss") == (scene.primitive == RAYS):
        return scene
    if renderer == "raygauss" and scene.primitive != PLAIN:
        raise UsageError(f"--renderer raygauss draws plain Gaussians and {RAYS}, not {scene.primitive!r}.")
    if renderer == "rasterizer":
        return scene.with_primitive(PLAIN)
    size = float((scene.means - scene.means.median(dim=0).values).norm(dim=1).median())
    return scene.with_primitive(RAYS).with_metadata(ray_step=RAY_STEP * (size if 0 < size < inf else 1.0))
