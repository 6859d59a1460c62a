"""EAGLES: attributes decoded from whole numbers by layers that all rows share."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from compress.scenes import covariances
from models.test_generalized import image_of, plain_scene

from gsplat_core import primitive
from gsplat_core.errors import UsageError
from gsplat_core.io import load, save
from gsplat_core.models.eagles import DECODERS, NAME, cosines, decoded
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.similarity import Similarity


def scene(num: int = 40, seed: int = 0) -> Gaussians:
    """With latents that are not whole numbers, and decoders of no special form."""
    made = plain_scene(num).with_sh_degree(3).with_primitive(NAME)
    generator = torch.Generator().manual_seed(seed)
    for values in (*made.further.values(), *made.shared.values()):
        values += 0.7 * torch.randn(values.shape, generator=generator)
    return made.with_fields(made.fields | decoded(made.fields))


def test_the_basis_is_that_of_a_cosine_transform() -> None:
    basis = cosines(5, 7)
    for i in range(5):
        for j in range(7):
            expected = math.cos(math.pi / 7 * (i + 0.5) * j) / math.sqrt(7) * (math.sqrt(2) if j else 1)
            assert float(basis[i, j]) == pytest.approx(expected, abs=1e-12)
    square = cosines(7, 7)
    torch.testing.assert_close(square @ square.T, torch.eye(7, dtype=torch.float64))


def test_what_is_drawn_is_decoded_from_the_nearest_whole_numbers() -> None:
    made = scene()
    drawn, fields = primitive.evaluate(made), made.fields
    assert isinstance(drawn.colors, tuple)
    z = fields["rest_latents"].round()
    rest = z @ cosines(16, 45).float() * fields["rest_scale"] + fields["rest_shift"]
    torch.testing.assert_close(drawn.colors[1].flatten(1), rest)
    assert drawn.quats is not None
    quats = fields["rotation_latents"].round() @ fields["rotation_scale"] + fields["rotation_shift"]
    torch.testing.assert_close(drawn.quats, quats)
    logits = fields["opacity_latents"].round() * fields["opacity_scale"] + fields["opacity_shift"]
    torch.testing.assert_close(drawn.opacities, logits[:, 0].sigmoid())


def test_gradients_are_those_of_the_layers_as_if_nothing_were_rounded() -> None:
    made = scene().to(dtype=torch.float64)
    for decoder in DECODERS:
        fields = {name: tensor.clone() for name, tensor in made.fields.items()}
        names = (decoder.source, decoder.scale, decoder.shift)
        inputs = [fields[name].requires_grad_() for name in names]
        values = decoder.decoded(fields).reshape(made.num, -1)
        upstream = torch.randn(values.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        by_latents, by_scale, by_shift = torch.autograd.grad((values * upstream).sum(), inputs)
        whole = {**fields, decoder.source: fields[decoder.source].detach().round().requires_grad_()}
        exact = [whole[name] for name in names]
        plain = (exact[0] @ decoder.matrix(whole) + exact[2]) * upstream
        for ours, theirs in zip(
            (by_latents, by_scale, by_shift), torch.autograd.grad(plain.sum(), exact), strict=True
        ):
            torch.testing.assert_close(ours, theirs)


def test_plain_gaussians_become_such_and_look_nearly_as_before() -> None:
    plain = plain_scene(60).with_sh_degree(0)
    made = plain.with_primitive(NAME)
    baked = made.baked()
    assert (made.primitive, baked.primitive) == (NAME, PLAIN)
    torch.testing.assert_close(covariances(baked), covariances(plain), rtol=0.3, atol=0.02)
    torch.testing.assert_close(baked.opacities, plain.opacities, rtol=0, atol=0.21)
    assert torch.equal(baked.means, plain.means)
    torch.testing.assert_close(image_of(made), image_of(plain), rtol=0, atol=0.1)


def test_rows_that_are_alike_begin_with_latents_that_are_zero() -> None:
    """What costs nothing to code: rotations, opacities and colours of a new scene."""
    plain = plain_scene(30).with_sh_degree(3)
    plain.quats[:] = torch.tensor([1.0, 0, 0, 0])
    plain.opacities[:], plain.shN[:] = -2.2, 0.0
    made = plain.with_primitive(NAME)
    assert all(not bool(latents.round().any()) for latents in made.further.values())
    torch.testing.assert_close(image_of(made), image_of(plain))


def test_the_plain_gaussians_look_the_same_and_are_what_the_decoded_fields_say(tmp_path: Path) -> None:
    made = scene()
    baked = made.baked()
    torch.testing.assert_close(image_of(baked), image_of(made))
    for name in ("quats", "opacities", "shN"):
        assert torch.equal(baked.params[name], made.params[name])
    save(tmp_path / "a.ply", made)
    assert torch.equal(image_of(load(tmp_path / "a.ply")), image_of(made))
    save(tmp_path / "a.spz", made)
    assert load(tmp_path / "a.spz").primitive == PLAIN


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_another_degree_cuts_coefficients_off_or_adds_zeros(degree: int) -> None:
    made = scene()
    baked = made.with_sh_degree(degree).baked()
    torch.testing.assert_close(baked.shN, made.baked().with_sh_degree(degree).shN)


def test_it_can_be_moved_but_not_turned() -> None:
    made = scene()
    moved = Similarity(translation=torch.ones(3, dtype=torch.float64), scale=2.0)
    torch.testing.assert_close(made.transformed(moved).baked().params, made.baked().transformed(moved).params)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    with pytest.raises(UsageError, match="cannot be turned: all rows share"):
        made.transformed(Similarity(quarter))


def test_scenes_with_decoders_of_their_own_are_not_made_one() -> None:
    made = scene()
    twice = Gaussians.merge([made, made])
    assert (twice.num, twice.primitive) == (80, NAME)
    for other, problem in ((plain_scene(3), "cannot become such"), (scene(seed=1), "is not the same")):
        with pytest.raises(ValueError, match=problem):
            Gaussians.merge([made, other.with_sh_degree(3)])
