"""What is promised of every primitive's fields: they stay with their rows, and scenes move as a whole."""

from __future__ import annotations

import dataclasses
import pickle

import example_primitive
import pytest
import torch
from test_gaussians import random_gaussians, random_similarity
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import (
    ACTIVATIONS,
    FROZEN,
    GAUSSIAN,
    PARAMETERS,
    SIMILARITIES,
    Field,
    Schema,
    Shared,
    between,
)
from gsplat_core.scene.similarity import Similarity

primitives = pytest.mark.parametrize("name", primitive.names())
FITTED = [name for name in primitive.names() if primitive.get(name).fitted]
"""Whose rows share decoders that are found for them, so that they are neither turned nor joined."""
of_rows = pytest.mark.parametrize("name", [name for name in primitive.names() if name not in FITTED])
# Those whose rows can be plain Gaussians.
gaussians = pytest.mark.parametrize(
    "name", [n for n in primitive.names() if not primitive.get(n).schema.unused and n not in FITTED]
)


def scene_of(name: str, num: int = 20, degree: int = 2, seed: int = 0) -> Gaussians:
    """Random rows, those of further fields too."""
    plain = random_gaussians(num, degree, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    scene = plain.with_primitive(name)
    trained = [*scene.further.values(), *(t for t in scene.shared.values() if t.is_floating_point())]
    for values in (*trained, *(scene.extras[f.name] for f in scene.schema.carried)):
        values.copy_(0.3 * torch.randn(values.shape, generator=generator, dtype=torch.float64))
    return scene


CENTRE = torch.tensor([0.5, -1.0, 6.0], dtype=torch.float64)


def shown_to(scene: Gaussians, centre: Tensor = CENTRE) -> primitive.Evaluated:
    """What a camera at this place sees, of primitives that are other Gaussians for each."""
    viewmats = torch.eye(4, dtype=torch.float64)[None].clone()
    viewmats[0, :3, 3] = -centre
    return primitive.evaluate(scene, {"viewmats": viewmats})


def everything(scene: Gaussians) -> dict[str, Tensor]:
    return scene.state_dict()


def assert_same(a: Gaussians, b: Gaussians, atol: float = 0.0) -> None:
    assert (a.primitive, a.metadata) == (b.primitive, b.metadata)
    assert everything(a).keys() == everything(b).keys()
    for name, tensor in everything(a).items():
        torch.testing.assert_close(tensor, everything(b)[name], atol=atol, rtol=0)


@gaussians
def test_blank_rows_are_plain_gaussians(name: str) -> None:
    plain = random_gaussians()
    blank = plain.with_primitive(name)
    shown, expected = shown_to(blank), primitive.evaluate(plain)
    for ours, theirs in zip(shown[:4], expected[:4], strict=True):
        torch.testing.assert_close(ours, theirs)
    assert_same(blank.with_primitive("gaussian"), plain)


@primitives
def test_every_operation_keeps_rows_together(name: str) -> None:
    scene = scene_of(name)
    order = torch.randperm(scene.num, generator=torch.Generator().manual_seed(3))
    mixed = scene.subset(order)
    for field in scene.schema:
        assert torch.equal(mixed.fields[field.name], scene.fields[field.name][order])
    halves = [mixed.subset(slice(7)), mixed.subset(slice(7, None))]
    assert_same(Gaussians.merge(halves).subset(order.argsort()), scene)
    assert_same(scene.detached(), scene)
    assert_same(scene.with_metadata(antialiased=True).with_metadata(antialiased=False), scene)
    assert_same(scene.with_sh_degree(4).with_sh_degree(scene.sh_degree), scene)
    assert all(p.dtype == torch.float32 for p in scene.to(dtype=torch.float32).params.values())
    assert_same(scene.to(dtype=torch.float32), scene, atol=1e-6) if name == "none" else None
    trained = [known.name for known in scene.schema.optimized]
    assert all(scene.requires_grad_().fields[known].requires_grad for known in trained)


@primitives
def test_state_and_pickle_bring_it_back(name: str) -> None:
    scene = scene_of(name)
    assert_same(Gaussians.from_state_dict(scene.state_dict()), scene)
    assert_same(pickle.loads(pickle.dumps(scene)), scene)
    for field in scene.schema.further:
        state = scene.state_dict()
        del state[field.name]
        with pytest.raises(ValueError, match=rf"primitive '{name}': missing \['{field.name}'\]"):
            Gaussians.from_state_dict(state)


@of_rows
def test_a_moved_scene_is_what_was_shown_moved(name: str) -> None:
    scene, similarity = scene_of(name), random_similarity(4)
    moved = scene.transformed(similarity)
    shown, expected = shown_to(moved, similarity.apply(CENTRE[None])[0]), shown_to(scene)
    torch.testing.assert_close(shown.means, similarity.apply(expected.means))
    torch.testing.assert_close(shown.scales, similarity.scale * expected.scales)
    torch.testing.assert_close(shown.opacities, expected.opacities)
    back = moved.transformed(similarity.inverse())
    for field in scene.schema.further:
        torch.testing.assert_close(back.params[field.name], scene.params[field.name])


@gaussians
def test_plain_gaussians_join_with_blank_fields(name: str) -> None:
    scene, plain = scene_of(name, 3), random_gaussians(2)
    merged = Gaussians.merge([plain, scene])
    assert merged.primitive == name
    assert_same(merged.subset(slice(2, None)), scene)
    for field in scene.schema.further:
        assert torch.equal(merged.params[field.name][:2], field.blanks(2, plain.means))


def test_what_rows_share_must_be_the_same_to_be_one_scene() -> None:
    scene = scene_of("firefly", 5)
    windier = dataclasses.replace(scene, shared=scene.shared | {"wind": scene.shared["wind"] + 1})
    with pytest.raises(ValueError, match=r"'firefly' share, 'wind', is not the same.*Gaussians.baked"):
        Gaussians.merge([scene, windier])
    assert torch.equal(scene.with_fields(scene.params).shared["wind"], scene.shared["wind"])
    assert_same(scene.with_fields({**scene.params, "wind": windier.shared["wind"]}), windier)


def test_a_scene_shares_exactly_what_its_primitive_says() -> None:
    plain, scene = random_gaussians(4), scene_of("firefly", 4)
    with pytest.raises(ValueError, match="'firefly' share 'wind', 'seasons', got 'wind'"):
        dataclasses.replace(scene, shared={"wind": scene.shared["wind"]})
    with pytest.raises(ValueError, match="'gaussian' share nothing, got 'wind'"):
        dataclasses.replace(plain, shared={"wind": torch.zeros(3)})
    for wrong, message in [
        ({"wind": torch.zeros(2, dtype=torch.float64)}, r"shared\['wind'\]: expected shape \[3\], got \[2\]"),
        ({"wind": torch.zeros(3)}, "'wind'.: expected torch.float64"),
        ({"seasons": torch.zeros(2)}, "'seasons'.: expected torch.int64"),
        (
            {"seasons": torch.zeros(2, 2, dtype=torch.int64)},
            r"expected shape \[M\], got \[2, 2\]",
        ),
        ({"seasons": None}, "'seasons'.: expected a tensor, got NoneType"),
    ]:
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(scene, shared=scene.shared | wrong)
    seasons = dataclasses.replace(scene, shared=scene.shared | {"seasons": torch.arange(4)})
    assert seasons.to(dtype=torch.float32).shared["seasons"].dtype == torch.int64
    assert_same(Gaussians.from_state_dict(seasons.state_dict()), seasons)


def test_other_primitives_do_not_merge() -> None:
    @primitive.register("other", GAUSSIAN)
    def other(params, context):
        return primitive.gaussian(params, context)

    try:
        scenes = [scene_of("firefly"), random_gaussians().with_primitive("other")]
        with pytest.raises(ValueError, match=r"'firefly' and 'other' cannot be drawn as one.*with_primitive"):
            Gaussians.merge(scenes)
    finally:
        del primitive._registry["other"]


def test_a_scene_has_exactly_the_fields_of_its_primitive() -> None:
    plain, scene = random_gaussians(4), scene_of("firefly", 4)
    with pytest.raises(
        ValueError, match="'firefly' has the parameters 'velocities', 'glow' beyond the six, got none"
    ):
        dataclasses.replace(plain, primitive="firefly")
    with pytest.raises(ValueError, match=r"'gaussian' has .* of the plain Gaussian only .* got 'glow'"):
        dataclasses.replace(plain, further={"glow": torch.zeros(4)})
    with pytest.raises(ValueError, match=r"glow: expected shape \[4\], got \[3\]"):
        dataclasses.replace(scene, further=scene.further | {"glow": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"glow: expected floating point like means"):
        dataclasses.replace(scene, further=scene.further | {"glow": torch.zeros(4)})
    with pytest.raises(ValueError, match=r"the primitive 'firefly' reads 'birth', which is not there"):
        dataclasses.replace(scene, extras={})
    with pytest.raises(ValueError, match=r"extras\['birth'\]: expected shape \[4\]"):
        dataclasses.replace(scene, extras={"birth": torch.zeros(4, 2)})
    with pytest.raises(ValueError, match=r"extras\['glow'\]: expected a name .* not a parameter's"):
        dataclasses.replace(scene, extras=scene.extras | {"glow": torch.zeros(4)})
    assert "firefly" in repr(scene)
    assert set(scene.without_extras().extras) == {"birth"}


def test_frozen_rows_are_told_by_a_mask() -> None:
    scene = random_gaussians(4)
    with pytest.raises(ValueError, match=r"'frozen'.*expected bool \[4\], got torch.float32"):
        dataclasses.replace(scene, extras={FROZEN: torch.zeros(4)})
    frozen = dataclasses.replace(scene, extras={FROZEN: torch.ones(4, dtype=torch.bool)})
    merged = Gaussians.merge([frozen, scene])
    assert merged.extras[FROZEN].tolist() == [True] * 4 + [False] * 4


def test_a_field_that_is_not_trained_is_a_parameter_all_the_same() -> None:
    fixed = GAUSSIAN.changed("quats", learning_rate=None)
    assert [f.name for f in fixed.parameters] == list(PARAMETERS)
    assert [f.name for f in fixed.trained] == [name for name in PARAMETERS if name != "quats"]
    assert [f.name for f in example_primitive.SCHEMA.further] == ["velocities", "glow"]
    assert [f.name for f in example_primitive.SCHEMA.carried] == ["birth"]
    assert [f.name for f in example_primitive.SCHEMA if f.measures_lengths] == ["means", "velocities"]


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_moving_there_and_back_and_one_after_the_other(kind: str) -> None:
    shape = {"rotation": (4,), "harmonics": (8, 3)}.get(kind, (3,))
    field = Field("x", shape, similarity=kind)
    rows = torch.randn(5, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = random_similarity(1), random_similarity(2)
    torch.testing.assert_close(field.moved(field.moved(rows, first), first.inverse()), rows)
    both = field.moved(rows, second @ first)
    one_by_one = field.moved(field.moved(rows, first), second)
    if kind == "rotation":  # q and -q are one rotation
        one_by_one = one_by_one * (one_by_one * both).sum(dim=1, keepdim=True).sign()
    torch.testing.assert_close(both, one_by_one)
    assert torch.equal(field.moved(rows, Similarity()), rows) or kind in ("rotation", "harmonics")


def test_vectors_are_differences_of_points() -> None:
    similarity, (a, b) = random_similarity(3), torch.randn(2, 5, 3, dtype=torch.float64)
    vector, point = Field("v", (3,), similarity="vector"), Field("p", (3,), similarity="point")
    torch.testing.assert_close(
        vector.moved(a - b, similarity), point.moved(a, similarity) - point.moved(b, similarity)
    )
    lengths = (a - b).norm(dim=1)
    length, log = Field("l", similarity="length"), Field("l", similarity="log length")
    torch.testing.assert_close(length.moved(lengths, similarity), vector.moved(a - b, similarity).norm(dim=1))
    torch.testing.assert_close(log.moved(lengths.log(), similarity).exp(), length.moved(lengths, similarity))


@pytest.mark.parametrize("activation", [*ACTIVATIONS, between(0.5, 8.0)])
def test_activations_and_their_inverses(activation) -> None:
    field = Field("x", activation=activation)
    raw = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(field.raw(field.value(raw)), raw)
    assert torch.autograd.gradcheck(field.value, raw)


def test_values_between_bounds() -> None:
    field = Field("beta", activation=between(0.5, 8.0))
    values = field.value(torch.tensor([-60.0, 0.0, 60.0]))
    assert values.tolist() == pytest.approx([0.5, 2.0, 8.0])
    assert values[1] == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Field("a b"), "name of letters"),
        (lambda: Field("a", activation="tan"), "'tan' is none of 'none', 'exp', 'sigmoid'"),
        (lambda: Field("a", similarity="skew"), "'skew' is none of 'invariant'"),
        (lambda: Field("a", learning_rate=-1.0), "must be 0 or positive"),
        (lambda: Field("a", role="carried", learning_rate=1.0), "has no learning rate"),
        (lambda: Field("a", learning_rate=1.0, decay=0.0), r"decay 0.0 must be in \(0, 1\]"),
        (lambda: Shared("a b"), "name of letters"),
        (lambda: Shared("a", (3, -1)), "the first size may be -1"),
        (lambda: Shared("a", (3,), learning_rate=1.0, integer=True), "has integers"),
        (lambda: GAUSSIAN.sharing(Shared("means")), "named twice"),
        (lambda: GAUSSIAN.plus(Field("means")), "named twice"),
        (lambda: GAUSSIAN.plus(Field(FROZEN)), "must not be named 'frozen'"),
        (lambda: Schema(GAUSSIAN.fields[:-1]), "shN is missing; a field that shall not be trained"),
        (lambda: GAUSSIAN.plus(Field("more", (-1, 3))), "only shN has a shape that is open"),
        (lambda: GAUSSIAN["means"].blanks(3, torch.zeros(1)), "no value of the field 'means'"),
    ],
)
def test_wrong_fields_and_schemas_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
