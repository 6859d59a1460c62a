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
    """Hands out the target of each step, which a thread has prepared during the step before.

    On the CPU targets are kept, since they share the memory of their views: once all have been seen, no
    thread has anything left to do. On other devices only two are there at a time.
    """

    def __init__(self, views: Sequence[View], seed: int, device: torch.device) -> None:
        self._views = views
        self._order = ViewOrder(len(views), seed)
        self._device = device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="views")
        self._targets: dict[int, Future[Target]] = {}

    def __call__(self, step: int) -> Target:
        upcoming, current = self._order(step + 1), self._order(step)
        if self._device.type != "cpu":
            self._targets = {i: t for i, t in self._targets.items() if i in (current, upcoming)}
        for number in (current, upcoming):
            if number not in self._targets:
                view = self._views[number]
                self._targets[number] = self._thread.submit(Target.of, view, self._device, number)
        return self._targets[current].result()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
