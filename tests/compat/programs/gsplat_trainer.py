"""A small trainer as users of gsplat write one: parameters and optimizers by name, and a strategy."""

from __future__ import annotations

import sys
import tempfile

import torch
import torch.nn.functional as F
from gsplat import export_splats
from gsplat.compression import PngCompression
from gsplat.distributed import cli
from gsplat.rendering import rasterization
from gsplat.strategy import DefaultStrategy, MCMCStrategy
from views import HEIGHT, WIDTH, views


def main(local_rank: int, world_rank: int, world_size: int, name: str) -> None:
    torch.manual_seed(0)
    viewmats, K, images, points = views()
    count = len(points)
    splats = torch.nn.ParameterDict(
        {
            "means": torch.nn.Parameter(points.clone()),
            "scales": torch.nn.Parameter(torch.full((count, 3), 0.1).log()),
            "quats": torch.nn.Parameter(torch.rand(count, 4)),
            "opacities": torch.nn.Parameter(torch.full((count,), 0.3).logit()),
            "sh0": torch.nn.Parameter(torch.zeros(count, 1, 3)),
            "shN": torch.nn.Parameter(torch.zeros(count, 3, 3)),
        }
    )
    rates = {"means": 2e-3, "scales": 1e-2, "quats": 1e-3, "opacities": 5e-2, "sh0": 2e-2, "shN": 1e-3}
    optimizers = {
        key: torch.optim.Adam([{"params": splats[key], "lr": rate, "name": key}], eps=1e-15)
        for key, rate in rates.items()
    }
    if name == "default":
        strategy = DefaultStrategy(
            refine_start_iter=20, refine_every=10, refine_stop_iter=50, reset_every=1000
        )
    else:
        strategy = MCMCStrategy(cap_max=240, refine_start_iter=20, refine_every=10, refine_stop_iter=50)
    strategy.check_sanity(splats, optimizers)
    state = strategy.initialize_state() if name == "mcmc" else strategy.initialize_state(scene_scale=1.0)
    for step in range(60):
        view = step % len(images)
        rendered, _, info = rasterization(
            means=splats["means"],
            quats=splats["quats"],
            scales=torch.exp(splats["scales"]),
            opacities=torch.sigmoid(splats["opacities"]),
            colors=torch.cat([splats["sh0"], splats["shN"]], 1),
            viewmats=viewmats[None, view],
            Ks=K[None],
            width=WIDTH,
            height=HEIGHT,
            sh_degree=min(step // 30, 1),
            packed=False,
            render_mode="RGB+ED",
        )
        strategy.step_pre_backward(splats, optimizers, state, step, info)
        loss = F.l1_loss(rendered[..., :3], images[None, view])
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if name == "default":
            strategy.step_post_backward(splats, optimizers, state, step, info, packed=False)
        else:
            strategy.step_post_backward(splats, optimizers, state, step, info, lr=2e-3)
        print("loss", loss.item(), len(splats["means"]))
    with tempfile.TemporaryDirectory() as folder:
        export_splats(**splats, format="ply", save_to=f"{folder}/scene.ply")
        PngCompression(verbose=False).compress(f"{folder}/png", dict(splats))
        decompressed = PngCompression().decompress(f"{folder}/png")
    print("kept", len(decompressed["means"]))


if __name__ == "__main__":
    cli(main, sys.argv[1])
