"""Photographs as training looks at them, and having that of each step ready in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gsplat_core.render.cameras import Cameras
from gsplat_core.scene.cameras import DEFAULT_NEAR
from gsplat_core.scene.dataset import View
from gsplat_core.scene.view_order import ViewOrder


@dataclass(frozen=True)
class Target:
    """One photograph on the training device."""

    image: Tensor
    """[H, W, 3] uint8, black where it is masked out"""
    viewmat: Tensor
    """[1, 4, 4] world to camera"""
    K: Tensor
    """[1, 3, 3] pixels"""
    width: int
    height: int
    view: int
    """Which of the training views this is."""
    alpha: Tensor | None = None
    """[H, W] uint8 how opaque the photograph is, where that matters; its image is on black then."""
    mask: Tensor | None = None
    """[H, W] bool, True for the pixels that count; None where all do."""
    near: float = DEFAULT_NEAR
    model: str = "pinhole"
    lens: Tensor | None = None
    """[1, P] coefficients that the camera's model has beyond K"""
    shrinkage: int = 1
    """By which factor the photograph was shrunk."""
    dilation: int = 1
    """Each how many-th of its pixels these are (`trainers.dilation.Lattice`)."""

    @classmethod
    def of(cls, view: View, device: torch.device, number: int = 0) -> Target:
        camera = Cameras.of(view.camera, device)
        image, alpha, mask = (
            None if part is None else part.to(device, non_blocking=True)
            for part in (view.image(), view.alpha(), view.mask())
        )
        assert image is not None
        return cls(
            image=image,
            viewmat=camera.viewmats,
            K=camera.Ks,
            width=camera.width,
            height=camera.height,
            view=number,
            alpha=alpha,
            mask=mask,
            near=view.camera.near,
            model=camera.model,
            lens=camera.lens,
        )

    def on(self, background: Tensor | None) -> Target:
        """The photograph in front of a background [1, 3] in [0, 1], None for black; then float32, if that
        changes it."""
        if self.alpha is None or background is None:
            return self
        seen = self.alpha[..., None] / 255
        return replace(self, image=self.image / 255 + background * (1 - seen), alpha=None)

    def compared(self, image: Tensor) -> Tensor:
        """A rendering [..., H, W, 3] that is black where the photograph is masked out, as the photograph
        itself is: no comparison of the two finds a difference there, and no gradient flows from there."""
        return image if self.mask is None else image.where(self.mask[..., None], 0.0)

    def overexposed(self, image: Tensor) -> Tensor:
        """A rendering [..., H, W, 3] that is no brighter than white in the channels in which the photograph
        is white: of what was too bright for it, no more is known, and no gradient flows from there."""
        white = 255 if self.image.dtype == torch.uint8 else 1.0
        return torch.where(self.image >= white, image.clamp(max=1.0), image)

    def only(self, counts: Tensor) -> Target:
        """The photograph where only those of its pixels count that are marked [H, W] and did before."""
        mask = counts if self.mask is None else self.mask & counts
        return replace(self, image=self.image.where(mask[..., None], 0), mask=mask)

    def shrunk(self, factor: int) -> Target:
        """The photograph `factor` times smaller, by antialiased bilinear interpolation; K follows."""
        if factor == 1:
            return self
        height, width = max(self.height // factor, 1), max(self.width // factor, 1)

        def resized(planes: Tensor) -> Tensor:
            options: dict[str, Any] = {"mode": "bilinear", "antialias": True}
            return torch.nn.functional.interpolate(planes[None].float(), (height, width), **options)[0]

        def rounded(planes: Tensor) -> Tensor:
            return planes.round().clamp(0, 255).to(torch.uint8)

        # What is masked out is black and has its part in no other pixel; `gsplat_core.scene.masks.unmixed`.
        share = None if self.mask is None else resized(self.mask[None])
        kept = None if share is None else (share >= 0.5)[0]
        part = 1.0 if share is None else share.clamp(min=0.5)
        image = rounded(resized(self.image.permute(2, 0, 1)) / part)
        alpha = None if self.alpha is None else 255 - rounded(resized(255 - self.alpha[None]) / part)[0]
        K = self.K.clone()
        K[:, 0] *= width / self.width
        K[:, 1] *= height / self.height
        small = replace(
            self,
            image=image.permute(1, 2, 0).contiguous(),
            alpha=alpha,
            mask=kept,
            K=K,
            width=width,
            height=height,
            shrinkage=self.shrinkage * factor,
        )
        if kept is not None:
            small.image[~kept] = 0
        return small


class Feed:
    """Hands out the target of each step, which a thread has prepared during the step before.

    On the CPU targets of full size are kept, since they share the memory of their views: once all have been
    seen, no thread has anything left to do. Of others, and on other devices, only those of one size, or two,
    are there at a time.

    Args:
        factor_at: by which whole-numbered factor the photograph of a step is shrunk.
        seen: what of it a step sees.
    """

    def __init__(
        self,
        views: Sequence[View],
        seed: int,
        device: torch.device,
        factor_at: Callable[[int], int] = lambda step: 1,
        seen: Callable[[int, Target], Target] = lambda step, target: target,
    ) -> None:
        self._views = views
        self._order = ViewOrder(len(views), seed)
        self._device = device
        self._factor_at = factor_at
        self._seen = seen
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="views")
        self._targets: dict[tuple[int, int], Future[Target]] = {}

    def __call__(self, step: int) -> Target:
        upcoming, current = self._key(step + 1), self._key(step)
        if self._device.type != "cpu":
            self._targets = {key: t for key, t in self._targets.items() if key in (current, upcoming)}
        elif upcoming[1] != current[1]:
            self._targets = {
                key: t for key, t in self._targets.items() if key[1] in (current[1], upcoming[1])
            }
        for key in (current, upcoming):
            if key not in self._targets:
                self._targets[key] = self._thread.submit(self._prepare, *key)
        return self._seen(step, self._targets[current].result())

    def _key(self, step: int) -> tuple[int, int]:
        return self._order(step), self._factor_at(step)

    def _prepare(self, number: int, factor: int) -> Target:
        return Target.of(self._views[number], self._device, number).shrunk(factor)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
