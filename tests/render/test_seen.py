"""gsplat_core/render/seen.py: which Gaussians the pixels see."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from seen_pixels import TOP, Truth, assert_same, truth_of
from splats import SCENES, Scene, adapted, assert_gradient, one_thread, random_scene
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gsplat_core import rasterization, reference
from gsplat_core.render import stages
from gsplat_core.render.seen import SEEN
from gsplat_core.render.variants import CAMERAS, RESPONSES

WIDTH, HEIGHT, NUM = 37, 26, 60
LABELS = 70  # more than one pass tells apart


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@cache
def scene_of(camera: str = "pinhole", response: str = "gaussian") -> Scene:
    """Faint and opaque splats over several tiles, some of which end early."""
    scene = random_scene(NUM, cameras=2, width=WIDTH, height=HEIGHT, sh_degree=None, seed=5)
    scales = scene.tensors["scales"] + 0.1
    Ks = scene.tensors["Ks"] * torch.tensor([[0.5], [0.5], [1.0]])
    return adapted(scene.with_(scales=scales, Ks=Ks), camera, response)


def chosen(camera: str, response: str) -> dict[str, Any]:
    return {"camera_model": camera} | ({} if response == "gaussian" else {"response": response})


@cache
def truth(camera: str, response: str) -> Truth:
    return truth_of(scene_of(camera, response), **chosen(camera, response))


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.usefixtures("kernels")
def test_what_pixels_see_is_what_the_weights_of_the_reference_say(camera: str, response: str) -> None:
    scene = scene_of(camera, response)
    found = rasterization(**scene.arguments(), **chosen(camera, response), outputs=SEEN, top=TOP)[2]
    assert_same(found, truth(camera, response))


@pytest.mark.parametrize("name", ["needles", "opaque", "faint", "twins", "around_the_camera"])
@pytest.mark.usefixtures("backend")
def test_unusual_scenes(name: str) -> None:
    scene = SCENES[name]()
    expected = truth_of(scene)
    sure = {name: keep for name, keep in expected.sure.items()}
    found = rasterization(**scene.arguments(), outputs=SEEN, top=TOP)[2]
    for output, image in expected.outputs.items():
        wrong = (found[output].double() - image.double()).abs() > 1e-4
        assert not wrong[sure[output]].any(), output


@pytest.mark.parametrize("tile_size", [8, 16, 32])
@pytest.mark.usefixtures("backend")
def test_median_and_first_alone_are_the_same(tile_size: int) -> None:
    """Although light is not followed behind them."""
    given = scene_of().arguments() | {"tile_size": tile_size}
    every = rasterization(**given, outputs=SEEN)[2]
    for name in ("first_ids", "median_ids", "median_depth"):
        assert torch.equal(rasterization(**given, outputs=[name])[2][name], every[name])


@pytest.mark.usefixtures("backend")
def test_lists_that_hold_all_add_up_to_alpha_and_are_in_the_order_of_depth() -> None:
    _, alphas, meta = rasterization(**scene_of().arguments(), outputs=["counts"], top=NUM)
    assert torch.allclose(meta["top_weights"].sum(-1), alphas[..., 0], atol=1e-6)
    listed = meta["top_ids"] >= 0
    assert torch.equal(listed.sum(-1), meta["counts"].long())
    assert torch.equal(listed, meta["top_weights"] > 0)
    assert torch.equal(listed.int().diff(dim=-1) > 0, torch.zeros_like(listed[..., 1:]))  # padding is behind
    depths = meta["depths"].gather(1, meta["top_ids"].clamp(min=0).flatten(1).long()).reshape(listed.shape)
    assert (depths.diff(dim=-1)[listed[..., 1:]] >= 0).all()


@pytest.mark.usefixtures("backend")
def test_a_short_list_has_the_heaviest_of_a_long_one() -> None:
    long, short = (rasterization(**scene_of().arguments(), top=top)[2] for top in (NUM, 3))
    heaviest = long["top_weights"].sort(dim=-1, descending=True)[0][..., :3]
    assert torch.equal(short["top_weights"].sort(dim=-1, descending=True)[0], heaviest)


def test_the_median_depth_lies_between_the_depths_that_are_seen_and_is_piecewise_constant() -> None:
    _, alphas, meta = rasterization(**scene_of().arguments(), outputs=SEEN, top=NUM)
    ids = meta["top_ids"].long()
    depths = meta["depths"].gather(1, ids.clamp(min=0).flatten(1)).reshape(ids.shape)
    least = torch.where(ids >= 0, depths, torch.inf).amin(-1)
    most = torch.where(ids >= 0, depths, -torch.inf).amax(-1)
    seen = alphas[..., 0] > 0
    median = meta["median_depth"]
    assert ((least <= median) & (median <= most))[seen].all()
    assert not median[~seen].any()
    assert set(median.unique().tolist()) <= {0.0, *meta["depths"].flatten().tolist()}


@pytest.mark.usefixtures("backend")
def test_the_gradient_of_the_median_depth_goes_to_one_splat_of_each_pixel() -> None:
    scene = scene_of()
    g = torch.Generator().manual_seed(0)
    weights = torch.randn(2, HEIGHT, WIDTH, generator=g)
    leaves, doubles = scene.leaves(), scene.leaves(torch.float64)
    meta = rasterization(**scene.arguments(leaves), outputs=["median_depth", "median_ids"])[2]
    (weights * meta["median_depth"]).sum().backward()
    ids = meta["median_ids"].long()
    depths = reference.rasterization(**scene.arguments(doubles))[2]["depths"]
    picked = depths.gather(1, ids.clamp(min=0).flatten(1)).reshape(ids.shape)
    (weights * (ids >= 0) * picked).sum().backward()
    for name in ("means", "viewmats"):
        gradient, expected = leaves[name].grad, doubles[name].grad
        assert gradient is not None
        assert expected is not None
        assert_gradient(name, gradient, expected)
    for name in ("opacities", "colors"):
        gradient = leaves[name].grad
        assert gradient is None or not gradient.any()


def labels_of(num: int = LABELS) -> Tensor:
    g = torch.Generator().manual_seed(3)
    coarse = torch.randint(-1, num + 1, (2, 4, 5), generator=g)
    smooth = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :HEIGHT, :WIDTH]
    noise = torch.randint(-1, num + 1, smooth.shape, generator=g)
    return torch.where(torch.rand(smooth.shape, generator=g) < 0.2, noise, smooth)


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("tile_size", [8, 16, 32])
@pytest.mark.usefixtures("kernels")
def test_label_weights_are_those_of_the_reference(response: str, tile_size: int) -> None:
    scene, found_truth = scene_of(response=response), truth("pinhole", response)
    labels = torch.where(found_truth.sure["counts"], labels_of(), -1)
    meta = rasterization(
        **scene.arguments(), **chosen("pinhole", response), labels=(labels, LABELS), tile_size=tile_size
    )[2]
    hot = torch.nn.functional.one_hot(labels.clamp(-1, LABELS) + 1, LABELS + 2)[..., 1:-1].double()
    expected = torch.einsum("cnhw,chwl->ln", found_truth.weights, hot)
    assert meta["label_weights"].shape == expected.shape == (LABELS, NUM)
    assert expected.any(1).sum() > 30
    assert torch.allclose(meta["label_weights"].double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("backend")
def test_sums_over_labels_are_sums_of_weights() -> None:
    scene = scene_of()
    everywhere = labels_of().clamp(0, LABELS - 1)
    meta = rasterization(**scene.arguments(), labels=(everywhere, LABELS), statistics=True, top=2)[2]
    tops = rasterization(**scene.arguments(), top=NUM)[2]
    weights, ids = tops["top_weights"].double(), tops["top_ids"].long()
    sums = torch.zeros(NUM).double().index_add(0, ids[ids >= 0], weights[ids >= 0])
    assert torch.allclose(meta["label_weights"].double().sum(0), sums, rtol=1e-4, atol=1e-4)


class Passes(TorchDispatchMode):
    """How many labels each pass of `label_weights` tells apart."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if "label_weights" in str(function):
            self.counts.append(arguments[-1])
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("tile_size", [16, 32])
def test_labels_are_told_apart_some_at_a_time(monkeypatch: pytest.MonkeyPatch, tile_size: int) -> None:
    """As many as memory allows, of those that there are."""
    given = scene_of().arguments() | {"labels": (labels_of(), LABELS), "tile_size": tile_size}
    _, _, meta = rasterization(**given)
    there = len(set(labels_of().unique().tolist()) & set(range(LABELS)))
    for rows, most in ((1, 1), (5 * meta["flatten_ids"].numel() * (tile_size // 16) ** 2, 5)):
        monkeypatch.setattr(stages, "_MOST_ROWS", rows)
        with Passes() as passes:
            found = rasterization(**given)[2]["label_weights"]
        assert max(passes.counts) == most
        assert sum(passes.counts) == there
        assert torch.equal(found, meta["label_weights"])


@pytest.mark.usefixtures("backend")
def test_labels_that_do_not_occur_cost_nothing() -> None:
    given = scene_of().arguments()
    few = torch.where(labels_of() % 2 == 0, 7, 1000)
    with Passes() as passes:
        many = rasterization(**given, labels=(few, 5000))[2]["label_weights"]
    assert many.shape == (5000, NUM)
    assert passes.counts in ([2], [])  # a backend in the place of the CPU hides its passes
    expected = rasterization(**given, labels=((few == 7).int(), 2))[2]["label_weights"]
    assert torch.equal(many[[1000, 7]], expected)
    assert many.any(1).sum() == 2


def test_several_outputs_of_one_call_are_those_of_calls_of_their_own() -> None:
    given, labels = scene_of().arguments(), (labels_of(), LABELS)
    colors, alphas, meta = rasterization(**given, outputs=["normals", *SEEN], top=TOP, labels=labels)
    plain = rasterization(**given)
    assert torch.equal(colors, plain[0])
    assert torch.equal(alphas, plain[1])
    for name in ("normals", *SEEN):
        assert torch.equal(meta[name], rasterization(**given, outputs=[name])[2][name])
    assert torch.equal(meta["top_ids"], rasterization(**given, top=TOP)[2]["top_ids"])
    assert torch.equal(meta["label_weights"], rasterization(**given, labels=labels)[2]["label_weights"])
    packed = rasterization(**given, outputs=["normals", *SEEN], packed=True)[2]
    for name in ("normals", *SEEN):
        assert torch.equal(meta[name], packed[name])


def test_an_empty_scene_is_seen_by_nobody() -> None:
    given = {n: t[:0] if t.shape[0] == NUM else t for n, t in scene_of().tensors.items()}
    size = {"width": WIDTH, "height": HEIGHT}
    meta = rasterization(**given, **size, outputs=SEEN, top=2, labels=(labels_of(), 3))[2]
    assert (meta["first_ids"] == -1).all()
    assert (meta["top_ids"] == -1).all()
    assert not meta["median_depth"].any()
    assert meta["label_weights"].shape == (3, 0)


def test_batch_dimensions_lead_all_shapes() -> None:
    given = scene_of().arguments()
    plain = rasterization(**given, outputs=SEEN, top=TOP, labels=(labels_of(), LABELS))[2]
    batched = {n: t.expand(3, *t.shape) if isinstance(t, Tensor) else t for n, t in given.items()}
    labels = (labels_of().expand(3, -1, -1, -1), LABELS)
    meta = rasterization(**batched, outputs=SEEN, top=TOP, labels=labels)[2]
    for name in (*SEEN, "top_ids", "top_weights", "label_weights"):
        assert torch.equal(meta[name], plain[name].expand(3, *plain[name].shape)), name


def test_what_makes_no_sense_is_refused_by_name() -> None:
    given, labels = scene_of().arguments(), labels_of()
    for wrong, message in (
        ((labels[:, 1:], 3), r"'labels\[0\]' must have shape \[2, 26, 37\], got \[2, 25, 37\]"),
        ((labels.float(), 3), r"'labels\[0\]' must be integers, got torch.float32"),
        ((labels, 0), r"'labels\[1\]' must be a positive number of labels, got 0"),
        (labels, "argument 'labels' must be a pair"),
    ):
        with pytest.raises(ValueError, match=message):
            rasterization(**given, labels=wrong)
    with pytest.raises(RuntimeError, match="'top' must be from 0 to 1024, got -1"):
        rasterization(**given, top=-1)


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    def run(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        leaves = scene_of().leaves()
        meta = rasterization(
            **scene_of().arguments(leaves), outputs=SEEN, top=TOP, labels=(labels_of(), LABELS)
        )[2]
        meta["median_depth"].square().sum().backward()
        gradients = [leaf.grad for leaf in leaves.values() if leaf.grad is not None]
        return [
            *(meta[name].detach() for name in (*SEEN, "top_ids", "top_weights", "label_weights")),
            *gradients,
        ]

    alone = run(1)
    assert len(alone) > 10
    for threads in (2, 3):
        assert all(map(torch.equal, alone, run(threads)))
