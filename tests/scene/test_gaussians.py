import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients, sh_basis
from gsplat_core.scene.schema import PARAMETERS
from gsplat_core.scene.similarity import Similarity

seeds = st.integers(0, 2**31)


def random_gaussians(
    num: int = 20, degree: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=dtype, generator=generator)

    return Gaussians(
        normal(num, 3),
        normal(num, 4),
        normal(num, 3),
        normal(num),
        normal(num, 1, 3),
        normal(num, num_coefficients(degree) - 1, 3),
        extras={"label": torch.arange(num, dtype=torch.int32), "feature": normal(num, 2, 3)},
    )


def random_similarity(seed: int) -> Similarity:
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    return Similarity(q * torch.linalg.det(q), torch.randn(3, generator=generator), 0.3 + seed % 7)


def assert_same(a: Gaussians, b: Gaussians, atol: float = 0.0) -> None:
    assert a.extras.keys() == b.extras.keys()
    for name, tensor in a.state_dict().items():
        torch.testing.assert_close(tensor, b.state_dict()[name], atol=atol, rtol=0)


def covariances(g: Gaussians) -> Tensor:
    root = rotation_matrices(g.quats) * g.scales.exp()[:, None, :]
    return root @ root.transpose(-1, -2)


def colours_towards(g: Gaussians, eye: Tensor) -> Tensor:
    directions = torch.nn.functional.normalize(g.means - eye, dim=-1)
    return torch.einsum("nk,nkc->nc", sh_basis(directions, g.sh_degree), torch.cat([g.sh0, g.shN], dim=1))


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_a_mask_and_its_complement_merge_to_a_permutation(seed: int) -> None:
    g = random_gaussians(seed=seed)
    mask = torch.rand(g.num, generator=torch.Generator().manual_seed(seed)) < 0.5
    merged = Gaussians.merge([g.subset(mask), g.subset(~mask)])
    assert_same(merged.subset(merged.extras["label"].argsort()), g)


def test_subset_takes_masks_indices_and_slices() -> None:
    g = random_gaussians()
    assert g.subset(torch.tensor([3, 3, -1])).extras["label"].tolist() == [3, 3, 19]
    assert g.subset(torch.tensor([0, 1], dtype=torch.uint8)).extras["label"].tolist() == [0, 1]
    assert g.subset(slice(2, 5)).extras["label"].tolist() == [2, 3, 4]
    assert g.subset(torch.zeros(0, dtype=torch.int64)).num == 0
    for wrong in (torch.ones(3, dtype=torch.bool), torch.tensor([20]), torch.tensor([-21]), torch.rand(20)):
        with pytest.raises(ValueError, match="rows"):
            g.subset(wrong)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_a_moved_scene_looks_the_same_from_the_moved_eye(seed: int) -> None:
    g, s = random_gaussians(seed=seed, degree=seed % 5), random_similarity(seed)
    moved = g.transformed(s)
    eye = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 5
    torch.testing.assert_close(moved.means, s.apply(g.means))
    expected = s.scale**2 * s.rotation @ covariances(g) @ s.rotation.T
    torch.testing.assert_close(covariances(moved), expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(
        colours_towards(moved, s.apply(eye)), colours_towards(g, eye), atol=1e-9, rtol=0
    )
    assert torch.equal(moved.opacities, g.opacities)
    assert torch.equal(moved.extras["label"], g.extras["label"])


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_transform_and_inverse_give_the_scene_back(seed: int) -> None:
    g, s = random_gaussians(seed=seed, degree=4), random_similarity(seed)
    back = g.transformed(s).transformed(s.inverse())
    sign = (back.quats * g.quats).sum(-1, keepdim=True).sign()  # q and -q are one rotation
    assert_same(dataclasses.replace(back, quats=back.quats * sign), g, atol=1e-9)


def test_merge_fills_fields_that_a_scene_does_not_have() -> None:
    a, b = random_gaussians(2), random_gaussians(3)
    a.extras["frozen"] = torch.ones(2, dtype=torch.bool)
    a.extras["rgb"] = torch.full((2, 3), 7, dtype=torch.uint8)
    a.extras["pace"] = torch.tensor([0.0, 0.5])
    b.extras = {"time": torch.ones(3)}
    merged = Gaussians.merge([a, b])
    assert merged.extras["label"].tolist() == [0, 1, -1, -1, -1]
    assert merged.extras["frozen"].tolist() == [True, True, False, False, False]
    assert merged.extras["pace"].tolist() == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert merged.extras["rgb"][2:].eq(0).all()
    assert merged.extras["time"].tolist() == [0, 0, 1, 1, 1]
    assert merged.extras["feature"][2:].eq(0).all()


def test_merge_raises_to_the_largest_degree_and_refuses_what_disagrees() -> None:
    merged = Gaussians.merge([random_gaussians(2, degree=0), random_gaussians(3, degree=3)])
    assert merged.sh_degree == 3
    assert merged.shN[:2].eq(0).all()
    other = random_gaussians(3)
    other.extras["label"] = torch.zeros(3)
    with pytest.raises(ValueError, match="label"):
        Gaussians.merge([random_gaussians(2), other])
    with pytest.raises(ValueError, match="float32"):
        Gaussians.merge([random_gaussians(2), random_gaussians(2, dtype=torch.float32)])
    with pytest.raises(ValueError, match="at least one"):
        Gaussians.merge([])


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("wanted", range(5))
def test_degree_change_pads_with_zeros_and_truncates(degree: int, wanted: int) -> None:
    g = random_gaussians(degree=degree)
    changed = g.with_sh_degree(wanted)
    common = num_coefficients(min(degree, wanted)) - 1
    assert changed.sh_degree == wanted
    assert torch.equal(changed.shN[:, :common], g.shN[:, :common])
    assert changed.shN[:, common:].eq(0).all()
    assert_same(changed.with_sh_degree(degree), g if wanted >= degree else changed.with_sh_degree(degree))


def test_operations_are_differentiable() -> None:
    g = random_gaussians(3, degree=1).requires_grad_()

    def everything(*params: Tensor) -> Tensor:
        scene = Gaussians(*params, extras=g.extras)
        moved = scene.transformed(random_similarity(1))
        merged = Gaussians.merge([moved.subset(torch.tensor([2, 0])), scene]).with_sh_degree(2)
        return torch.cat([tensor.flatten() for tensor in merged.params.values()])

    assert torch.autograd.gradcheck(everything, tuple(g.params.values()))


def test_activated_gives_what_the_rasterizer_takes() -> None:
    g = random_gaussians()
    a = g.activated()
    assert set(a) == {"means", "quats", "scales", "opacities", "colors"}
    torch.testing.assert_close(a["scales"].log(), g.scales)
    torch.testing.assert_close(a["opacities"].logit(), g.opacities)
    assert a["colors"][0] is g.sh0
    assert a["colors"][1] is g.shN


def test_state_round_trips_and_is_checked() -> None:
    g = random_gaussians()
    assert_same(Gaussians.from_state_dict(g.state_dict()), g)
    state = g.state_dict()
    del state["quats"]
    with pytest.raises(ValueError, match="quats"):
        Gaussians.from_state_dict(state)
    with pytest.raises(ValueError, match="velocity"):
        Gaussians.from_state_dict({**g.state_dict(), "velocity": torch.zeros(20)})


def test_to_changes_parameters_but_not_the_dtype_of_extras() -> None:
    g = random_gaussians().to("cpu", torch.float32)
    assert g.means.dtype == torch.float32
    assert g.extras["feature"].dtype == torch.float64


def test_params_are_the_tensors_themselves_and_detached_shares_memory() -> None:
    g = random_gaussians().requires_grad_()
    assert all(g.params[name] is getattr(g, name) for name in PARAMETERS)
    detached = g.detached()
    assert not any(tensor.requires_grad for tensor in detached.params.values())
    assert detached.means.data_ptr() == g.means.data_ptr()
    assert not g.requires_grad_(False).means.requires_grad


def replaced(**fields: object) -> Gaussians:
    return dataclasses.replace(random_gaussians(4, degree=1), **fields)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("means", torch.zeros(4, 4), r"means: expected shape \[N, 3\]"),
        ("means", [[0, 0, 0]], "means: expected a tensor"),
        ("quats", torch.zeros(4, 3), r"quats: expected shape \[4, 4\]"),
        ("scales", torch.zeros(3, 3), r"scales: expected shape \[4, 3\]"),
        ("opacities", torch.zeros(4, 1), r"opacities: expected shape \[4\]"),
        ("sh0", torch.zeros(4, 3), r"sh0: expected shape \[4, 1, 3\]"),
        ("shN", torch.zeros(4, 9), r"shN: expected shape \[4, K-1, 3\]"),
        ("shN", torch.zeros(4, 4, 3), "5 SH coefficients"),
        ("scales", torch.zeros(4, 3), "scales: expected floating point like means"),
        ("means", torch.zeros(4, 3, dtype=torch.int32), "means: expected floating point like means"),
        ("quats", torch.zeros(4, 4, dtype=torch.float64, device="meta"), "quats: is on meta"),
        ("extras", {"label": torch.zeros(3)}, r"extras\['label'\]: expected shape \[4"),
        ("extras", {"means": torch.zeros(4)}, "name without spaces"),
        ("extras", {"a b": torch.zeros(4)}, "name without spaces"),
        ("extras", {"label": torch.zeros(4, dtype=torch.complex64)}, "real tensor"),
    ],
)
def test_wrong_fields_are_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replaced(**{field: value})
