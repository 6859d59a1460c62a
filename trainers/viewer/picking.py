"""What a click on a page hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from gsplat_core.apps.segment import gaussian_at, prompts_for
from gsplat_core.scene.cameras import Camera
from trainers.viewer.stills import Asked, BadRequest, Still, changed
from trainers.viewer.subject import Subject, label_field

LOOKED_AT = 256
"""What was hit is looked for with so many pixels on a photograph's longer side, since somebody waits."""

_ROW = "row"


def pick(query: Mapping[str, str], subject: Subject) -> dict[str, Any]:
    """The Gaussian at a pixel, as JSON: `gaussian` (its row), `point` (its centre), `label`, and in how many
    of the training photographs (`of`) it shows, `photographs`. All None where there is nothing.

    Args:
        query: of a picture (`Still.of`), and `at`, the place in it, x and y in pixels.

    Raises:
        BadRequest: the picture or the place is impossible.
    """
    still, at = Still.of(query, subject), Asked(query).needed("at", 2)
    scene, train = subject.snapshot.gaussians, subject.views[: len(subject.views) - subject.tests]
    # Of a page's crop box, whose rows are not those of the scene.
    rows = torch.arange(scene.num, device=scene.device)
    drawn = changed(replace(scene, extras={**scene.extras, _ROW: rows}), still)
    try:
        hit = gaussian_at(drawn, still.camera, at[0], at[1])
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if hit is None:
        return {"gaussian": None, "point": None, "label": None, "photographs": None, "of": len(train)}
    row = int(drawn.extras[_ROW][hit])
    labels = label_field(scene)
    return {
        "gaussian": row,
        "point": scene.means[row].tolist(),
        "label": None if labels is None else int(labels[row]),
        "photographs": len(
            prompts_for(scene, row, [_small(subject.compared.camera(view)) for view in train])
        ),
        "of": len(train),
    }


def _small(camera: Camera) -> Camera:
    scale = min(LOOKED_AT / max(camera.width, camera.height), 1.0)
    return camera.resized(max(round(camera.width * scale), 1), max(round(camera.height * scale), 1))
