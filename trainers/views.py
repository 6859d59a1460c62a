"""Which training view comes at which step, and having it ready in time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.scene.dataset import View


class ViewOrder:
    """All views in random order, then all of them in another random order, and so on.

    The order of an epoch depends on the seed and the epoch only, so a resumed run needs no state for it.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = -1
        self._permutation: list[int] = []

    def __call__(self, step: int) -> int:
        """The index of the view of `step` (counted from 1)."""
        epoch, position = divmod(step - 1, self._count)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._permutation = torch.randperm(self._count, generator=generator).tolist()
            self._epoch = epoch
        return self._permutation[position]


@dataclass(frozen=True)
class Target:
    """One photograph on the training device."""

    image: Tensor
    """[H, W, 3] uint8"""
    viewmat: Tensor
    """[1, 4, 4] world to camera"""
    K: Tensor
    """[1, 3, 3] pixels"""
    width: int
    height: int
    view: int
    """Which of the training views this is."""

    @classmethod
    def of(cls, view: View, device: torch.device, number: int = 0) -> Target:
        camera = view.camera
        return cls(
            image=view.image().to(device, non_blocking=True),
            viewmat=torch.as_tensor(camera.viewmat, dtype=torch.float32, device=device)[None],
            K=torch.as_tensor(camera.K, dtype=torch.float32, device=device)[None],
            width=camera.width,
            height=camera.height,
            view=number,
        )


class Feed:
    """Hands out the target of each step while a thread prepares the next one."""

    def __init__(self, views: Sequence[View], seed: int, device: torch.device) -> None:
        self._views = views
        self._order = ViewOrder(len(views), seed)
        self._device = device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="views")
        self._ready: dict[int, Future[Target]] = {}

    def __call__(self, step: int) -> Target:
        current = self._ready.pop(step, None) or self._submit(step)
        self._ready = {step + 1: self._submit(step + 1)}
        return current.result()

    def _submit(self, step: int) -> Future[Target]:
        number = self._order(step)
        return self._thread.submit(Target.of, self._views[number], self._device, number)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
