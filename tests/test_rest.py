"""Which moments are known to be zero, whoever exchanges or changes them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Prune
from gsplat_core.densify.store import ParameterStore
from gsplat_core.optim import Adam
from gsplat_core.rest import Rest


@pytest.fixture
def param() -> Tensor:
    return torch.rand(20, 15, 3, requires_grad=True)


@pytest.fixture
def adam(param: Tensor) -> Adam:
    return Adam([param])


def rests(adam: Adam, param: Tensor, moved: int | None) -> bool:
    """Whether the next step of this parameter leaves the moments of all others alone; it writes the moved."""
    update = adam.next_update(param, moved)
    update.exp_avg.data[:, :moved] += 1  # as operators do, unnoticed by autograd
    return update.others_at_rest


def test_entries_rest_until_they_are_moved(adam: Adam, param: Tensor) -> None:
    assert rests(adam, param, 0)
    assert rests(adam, param, 3)
    assert rests(adam, param, 8)
    assert not rests(adam, param, 3)
    assert not rests(adam, param, 0)


def test_all_entries_may_move(adam: Adam, param: Tensor) -> None:
    assert not rests(adam, param, 15)
    assert not rests(adam, param, None)
    assert not rests(adam, param, 0)


def test_moments_are_looked_at_once() -> None:
    moments = (torch.zeros(20, 15, 3), torch.zeros(20, 15, 3))
    rest, param = Rest(), torch.rand(20, 15, 3)
    assert rest.lasts(param, moments, 0)
    moments[0].data[5, 5] = 1  # which nobody may do without telling
    assert rest.lasts(param, moments, 0)


def test_whoever_changes_moments_is_noticed(adam: Adam, param: Tensor) -> None:
    assert rests(adam, param, 3)
    adam.state[param]["exp_avg_sq"][4, 10] = 1e-9
    assert not rests(adam, param, 3)
    adam.state[param]["exp_avg_sq"][4, 10] = 0
    assert not rests(adam, param, 1)
    adam.state[param]["exp_avg"].zero_()
    assert rests(adam, param, 0)


def test_a_step_with_stored_gradients_is_noticed(adam: Adam, param: Tensor) -> None:
    assert rests(adam, param, 3)
    param.grad = torch.ones_like(param)
    adam.step()
    assert not rests(adam, param, 3)


def test_a_saved_state_brings_its_own_moments(adam: Adam, param: Tensor) -> None:
    other = Adam([param.detach().clone().requires_grad_()])
    assert rests(adam, param, 3)
    trained = other.param_groups[0]["params"][0]
    other.load_state_dict(adam.state_dict())
    assert rests(other, trained, 3)
    trained.grad = torch.ones_like(trained)
    other.step()
    adam.load_state_dict(other.state_dict())
    assert not rests(adam, param, 3)


def test_density_control_leaves_entries_at_rest(adam: Adam, param: Tensor) -> None:
    store = ParameterStore({"shN": param}, adam)
    assert rests(adam, param, 3)
    store.apply([Prune(torch.tensor([2, 5])), Clone(torch.tensor([7]))])
    assert rests(adam, param, 3)
    adam.state[param]["exp_avg"][-1, -1] = 1
    store.apply([Prune(torch.tensor([0]))])
    assert not rests(adam, param, 3)
