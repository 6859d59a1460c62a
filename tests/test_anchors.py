"""Anchors against the formula row by row, and the schedule of their strengths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.anchors import AnchorConfig, Anchors
from gsplat_core.densify import Clone, ParameterStore, Prune, Split

NUM = 8
SHAPES = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (3, 3)}
WEIGHTS = {"means": 50, "quats": 50, "scales": 50, "opacities": 50, "sh0": 5, "shN": 5}
TRAINED = torch.tensor([True, True, False, True, True, False, True, True])


def parameters(seed: int = 0) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(NUM, *shape, generator=random).requires_grad_() for name, shape in SHAPES.items()
    }


def moved(params: dict[str, Tensor], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in params.values():
            value += torch.randn(value.shape, generator=random)


def test_the_loss_is_the_published_sum() -> None:
    params = parameters()
    anchors = Anchors(AnchorConfig(factor=0.25), params, TRAINED)
    start = {name: value.detach().double() for name, value in parameters().items()}
    assert anchors.loss(params) == 0
    moved(params, 1)
    expected = torch.zeros((), dtype=torch.float64)
    for row in TRAINED.nonzero().squeeze(1).tolist():
        for name, weight in WEIGHTS.items():
            expected += weight * (params[name][row].double() - start[name][row]).square().sum()
    torch.testing.assert_close(anchors.loss(params).double(), 0.25 * expected / 6, rtol=1e-6, atol=0)
    anchors.loss(params).backward()
    grad = params["sh0"].grad
    assert grad is not None
    assert not grad[~TRAINED].any()
    torch.testing.assert_close(
        grad[TRAINED], 0.25 / 6 * 2 * 5 * (params["sh0"] - start["sh0"].float())[TRAINED].detach()
    )


def test_displacements_are_measured_against_the_scene() -> None:
    """Centimetres or metres: the same loss."""
    losses = []
    for unit in (1.0, 100.0):
        params = {"means": (unit * parameters()["means"].detach()).requires_grad_()}
        params |= {name: value for name, value in parameters().items() if name != "means"}
        anchors = Anchors(AnchorConfig(), params, TRAINED, length=2.0 * unit)
        with torch.no_grad():
            params["means"] += unit * 0.1
        losses.append(anchors.loss(params).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_generations_and_their_strengths_follow_densifications() -> None:
    params = parameters()
    store = ParameterStore(params)
    trained = torch.ones(NUM, dtype=torch.bool)
    anchors = Anchors(AnchorConfig(factor=1.0), params, trained)

    def rows(*numbers: int) -> Tensor:
        return torch.tensor(numbers)

    def children(count: int) -> dict[str, Tensor]:
        return {"means": torch.zeros(count, 2, 3)}

    history = [(list(anchors.strengths), anchors.generations.tolist())]
    for edits in (
        [Clone(rows(0, 3))],
        [Split(rows(1), children(1)), Prune(rows(8))],
        [],
        [Clone(rows(8))],
    ):
        plan = store.apply(edits)
        anchors.densified(plan, store.params, torch.ones(store.num, dtype=torch.bool))
        assert anchors.loss(store.params) == 0
        history.append((list(anchors.strengths), anchors.generations.tolist()))
    assert history == [
        ([1.0], [0] * 8),
        ([2.0, 0.0], [0] * 8 + [1, 1]),
        ([4.0, 0.1, 0.0], [0] * 7 + [1, 2, 2]),
        ([8.0, 0.2, 0.1, 0.0], [0] * 7 + [1, 2, 2]),
        ([10.0, 0.4, 0.2, 0.1, 0.0], [0] * 7 + [1, 2, 2, 4]),
    ]
    # The newborn are free, the others the tighter the older.
    pulls = []
    for row in (0, 7, 8, 10):
        before = store.params["opacities"][row].item()
        with torch.no_grad():
            store.params["opacities"][row] += 1
        pulls.append(anchors.loss(store.params).item() * store.num)
        with torch.no_grad():
            store.params["opacities"][row] = before
    assert pulls == pytest.approx([500, 20, 10, 0], rel=1e-4)


def test_what_is_not_trained_has_no_anchor() -> None:
    params = parameters()
    params["means"].requires_grad_(False)
    anchors = Anchors(AnchorConfig(), params, TRAINED)
    params["means"] += 1
    assert anchors.loss(params) == 0


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"growth = 0\.5"):
        AnchorConfig(growth=0.5)
