"""A small trainer as users of Inria's code write one: a model with one optimizer, and a settings object."""

from __future__ import annotations

import sys

import torch
from diff_gaussian_rasterization import GaussianRasterizationSettings, GaussianRasterizer, SparseGaussianAdam
from fused_ssim import fused_ssim
from simple_knn._C import distCUDA2
from torch import Tensor, nn
from views import FOCAL, HEIGHT, WIDTH, views

LATER = sys.argv[1] == "2024"  # anti-aliasing, depths, sparse Adam


def settings(viewmat: Tensor, degree: int) -> GaussianRasterizationSettings:
    near, far = 0.01, 100.0
    tan_x, tan_y = WIDTH / (2 * FOCAL), HEIGHT / (2 * FOCAL)
    projection = torch.zeros(4, 4)
    projection[0, 0], projection[1, 1], projection[3, 2] = 1 / tan_x, 1 / tan_y, 1.0
    projection[2, 2], projection[2, 3] = far / (far - near), -far * near / (far - near)
    view = viewmat.T
    further = {"antialiasing": False} if LATER else {}
    return GaussianRasterizationSettings(
        image_height=HEIGHT, image_width=WIDTH, tanfovx=tan_x, tanfovy=tan_y, bg=torch.zeros(3),
        scale_modifier=1.0, viewmatrix=view, projmatrix=view @ projection.T, sh_degree=degree,
        campos=torch.linalg.inv(viewmat)[:3, 3], prefiltered=False, debug=False, **further,
    )  # fmt: skip


class Model:
    def __init__(self, points: Tensor) -> None:
        count = len(points)
        spacing = distCUDA2(points).clamp_min(1e-7).sqrt()
        self.xyz = nn.Parameter(points.clone())
        self.scaling = nn.Parameter(spacing.log()[:, None].repeat(1, 3))
        self.rotation = nn.Parameter(torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1))
        self.opacity = nn.Parameter(torch.full((count, 1), 0.3).logit())
        self.features_dc = nn.Parameter(torch.zeros(count, 1, 3))
        self.features_rest = nn.Parameter(torch.zeros(count, 3, 3))
        rates = {"xyz": 2e-3, "scaling": 1e-2, "rotation": 1e-3, "opacity": 5e-2, "features_dc": 2e-2}
        rates["features_rest"] = 1e-3
        groups = [{"params": [getattr(self, name)], "lr": lr, "name": name} for name, lr in rates.items()]
        kind = SparseGaussianAdam if LATER else torch.optim.Adam
        self.optimizer = kind(groups, lr=0.0, eps=1e-15)


viewmats, _, images, points = views()
model = Model(points)
accumulated = torch.zeros(len(points), 1)
for step in range(60):
    view = step % len(images)
    rasterizer = GaussianRasterizer(settings(viewmats[view], min(step // 30, 1)))
    screenspace = torch.zeros_like(model.xyz, requires_grad=True)
    colors = (
        {"dc": model.features_dc, "shs": model.features_rest}
        if LATER
        else {"shs": torch.cat([model.features_dc, model.features_rest], dim=1)}
    )
    image, radii, *depth = rasterizer(
        means3D=model.xyz,
        means2D=screenspace,
        opacities=torch.sigmoid(model.opacity),
        scales=torch.exp(model.scaling),
        rotations=nn.functional.normalize(model.rotation),
        **colors,
    )
    truth = images[view].permute(2, 0, 1)
    loss = 0.8 * (image - truth).abs().mean() + 0.2 * (1.0 - fused_ssim(image[None], truth[None]))
    loss.backward()
    visible = radii > 0
    accumulated[visible] += screenspace.grad[visible, :2].norm(dim=-1, keepdim=True)
    if LATER:
        assert depth[0].shape == (1, HEIGHT, WIDTH)
        model.optimizer.step(visible, len(radii))
    else:
        assert not depth
        model.optimizer.step()
    model.optimizer.zero_grad(set_to_none=True)
    print("loss", loss.item(), len(model.xyz))
print("kept", int((accumulated > 0).sum()))
