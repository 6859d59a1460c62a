"""gsplat_core/compat/gsplat_package: every public name of gsplat is there and right, or says that it is not
there."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from paths import ROOT
from splat_files import typical_scene
from splats import covariances, random_scene
from torch import Tensor

import gsplat_core.io
from gsplat_core.compat import gsplat, gsplat_package
from gsplat_core.compat.gsplat_package import (
    cameras,
    exporter,
    optimizers,
    pairs,
    relocation,
    strategy,
    tiles,
    utils,
)

SIZE = {"width": 50, "height": 40}
TILES = {"tile_size": 16, "tile_width": 4, "tile_height": 3}


def run(code: str) -> str:
    begin = "from gsplat_core.compat import install_as; install_as('gsplat')\n"
    done = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_programs_find_what_they_import() -> None:
    """What gsplat's own trainer and nerfstudio's splatfacto begin with."""
    code = """
import gsplat
import gsplat.strategy, gsplat.optimizers, gsplat.relocation, gsplat.exporter, gsplat.utils, gsplat.version
from gsplat import rasterization, DefaultStrategy, MCMCStrategy, SelectiveAdam, export_splats
from gsplat.rendering import rasterization as same
from gsplat.strategy import DefaultStrategy as of_folder, MCMCStrategy, Strategy
from gsplat.strategy.default import DefaultStrategy as of_file
from gsplat.cuda._wrapper import spherical_harmonics, fully_fused_projection, isect_tiles
from gsplat.cuda._torch_impl import accumulate
from gsplat.relocation import compute_relocation
from gsplat.utils import depth_to_normal, normalized_quat_to_rotmat
from gsplat.version import __version__
assert rasterization is same and DefaultStrategy is of_folder is of_file
print(__version__)
"""
    assert run(code) == "1.5.3"


def test_what_is_not_there_says_so_in_a_sentence() -> None:
    for name in gsplat_package.MISSING:
        with pytest.raises(ImportError, match=f"does not offer gsplat's '{name}': "):
            getattr(gsplat_package, name)
    code = """
import gsplat
for statement in ("from gsplat import accumulate_2dgs", "from gsplat.rendering import accumulate_2dgs",
                  "import gsplat.losses", "from gsplat.strategy.ops import split", "import gsplat.tiles"):
    try:
        exec(statement)
    except ImportError as error:
        print(error)
"""
    expected = ["gsplat's 'accumulate_2dgs': a stage of 2D Gaussians"] * 2
    expected += [f"the module 'gsplat.{name}': " for name in ("losses", "strategy.ops", "tiles")]
    for line, beginning in zip(run(code).splitlines(), expected, strict=True):
        assert line.startswith(f"gsplat_core does not offer {beginning}")


def test_private_names_are_not_ours() -> None:
    code = """
import gsplat, gsplat.rendering, gsplat.cuda._wrapper
names = ("_rasterization", "_fully_fused_projection", "_C", "whatever", "rasterization")
print([name for name in names for m in (gsplat, gsplat.rendering, gsplat.cuda._wrapper) if hasattr(m, name)])
"""
    assert set(eval(run(code))) == {"rasterization"}


def test_every_listed_name_is_there() -> None:
    for name in gsplat_package.PLACES:
        assert getattr(gsplat_package, name) is not None


# Stages


def scene_of(num: int, count: int) -> dict[str, Tensor]:
    """Gaussians of one colour each, and cameras."""
    t = random_scene(num, cameras=count, **SIZE).tensors
    return {**t, "colors": torch.rand(num, 3, generator=torch.Generator().manual_seed(9))}


def projected(cameras_: int = 2, packed: bool = False) -> tuple[dict[str, Tensor], Any]:
    t = scene_of(80, cameras_)
    given = (t["means"], None, t["quats"], t["scales"], t["viewmats"], t["Ks"], 50, 40)
    return t, gsplat.fully_fused_projection(*given, packed=packed, opacities=t["opacities"])


@pytest.mark.parametrize("packed", [False, True])
def test_the_stages_together_are_the_rasterization(packed: bool) -> None:
    t, result = projected(packed=packed)
    if packed:
        batch_ids, camera_ids, gaussian_ids, radii, means2d, depths, conics, _ = result
        ids = {"packed": True, "n_images": 2, "image_ids": batch_ids * 2 + camera_ids}
        colors, opacities = t["colors"][gaussian_ids], t["opacities"][gaussian_ids]
    else:
        radii, means2d, depths, conics, _ = result
        ids = {}
        colors = t["colors"].expand(2, -1, -1).contiguous()
        opacities = t["opacities"].expand(2, -1).contiguous()
    _, isect_ids, flatten_ids = tiles.isect_tiles(means2d, radii, depths, **TILES, **ids)
    offsets = tiles.isect_offset_encode(isect_ids, 2, 4, 3)
    inputs = [x.detach().clone().requires_grad_() for x in (means2d, conics, colors, opacities)]
    backgrounds = torch.rand(2, 3)
    image, alphas = tiles.rasterize_to_pixels(
        *inputs, 50, 40, 16, offsets, flatten_ids, backgrounds, packed=packed, absgrad=True
    )
    whole, whole_alphas, meta = gsplat.rasterization(
        t["means"].requires_grad_(), t["quats"], t["scales"], t["opacities"], t["colors"], t["viewmats"],
        t["Ks"], 50, 40, packed=packed, backgrounds=backgrounds, absgrad=True,
    )  # fmt: skip
    torch.testing.assert_close(image, whole, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(alphas, whole_alphas, atol=2e-6, rtol=1e-5)
    weight = torch.rand_like(image)
    meta["means2d"].retain_grad()
    (whole * weight).sum().backward()
    (image * weight).sum().backward()
    ours, theirs = inputs[0], meta["means2d"]
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(ours.absgrad, theirs.absgrad, atol=1e-4, rtol=1e-3)
    assert all(x.grad is not None and bool(x.grad.isfinite().all()) for x in inputs)


def test_masked_tiles_show_the_background() -> None:
    t, (radii, means2d, depths, conics, _) = projected(1)
    _, isect_ids, flatten_ids = tiles.isect_tiles(means2d, radii, depths, **TILES)
    offsets = tiles.isect_offset_encode(isect_ids, 1, 4, 3)
    masks = torch.ones(1, 3, 4, dtype=torch.bool)
    masks[0, 1, 2] = False
    given = (means2d, conics, t["colors"][None], t["opacities"][None], 50, 40, 16, offsets, flatten_ids)
    background = torch.tensor([[0.2, 0.4, 0.6]])
    whole, _ = tiles.rasterize_to_pixels(*given, background)
    image, alphas = tiles.rasterize_to_pixels(*given, background, masks)
    hidden = torch.zeros(40, 50, dtype=torch.bool)
    hidden[16:32, 32:48] = True
    assert torch.equal(image[0][~hidden], whole[0][~hidden])
    assert torch.equal(image[0][hidden], background.expand(256, 3))
    assert not alphas[0][hidden].any()


def test_touches_are_those_of_boxes_and_tiles() -> None:
    _, (radii, means2d, depths, _, _) = projected()
    counts, isect_ids, flatten_ids = tiles.isect_tiles(means2d, radii, depths, **TILES)
    expected: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for image in range(2):
        for n in range(80):
            if not (radii[image, n] > 0).all():
                continue
            (x, y), (rx, ry) = means2d[image, n].tolist(), radii[image, n].tolist()
            for row in range(3):
                for column in range(4):
                    across = x + rx > 16 * column and x - rx < 16 * (column + 1)
                    if across and y + ry > 16 * row and y - ry < 16 * (row + 1):
                        entry = (depths[image, n].item(), image * 80 + n)
                        expected.setdefault((image, row * 4 + column), []).append(entry)
    offsets = [*tiles.isect_offset_encode(isect_ids, 2, 4, 3).flatten().tolist(), len(flatten_ids)]
    assert counts.sum() == len(flatten_ids) == sum(map(len, expected.values()))
    for tile in range(24):
        found = flatten_ids[offsets[tile] : offsets[tile + 1]].tolist()
        assert found == [n for _, n in sorted(expected.get((tile // 12, tile % 12), []))]


def test_pairs_are_accumulated_as_they_are_composited() -> None:
    t, (radii, means2d, depths, conics, _) = projected(2)
    _, isect_ids, flatten_ids = tiles.isect_tiles(means2d, radii, depths, **TILES)
    offsets = tiles.isect_offset_encode(isect_ids, 2, 4, 3)
    opacities, colors = t["opacities"].expand(2, -1), t["colors"].expand(2, -1, -1)

    def accumulated(begin: int, end: int, light: Tensor) -> tuple[Tensor, Tensor]:
        given = (means2d, conics, opacities)
        found = pairs.rasterize_to_indices_in_range(
            begin, end, light, *given, 50, 40, 16, offsets, flatten_ids
        )
        return pairs.accumulate(*given, colors, *found, 50, 40)

    light = torch.ones(2, 40, 50)
    image, alphas = accumulated(0, 10**10, light)
    given = (means2d, conics, colors, opacities, 50, 40, 16, offsets, flatten_ids)
    whole, whole_alphas = tiles.rasterize_to_pixels(*given)
    torch.testing.assert_close(image, whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(alphas, whole_alphas, atol=1e-5, rtol=0)
    nothing, _ = accumulated(1, 10**10, light)  # all are in the first block of 256
    assert not nothing.any()


def test_the_projection_in_two_steps_is_the_fused_one() -> None:
    t, (radii, means2d, _, conics, _) = projected()
    sigma = covariances(t["quats"], t["scales"]).float().requires_grad_()
    points, turned = cameras.world_to_cam(t["means"], sigma, t["viewmats"])
    centres, spread = cameras.proj(points, turned, t["Ks"], 50, 40)
    visible = (radii > 0).all(-1)
    torch.testing.assert_close(centres[visible], means2d[visible], atol=1e-3, rtol=1e-5)
    inverse = torch.linalg.inv(spread + 0.3 * torch.eye(2))
    flat = torch.stack([inverse[..., 0, 0], inverse[..., 0, 1], inverse[..., 1, 1]], -1)
    torch.testing.assert_close(flat[visible], conics[visible], atol=1e-4, rtol=1e-3)
    flat[visible].sum().backward()
    assert sigma.grad is not None
    assert bool(sigma.grad.isfinite().all())


# Training


def test_selective_adam_moves_what_is_seen() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 3))
    optimizer = optimizers.SelectiveAdam([parameter], eps=1e-15, betas=(0.9, 0.999))
    parameter.grad = torch.ones(4, 3)
    optimizer.step(torch.tensor([1, 0, 1, 0]))
    assert (parameter.detach() != 1).all(-1).tolist() == [True, False, True, False]


def test_relocation_is_equation_9() -> None:
    opacities, scales = torch.tensor([0.5, 0.9, 0.2]), torch.rand(3, 3) + 0.1
    ratios = torch.tensor([1, 3, 100])
    new_opacities, new_scales = relocation.compute_relocation(opacities, scales, ratios, torch.zeros(51, 51))
    expected = 1 - (1 - opacities) ** (1 / ratios.clamp(max=51))
    torch.testing.assert_close(new_opacities, expected)
    torch.testing.assert_close(new_scales[0], scales[0])
    assert (new_scales[1:] < scales[1:]).all()
    assert ratios.tolist() == [1, 3, 100]


class Training:
    """A loop as gsplat's trainer has it: a dictionary of parameters, an optimizer for each."""

    def __init__(self, strategy_: Any, packed: bool = False, absgrad: bool = False) -> None:
        t = scene_of(60, 1)
        raw = {
            "means": t["means"], "scales": t["scales"].log(), "quats": t["quats"],
            "opacities": t["opacities"].clamp(0.05, 0.95).logit(), "colors": t["colors"],
        }  # fmt: skip
        self.params = torch.nn.ParameterDict({k: torch.nn.Parameter(v.clone()) for k, v in raw.items()})
        self.optimizers = {
            name: torch.optim.Adam([{"params": parameter, "lr": 1e-2, "name": name}], eps=1e-15)
            for name, parameter in self.params.items()
        }
        self.camera = (t["viewmats"], t["Ks"], 50, 40)
        self.target = torch.rand(1, 40, 50, 3, generator=torch.Generator().manual_seed(5))
        self.strategy, self.packed, self.absgrad = strategy_, packed, absgrad
        strategy_.check_sanity(self.params, self.optimizers)
        self.state = strategy_.initialize_state()

    def run(self, steps: int, **further: Any) -> list[int]:
        """How many Gaussians there were after each step."""
        p, numbers = self.params, []
        for step in range(steps):
            image, _, info = gsplat.rasterization(
                p["means"], p["quats"], p["scales"].exp(), p["opacities"].sigmoid(), p["colors"],
                *self.camera, packed=self.packed, absgrad=self.absgrad,
            )  # fmt: skip
            self.strategy.step_pre_backward(p, self.optimizers, self.state, step, info)
            (image - self.target).abs().mean().backward()
            for optimizer in self.optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.strategy.step_post_backward(p, self.optimizers, self.state, step, info, **further)
            numbers.append(len(p["means"]))
        return numbers


@pytest.mark.parametrize(("packed", "absgrad"), [(False, False), (True, False), (True, True)])
def test_the_default_strategy_refines(packed: bool, absgrad: bool) -> None:
    own = strategy.DefaultStrategy(
        refine_start_iter=5, refine_every=5, refine_stop_iter=25, reset_every=15, grow_grad2d=1e-5,
        absgrad=absgrad,
    )  # fmt: skip
    training = Training(own, packed, absgrad)
    before = dict(training.params)
    numbers = training.run(30, packed=packed)
    assert numbers[9] == 60 < numbers[10]  # the first refinement is that of step 10
    assert len(set(numbers[25:])) == 1
    for name, parameter in training.params.items():
        assert parameter is not before[name]
        assert len(parameter) == numbers[-1]
        ((trained, state),) = training.optimizers[name].state.items()
        assert trained is parameter is training.optimizers[name].param_groups[0]["params"][0]
        assert state["exp_avg"].shape == parameter.shape


def test_opacities_are_reset_at_multiples_of_the_interval_but_not_at_step_0() -> None:
    training = Training(strategy.DefaultStrategy(refine_start_iter=100, reset_every=4, prune_opa=0.02))
    largest = []
    for steps in (1, 3, 1):  # the strategy counts from 0 in each
        training.run(steps)
        largest.append(training.params["opacities"].sigmoid().max().item())
    assert min(largest) > 0.5
    training.run(5)
    assert training.params["opacities"].sigmoid().max().item() == pytest.approx(0.04)


def test_refinement_pauses_after_a_reset() -> None:
    schedule = {"refine_start_iter": 2, "refine_every": 5, "refine_stop_iter": 40, "reset_every": 20}
    usual = Training(strategy.DefaultStrategy(**schedule, grow_grad2d=1e-5)).run(30)
    paused = Training(strategy.DefaultStrategy(**schedule, grow_grad2d=1e-5, pause_refine_after_reset=8))
    numbers = paused.run(30)
    assert usual[24] != usual[25]
    assert numbers[24] == numbers[25]


def test_mcmc_grows_to_its_cap() -> None:
    own = strategy.MCMCStrategy(cap_max=70, refine_start_iter=4, refine_every=4, refine_stop_iter=30)
    training = Training(own)
    before = training.params["means"].detach().clone()
    numbers = training.run(30, lr=1e-4)
    assert numbers[0] == 60
    assert max(numbers) == numbers[-1] == 70
    assert not torch.equal(training.params["means"].detach()[:60], before)


def test_what_strategies_cannot_do_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="refine_scale2d_stop_iter"):
        strategy.DefaultStrategy(refine_scale2d_stop_iter=100)
    with pytest.raises(NotImplementedError, match="gradient_2dgs"):
        strategy.DefaultStrategy(key_for_gradient="gradient_2dgs")
    with pytest.raises(ValueError, match="prune_opacity"):
        strategy.DefaultStrategy(prune_opa=2.0)
    training = Training(strategy.DefaultStrategy())
    with pytest.raises(ValueError, match="means is missing"):
        training.strategy.check_sanity({"quats": training.params["quats"]}, training.optimizers)
    others = {name: o for name, o in training.optimizers.items() if name != "scales"}
    with pytest.raises(ValueError, match=r"optimizers\['scales'\] must train"):
        training.strategy.check_sanity(training.params, others)
    info = {"means2d": torch.zeros(1, 60, 2), "radii": torch.zeros(1, 60, 2), "n_cameras": 1}
    with pytest.raises(ValueError, match="call step_pre_backward"):
        training.strategy.step_post_backward(training.params, training.optimizers, training.state, 0, info)


# Files and depths


@pytest.mark.parametrize(
    ("format", "name"), [("ply", "a.ply"), ("splat", "a.splat"), ("ply_compressed", "a.compressed.ply")]
)
def test_exported_bytes_are_a_file_of_the_format(tmp_path: Path, format: str, name: str) -> None:
    scene = typical_scene(20, 0)
    path = tmp_path / name
    parts = (scene.means, scene.scales, scene.quats, scene.opacities, scene.sh0, scene.shN)
    content = exporter.export_splats(*parts, format=format, save_to=str(path))
    assert path.read_bytes() == content
    assert gsplat_core.io.load(path).num == 20


@pytest.mark.parametrize("z_depth", [True, False])
def test_depths_become_points_and_normals_of_a_plane(z_depth: bool) -> None:
    t = random_scene(5, cameras=1, **SIZE).tensors
    K, pose = t["Ks"][0], torch.linalg.inv(t["viewmats"][0])
    normal = torch.nn.functional.normalize(torch.tensor([0.1, -0.2, -1.0]), dim=0)  # in the camera's axes
    ones = torch.ones(1, 40, 50, 1)
    rays = utils.depth_to_points(ones, torch.eye(4)[None], K[None], z_depth)
    depths = -3.0 / (rays @ normal)[..., None]
    points = utils.depth_to_points(depths, pose[None], K[None], z_depth)
    of_camera = (points - pose[:3, 3]) @ pose[:3, :3]
    torch.testing.assert_close(of_camera @ normal, torch.full((1, 40, 50), -3.0), atol=1e-4, rtol=1e-4)
    normals = utils.depth_to_normal(depths, pose[None], K[None], z_depth)[0, 1:-1, 1:-1] @ pose[:3, :3]
    torch.testing.assert_close(normals, normal.expand_as(normals), atol=1e-3, rtol=0)
    x = torch.linspace(-5, 5, 11)
    torch.testing.assert_close(utils.inverse_log_transform(utils.log_transform(x)), x)


def test_a_scene_is_saved_with_colours_of_its_own(tmp_path: Path) -> None:
    scene = typical_scene(20, 1)
    names = ("means", "scales", "quats", "opacities", "sh0", "shN")
    splats = {name: getattr(scene, name) for name in names}
    utils.save_ply(splats, str(tmp_path / "a.ply"))
    assert torch.equal(gsplat_core.io.load(tmp_path / "a.ply").shN, scene.shN)
    utils.save_ply(splats, str(tmp_path / "b.ply"), torch.full((20, 3), 0.5))
    found = gsplat_core.io.load(tmp_path / "b.ply")
    assert (found.num, found.sh_degree) == (20, 0)
    assert not found.sh0.any()


def test_the_projection_matrix_is_that_of_inrias_callers() -> None:
    matrix = utils.get_projection_matrix(0.5, 8.0, 1.2, 0.9)
    for depth, expected in ((0.5, 0.0), (8.0, 1.0)):
        edge = torch.tensor([depth * math.tan(0.6), depth * math.tan(0.45), depth, 1.0])
        x, y, z, w = (matrix @ edge).tolist()
        assert (x / w, y / w, z / w) == pytest.approx((1.0, 1.0, expected), abs=1e-6)
