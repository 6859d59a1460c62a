"""Adam against torch.optim.Adam, and its visible-only variant against a loop over rows."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gsplat_core.optim import Adam

pytestmark = pytest.mark.usefixtures("backend")

# The tensors of a scene with spherical harmonics of degree 3, and their learning rates.
SHAPES = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (15, 3)}
RATES = {"means": 1.6e-4, "quats": 1e-3, "scales": 5e-3, "opacities": 5e-2, "sh0": 2.5e-3, "shN": 1.25e-4}


def scene(num: int = 57) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(num, *shape, generator=generator).requires_grad_() for name, shape in SHAPES.items()
    }


def groups(params: dict[str, Tensor]) -> list[dict[str, Any]]:
    return [{"params": [param], "lr": RATES[name], "name": name} for name, param in params.items()]


def magnitudes(param: Tensor) -> Tensor:
    """A size of gradient for every row, from 1e-10 to 1."""
    return 10.0 ** torch.linspace(-10, 0, len(param)).reshape(-1, *[1] * (param.dim() - 1))


def set_gradients(params: dict[str, Tensor], step: int) -> None:
    """Gradients that differ by step, row and tensor, over ten orders of magnitude."""
    generator = torch.Generator().manual_seed(step)
    for param in params.values():
        param.grad = magnitudes(param) * torch.randn(param.shape, generator=generator)


def assert_same(params: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, param in params.items():
        torch.testing.assert_close(
            param, expected[name], rtol=1e-6, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("options", [{"eps": 1e-15}, {"eps": 1e-8, "betas": (0.8, 0.99)}])
def test_fifty_steps_equal_torch(options: dict[str, Any]) -> None:
    ours, theirs = scene(), scene()
    optimizer, expected = Adam(groups(ours), **options), torch.optim.Adam(groups(theirs), **options)
    for step in range(50):
        for params in (ours, theirs):
            set_gradients(params, step)
        optimizer.step()
        expected.step()
    assert_same(ours, theirs)
    for name, param in ours.items():
        state, other = optimizer.state[param], expected.state[theirs[name]]
        assert set(state) == set(other) == {"step", "exp_avg", "exp_avg_sq"}
        assert state["step"] == other["step"] == 50
        size = magnitudes(param)
        assert ((state["exp_avg"] - other["exp_avg"]).abs() <= 1e-6 * size).all()
        assert ((state["exp_avg_sq"] - other["exp_avg_sq"]).abs() <= 1e-6 * size**2).all()


@pytest.mark.parametrize("bias_correction", [True, False])
def test_visible_variant_equals_a_loop_over_rows(bias_correction: bool) -> None:
    params = scene(23)
    rows = {name: param.detach().double() for name, param in scene(23).items()}
    first = {name: torch.zeros_like(values) for name, values in rows.items()}
    second = {name: torch.zeros_like(values) for name, values in rows.items()}
    optimizer = Adam(groups(params), bias_correction=bias_correction)
    beta1, beta2 = 0.9, 0.999
    for step in range(1, 21):
        set_gradients(params, step)
        visible = torch.rand(23, generator=torch.Generator().manual_seed(step)) < 0.6
        optimizer.step(visible=visible)
        correction1 = 1 - beta1**step if bias_correction else 1.0
        correction2 = 1 - beta2**step if bias_correction else 1.0
        for name, param in params.items():
            assert param.grad is not None
            for n in range(23):
                if not visible[n]:
                    continue
                grad = param.grad[n].double()
                first[name][n] = beta1 * first[name][n] + (1 - beta1) * grad
                second[name][n] = beta2 * second[name][n] + (1 - beta2) * grad**2
                denominator = (second[name][n] / correction2).sqrt() + 1e-15
                rows[name][n] -= RATES[name] * first[name][n] / correction1 / denominator
    for name, param in params.items():
        torch.testing.assert_close(param.detach().double(), rows[name], rtol=1e-6, atol=1e-6)


def test_a_pace_multiplies_the_step_which_a_factor_on_the_gradient_does_not() -> None:
    plain, paced, scaled = scene(), scene(), scene()
    pace = torch.linspace(0, 2, 57)
    pace[28] = 1.0
    factor = torch.where(pace > 0, pace, 1.0)
    ours, others, thirds = (Adam(groups(params), eps=1e-30) for params in (plain, paced, scaled))
    for step in range(3):
        start = {name: param.detach().clone() for name, param in paced.items()}
        for params in (plain, paced, scaled):
            set_gradients(params, step)
        with torch.no_grad():
            for name, param in plain.items():
                param.copy_(start[name])
            for param in scaled.values():
                assert param.grad is not None
                param.grad *= factor.reshape(-1, *[1] * (param.dim() - 1))
        ours.step()
        others.step(pace=pace)
        thirds.step()
        for name, param in paced.items():
            rows = pace.reshape(-1, *[1] * (param.dim() - 1))
            torch.testing.assert_close(
                param.detach() - start[name], rows * (plain[name].detach() - start[name]), rtol=0, atol=1e-6
            )
            assert torch.equal(param[0], start[name][0])
            assert torch.equal(param[28], plain[name][28])
            assert torch.equal(others.state[param]["exp_avg"], ours.state[plain[name]]["exp_avg"])
    unpaced = scene()
    optimizer = Adam(groups(unpaced), eps=1e-30)
    for step in range(3):
        set_gradients(unpaced, step)
        optimizer.step()
    assert_same({name: param.detach() for name, param in scaled.items()}, unpaced)


def test_a_pace_is_a_number_for_each_row() -> None:
    params = scene()
    set_gradients(params, 0)
    with pytest.raises(RuntimeError, match=r"pace must be torch.float32 \[57\].*got torch.float32 \[56\]"):
        Adam(groups(params)).step(pace=torch.ones(56))
    whole = torch.zeros(3, requires_grad=True)
    whole.grad = torch.ones(3)
    Adam([{"params": [whole], "whole": True}], lr=0.5).step(pace=torch.zeros(57))
    assert whole.tolist() == pytest.approx([-0.5] * 3)


def test_tiny_gradients_move_parameters() -> None:
    param = torch.zeros(4, requires_grad=True)
    optimizer = Adam([param], lr=0.1)
    param.grad = torch.full((4,), 1e-11)
    optimizer.step()
    torch.testing.assert_close(param.detach(), torch.full((4,), -0.1), rtol=1e-3, atol=0.0)


def test_parameters_without_gradient_are_left_alone() -> None:
    params = scene()
    before = {name: param.detach().clone() for name, param in params.items()}
    set_gradients(params, 0)
    params["quats"].grad = None
    optimizer = Adam(groups(params))
    optimizer.step()
    assert torch.equal(params["quats"], before["quats"])
    assert params["quats"] not in optimizer.state
    assert not torch.equal(params["means"], before["means"])


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file)  # type: ignore[no-any-return]


def test_a_saved_state_continues_exactly() -> None:
    params, copy = scene(), scene()
    optimizer, restored = Adam(groups(params)), Adam(groups(copy))
    for step in range(5):
        set_gradients(params, step)
        optimizer.step()
    with torch.no_grad():
        for name, param in copy.items():
            param.copy_(params[name])
    restored.load_state_dict(through_a_file(optimizer.state_dict()))
    for step in range(5, 10):
        set_gradients(params, step)
        set_gradients(copy, step)
        optimizer.step()
        restored.step()
    assert all(torch.equal(params[name], copy[name]) for name in params)


def test_state_of_torch_adam_loads() -> None:
    ours, theirs = scene(), scene()
    expected = torch.optim.Adam(groups(theirs), eps=1e-15)
    set_gradients(theirs, 0)
    expected.step()
    with torch.no_grad():
        for name, param in ours.items():
            param.copy_(theirs[name])
    optimizer = Adam(groups(ours))
    optimizer.load_state_dict(through_a_file(expected.state_dict()))
    for params in (ours, theirs):
        set_gradients(params, 1)
    optimizer.step()
    expected.step()
    assert_same(ours, theirs)


def test_a_state_of_torch_adam_with_unknown_options_is_refused() -> None:
    param = torch.zeros(3, requires_grad=True)
    saved = torch.optim.Adam([param], weight_decay=0.1).state_dict()
    with pytest.raises(ValueError, match=r"weight_decay=0\.1"):
        Adam([param]).load_state_dict(saved)


def test_parameters_and_state_may_be_exchanged_between_steps() -> None:
    params = scene(10)
    optimizer = Adam(groups(params))
    set_gradients(params, 0)
    optimizer.step()
    for group in optimizer.param_groups:
        (old,) = group["params"]
        state = optimizer.state.pop(old)
        new = torch.cat([old.detach(), old.detach()[:3]]).requires_grad_()
        for key in ("exp_avg", "exp_avg_sq"):
            state[key] = torch.cat([state[key], torch.zeros_like(state[key][:3])])
        group["params"] = [new]
        optimizer.state[new] = state
        params[group["name"]] = new
    set_gradients(params, 1)
    optimizer.step()
    assert all(len(optimizer.state[param]["exp_avg"]) == 13 for param in params.values())
    assert all(optimizer.state[param]["step"] == 2 for param in params.values())


def test_a_graph_that_needs_the_old_value_complains() -> None:
    param = torch.ones(3, requires_grad=True)
    loss = (param**2).sum()
    param.grad = torch.ones(3)
    Adam([param]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_closure_and_scheduler_work_as_with_any_optimizer() -> None:
    param = torch.tensor([2.0, -3.0], requires_grad=True)
    optimizer = Adam([param], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    losses = []
    for _ in range(150):
        losses.append(optimizer.step(closure).item())
        scheduler.step()
    assert losses[0] == pytest.approx(13.0)
    assert losses[-1] < 1e-2
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.99**150)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must not be negative"),
        ({"betas": (0.9, 1.0)}, "betas must lie in"),
        ({"eps": -1e-8}, "eps must not be negative"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adam([torch.zeros(1, requires_grad=True)], **options)


def test_a_mask_of_other_length_is_refused_with_both_shapes() -> None:
    params = scene(10)
    set_gradients(params, 0)
    with pytest.raises(RuntimeError, match=r"'visible' must have shape \[10\], got \[9\]"):
        Adam(groups(params)).step(visible=torch.ones(9, dtype=torch.bool))


def test_not_a_number_in_a_gradient_stays_in_its_row() -> None:
    params = scene(10)
    set_gradients(params, 0)
    assert params["means"].grad is not None
    params["means"].grad[4, 1] = math.nan
    Adam(groups(params)).step()
    assert torch.isnan(params["means"]).nonzero().tolist() == [[4, 1]]


def test_rates_are_those_of_torch_where_none_are_given() -> None:
    """But for eps: gradients of scenes are far smaller than 1e-8."""
    ours, theirs = (kind([torch.zeros(3, requires_grad=True)]) for kind in (Adam, torch.optim.Adam))
    for name in ("lr", "betas"):
        assert ours.defaults[name] == theirs.defaults[name]
    assert ours.defaults["eps"] == 1e-15
    assert ours.defaults["bias_correction"]


def test_each_row_by_itself_is_a_parameter_of_its_own() -> None:
    """What has a row for each photograph: those that a step does not see neither move nor count it."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, 6, generator=generator)
    rows = [start[row].clone().requires_grad_() for row in range(5)]
    together = start.clone().requires_grad_()
    ours = Adam([{"params": [together], "lr": 1e-2, "by_row": True}])
    expected = torch.optim.Adam([{"params": [row]} for row in rows], lr=1e-2, eps=1e-15)
    for step in range(40):
        seen = {step % 3, step % 2}  # row 3 never
        gradient = torch.randn(5, 6, generator=generator)
        together.grad = torch.zeros(5, 6)
        for number, row in enumerate(rows):
            row.grad = gradient[number] if number in seen else None
            together.grad[number] = gradient[number] if number in seen else 0.0
        ours.step(visible=torch.ones(9, dtype=torch.bool))
        expected.step()
    torch.testing.assert_close(together, torch.stack(rows), rtol=1e-5, atol=1e-6)
    assert torch.equal(together[3], start[3])
    assert ours.state[together]["step"].tolist() == [27.0, 26.0, 13.0, 0.0, 0.0]
