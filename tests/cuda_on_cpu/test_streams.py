"""Kernels run on the current stream of their tensors' device, and the host waits for them once a frame.

Where the lists of tiles have a given size it never waits: a whole pass can be captured into a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from splats import random_scene
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cuda_on_cpu import workload
from cuda_on_cpu.operators import emulated
from gsplat_core import rasterization
from gsplat_core.activations import activate
from gsplat_core.render import stages

WIDTH, HEIGHT = 50, 40
STREAM = 3
DEVICE_OF_TENSORS = -1  # the index of the CPU, whose tensors these are

# Operators of PyTorch whose result, or whose shape, the host must know.
_WAITING = {
    "_local_scalar_dense", "equal", "is_nonzero", "item", "masked_select", "nonzero", "unique_consecutive",
    "unique_dim", "_unique2",
}  # fmt: skip


class _Waiting(TorchDispatchMode):
    """Lists the operators of PyTorch that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        name = function.name().removeprefix("aten::").split(".")[0]
        masks = [x for x in torch.utils._pytree.tree_leaves(arguments[1:]) if isinstance(x, Tensor)]
        by_mask = name in ("index", "index_put", "index_put_") and any(x.dtype == torch.bool for x in masks)
        if name in _WAITING or by_mask:
            self.found.append(name)
        return function(*arguments, **(options or {}))


@contextmanager
def waiting() -> Iterator[list[str]]:
    with _Waiting() as mode:
        yield mode.found


def scene() -> dict[str, Tensor]:
    """Parameters as an optimizer has them, and a camera."""
    t = random_scene(80, width=WIDTH, height=HEIGHT).tensors
    leaves = {
        "means": t["means"],
        "quats": t["quats"],
        "log_scales": t["scales"].log(),
        "logits": t["opacities"].logit(),
        "sh0": t["colors"][:, :1],
        "shN": t["colors"][:, 1:],
        "viewmats": t["viewmats"],
    }
    return {name: x.clone().requires_grad_() for name, x in leaves.items()} | {"Ks": t["Ks"]}


def target() -> Tensor:
    return torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))


def gradients(parameters: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """Of L1 + SSIM, by its operator: losses.l1_dssim() takes a look at a number that is on the CPU."""
    *_, v_image = torch.ops.gsplat_core.l1_ssim(image.detach()[None], target()[None], 0.2, False, True)
    return list(torch.autograd.grad(image, [p for p in parameters.values() if p.requires_grad], v_image[0]))


def bounded_pass(p: dict[str, Tensor], max_intersections: int) -> tuple[list[Tensor], Tensor]:
    """From parameters to their gradients, with room for so many intersections; and how many there are."""
    scales, opacities = activate(p["log_scales"], p["logits"])
    one = {name: x[None] for name, x in p.items()} | {"scales": scales[None], "opacities": opacities[None]}
    shapes = (one["means"], one["quats"], one["scales"], None, one["opacities"], one["viewmats"], one["Ks"])
    splats = stages.project(*shapes, WIDTH, HEIGHT)
    colors = torch.ops.gsplat_core.spherical_harmonics(
        3, one["means"], one["viewmats"], one["sh0"], one["shN"], splats.radii
    )
    tiles, totals = stages.bin_splats_bounded(splats, WIDTH, HEIGHT, max_intersections=max_intersections)
    image = stages.composite(splats, colors, None, tiles, WIDTH, HEIGHT).colors
    return gradients(p, image[0, 0]), totals


def ordinary_pass(p: dict[str, Tensor]) -> list[Tensor]:
    scales, opacities = activate(p["log_scales"], p["logits"])
    image, _, _ = rasterization(
        p["means"], p["quats"], scales, opacities, (p["sh0"], p["shN"]), p["viewmats"], p["Ks"],
        WIDTH, HEIGHT, sh_degree=3,
    )  # fmt: skip
    return gradients(p, image[0])


@pytest.mark.parametrize("room", [2000, 100])
def test_a_pass_with_bounded_lists_can_be_captured(room: int) -> None:
    parameters = scene()
    with emulated(calls=True) as library:
        library.take_calls()
        with waiting() as operators, library.captured(STREAM):
            found, totals = bounded_pass(parameters, room)
        calls = library.take_calls()
        expected = ordinary_pass(parameters)
    assert operators == []
    assert [call.name for call in calls if call.waits] == []
    assert {call.stream for call in calls} == {STREAM}
    ran = {call.name.split("<")[0] for call in calls}
    assert {"composite_tiles", "composite_tiles_backward", "write_intersections", "DeviceRadixSort"} <= ran
    assert all(gradient.isfinite().all() for gradient in found)
    overflows = int(totals[1]) > room
    assert overflows == (room == 100)
    if not overflows:
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(found, expected, strict=True))


def test_the_ordinary_pass_waits_once_and_cannot_be_captured() -> None:
    parameters = scene()
    with emulated(calls=True) as library:
        library.take_calls()
        with waiting() as operators:
            ordinary_pass(parameters)
        waits = [call.name for call in library.take_calls() if call.waits]
        assert waits == ["cudaStreamSynchronize"]
        assert operators == []
        with (
            pytest.raises(RuntimeError, match="number of intersections: cudaErrorStreamCaptureUnsupported"),
            library.captured(STREAM),
        ):
            ordinary_pass(parameters)
        library.take_reports()


def test_every_kernel_runs_on_the_current_stream_and_the_device_of_its_tensors() -> None:
    with emulated(calls=True) as library, library.current_stream(STREAM):
        before = library.current_device()
        library.take_calls()
        for case in workload.CASES:
            case()
        calls = library.take_calls()
        assert library.current_device() == before != DEVICE_OF_TENSORS
    assert len(calls) > 100
    assert {call.stream for call in calls} == {STREAM}
    assert {call.device for call in calls} == {DEVICE_OF_TENSORS}
