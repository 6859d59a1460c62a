"""Trees of Gaussians: what leaves share, that they are plain Gaussians, and that trees move as a whole."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.models.forest import (
    FOREST,
    LEAVES,
    NODE_FEATURES,
    NODE_PARENTS,
    NODES,
    PARENT,
    ROOT_FEATURES,
    SCHEMA,
    decoded,
    started,
)
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.sh_rotation import rotate_sh
from gsplat_core.scene.similarity import Similarity

NO_TURN = (1.0, 0.0, 0.0, 0.0)


def planted(num: int = 60, degree: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64) -> Gaussians:
    """Trees as a training starts with, of Gaussians that are not turned and have no harmonics."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=dtype)

    plain = Gaussians(
        normal(num, 3), torch.tensor(NO_TURN, dtype=dtype).repeat(num, 1), normal(num, 3) - 3, normal(num),
        normal(num, 1, 3), torch.zeros(num, (degree + 1) ** 2 - 1, 3, dtype=dtype),
    )  # fmt: skip
    return started(plain.with_primitive(FOREST), seed)


def grown(num: int = 60, degree: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64) -> Gaussians:
    """The same as if trained: everything that is trained is anything."""
    scene = planted(num, degree, seed, dtype)
    random = torch.Generator().manual_seed(seed + 1)
    shared = {
        name: tensor + 0.1 * torch.randn(tensor.shape, generator=random, dtype=dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in scene.shared.items()
    }
    return dataclasses.replace(scene, shared=shared)


def test_planting_changes_no_look_and_makes_few_nodes_and_roots() -> None:
    scene = planted(300)
    assert scene.shN.shape == (300, 0, 3)
    parents, roots = scene.extras[PARENT].long(), scene.shared[NODE_PARENTS]
    assert int(torch.bincount(parents).max()) <= LEAVES
    assert int(torch.bincount(roots).max()) <= NODES
    assert len(scene.shared[ROOT_FEATURES]) < len(scene.shared[NODE_FEATURES]) < 200
    random = torch.Generator().manual_seed(0)
    torch.testing.assert_close(
        scene.baked().means, torch.randn(300, 3, generator=random, dtype=torch.float64)
    )
    torch.testing.assert_close(
        scene.baked().scales, torch.randn(300, 3, generator=random, dtype=torch.float64) - 3
    )
    # What leaves have of their own is what is left to their siblings' mean.
    sums = torch.zeros(len(scene.shared[NODE_FEATURES]), 3, dtype=torch.float64)
    sums.index_add_(0, parents, scene.scales)
    torch.testing.assert_close(sums, torch.zeros_like(sums))
    assert started(planted(0).with_primitive("gaussian").with_primitive(FOREST), 0).num == 0


def test_what_was_turned_is_planted_round_and_as_large() -> None:
    plain = grown(degree=2).baked()
    trees = started(plain.with_primitive(FOREST), 0).baked()
    assert torch.equal(trees.means, plain.means)
    torch.testing.assert_close(trees.scales, plain.scales.mean(dim=1, keepdim=True).expand(-1, 3))
    torch.testing.assert_close(trees.sh0, plain.sh0)
    assert not trees.quats[:, 1:].any()
    assert not trees.shN.any()


def test_plain_gaussians_look_exactly_like_it() -> None:
    scene = grown(dtype=torch.float32)
    plain = scene.baked()
    assert (plain.primitive, plain.shared, plain.sh_degree) == ("gaussian", {}, 2)
    assert PARENT not in plain.extras
    for ours, theirs in zip(primitive.evaluate(scene)[:4], primitive.evaluate(plain)[:4], strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(primitive.evaluate(scene).colors, primitive.evaluate(plain).colors, strict=True):
        assert torch.equal(ours, theirs)


def test_siblings_share_their_node_and_cousins_their_root() -> None:
    scene = grown()
    parents, roots = scene.extras[PARENT].long(), scene.shared[NODE_PARENTS]
    before = decoded(scene.fields)
    for name, whose in ((NODE_FEATURES, parents), (ROOT_FEATURES, roots[parents])):
        changed = scene.shared[name].clone()
        changed[1] += 0.5
        after = decoded({**scene.fields, name: changed})
        for field in ("scales", "quats", "sh0", "shN"):
            differs = (after[field] != before[field]).flatten(1).any(dim=1)
            assert torch.equal(differs, whose == 1), field
        assert torch.equal(after["means"], before["means"])


@pytest.mark.parametrize("number", [-1.0, 1e6, float("nan")])
def test_a_leaf_without_a_node_is_a_plain_gaussian(number: float) -> None:
    scene = grown()
    scene.extras[PARENT][3] = number
    raw = decoded(scene.fields)
    for field in ("scales", "quats", "sh0"):
        assert torch.equal(raw[field][3], scene.params[field][3])
        assert not torch.equal(raw[field][4], scene.params[field][4])
    assert not raw["shN"][3].any()


def test_plain_gaussians_beside_trees_keep_their_harmonics() -> None:
    trees, plain = grown(degree=1), grown(20, degree=3, seed=5).baked()
    both = Gaussians.merge([trees, plain]).baked()
    torch.testing.assert_close(both.subset(slice(60)).with_sh_degree(1).shN, trees.baked().shN)
    torch.testing.assert_close(both.subset(slice(60, None)).shN, plain.shN)


def test_trees_move_as_what_they_look_like() -> None:
    random = torch.Generator().manual_seed(7)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=random, dtype=torch.float64)).Q
    similarity = Similarity(turn * torch.linalg.det(turn), torch.randn(3, generator=random), 1.7)
    scene = grown()
    moved, plain = scene.transformed(similarity).baked(), scene.baked()
    torch.testing.assert_close(moved.means, similarity.apply(plain.means))
    torch.testing.assert_close(moved.scales, plain.scales + torch.tensor(1.7, dtype=torch.float64).log())
    torch.testing.assert_close(
        rotation_matrices(moved.quats), similarity.rotation @ rotation_matrices(plain.quats)
    )
    torch.testing.assert_close(moved.shN, rotate_sh(plain.shN, similarity.rotation))
    torch.testing.assert_close(moved.sh0, plain.sh0)


def test_derivatives() -> None:
    scene = grown(6, degree=1)
    fields = {known.name: scene.fields[known.name].requires_grad_() for known in SCHEMA.optimized}

    def raw(*tensors: Tensor) -> Tensor:
        values = decoded({**scene.fields, **dict(zip(fields, tensors, strict=True))})
        return torch.cat([value.flatten() for value in values.values()])

    torch.autograd.gradcheck(raw, tuple(fields.values()), fast_mode=True)


def test_the_derivative_is_the_same_for_any_number_of_threads() -> None:
    scene = grown(3000, degree=3, dtype=torch.float32)
    gradients = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            features = scene.shared[NODE_FEATURES].clone().requires_grad_()
            raw = decoded({**scene.fields, NODE_FEATURES: features})
            sum((value.sin()).sum() for value in raw.values()).backward()
            gradients.append(features.grad)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*gradients)
