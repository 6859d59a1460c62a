"""What images say about each Gaussian: sums of their values, weighted with how much the pixel shows of it.

With w_i(p) the blending weight of Gaussian i at pixel p, an image Y gives A_i = sum_p w_i(p) Y(p). That is
the derivative of a rendering of features in the direction Y, so it takes one backward pass and no kernel of
its own. Masks become labels this way (FlashSplat, Shen et al. 2024), errors of pixels become errors of
Gaussians, and an image of ones gives the sums of the weights.

Where the images are masks of labels, one and zero, `gsplat_core.labels.label_weights` gives the same sums
without a channel for each label. The largest weight of a Gaussian, and in how many pixels it shows, are
measured without images: `gsplat_core.contributions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import Scene, render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera


def accumulate(
    scene: Scene,
    cameras: Iterable[Camera],
    images: Iterable[Tensor],
    settings: RenderSettings = USUAL,
) -> Tensor:
    """Sums [C, N] float64 of blending weights times image values, over all pixels of all views.

    Args:
        scene, settings: as for :func:`gsplat_core.render.scene.render`.
        cameras: the views; their images may differ in size.
        images: for each view [H, W, C], real numbers, such as errors or masks of zeros and ones.

    Raises:
        ValueError: an image does not have the size of its camera, the numbers of channels or of views differ,
            or there is no view.
    """
    means = scene["means"] if isinstance(scene, Mapping) else scene.means
    total: Tensor | None = None
    for camera, image in zip(cameras, images, strict=True):
        _check(camera, image, None if total is None else len(total))
        values = means.new_zeros(means.shape[0], image.shape[2], requires_grad=True)
        with torch.enable_grad():
            drawn = render(
                scene, camera, settings, outputs=Outputs(colors=False), features={"values": values}
            )
        seen = drawn.meta["features"]["values"][0]
        (weighted,) = torch.autograd.grad(seen, values, image.to(seen))
        sums = weighted.T.double()
        total = sums if total is None else total.add_(sums)
    if total is None:
        raise ValueError("images say something about Gaussians where there is at least one view")
    return total


def _check(camera: Camera, image: Tensor, channels: int | None) -> None:
    expected = (camera.height, camera.width, image.shape[-1] if channels is None else channels)
    if image.ndim != 3 or tuple(image.shape) != expected:
        raise ValueError(
            f"an image of {camera.name!r}: expected shape [{camera.height}, {camera.width}, "
            f"{'C' if channels is None else channels}], got {list(image.shape)}"
        )
