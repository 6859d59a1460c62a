"""A few random Gaussians before a camera, as a training shows them to its parts."""

from __future__ import annotations

import torch

from gsplat_core.densify.strategy import SceneView
from gsplat_core.primitive import evaluate
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.render.settings import USUAL
from trainers.parts.part import Rendering
from trainers.views import Target


def leaves(num=30, seed=0):
    g = torch.Generator().manual_seed(seed)
    params = {
        "means": torch.randn(num, 3, generator=g) * 0.6 + torch.tensor([0.0, 0.0, 4.0]),
        "quats": torch.randn(num, 4, generator=g),
        "scales": torch.randn(num, 3, generator=g) * 0.3 - 1.0,
        "opacities": torch.randn(num, generator=g),
        "sh0": torch.randn(num, 1, 3, generator=g),
        "shN": torch.zeros(num, 0, 3),
    }
    return {name: value.requires_grad_() for name, value in params.items()}


def target(mask=None, model="pinhole"):
    K = torch.tensor([[[40.0, 0.0, 16.0], [0.0, 40.0, 12.0], [0.0, 0.0, 1.0]]])
    image = torch.zeros(24, 32, 3, dtype=torch.uint8)
    return Target(image, torch.eye(4)[None], K, 32, 24, 0, mask=mask, model=model)


def drawn(kind, params, seen, length=1.0):
    """With depths, normals and hits, whichever a part wants."""
    splats = evaluate(params, None, kind)
    outputs = Outputs(depth="expected", further=("normals",), hits=True)
    rendered = render(splats, seen, USUAL, outputs=outputs, sh_degree=0)
    return Rendering(
        rendered.colors,
        rendered.alphas,
        None,
        splats.arguments(),
        rendered.meta,
        SceneView(params, length),
        rendered.depths,
        rendered.hits,
    )
