"""gsplat_core/gradient_check.py: every derivative of every kernel against its renderings alone; and that a
wrong one is found, and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from backends import on_gpu
from backends import parameters as marked
from cuda_on_cpu.operators import emulated
from gradient_cases import DOUBLE, FLOAT, WHOLE, Case, cases, of_operators, of_reference, parameters
from splats import one_thread
from torch import Tensor

from gsplat_core.gradient_check import (
    Checked,
    Estimate,
    along_directions,
    check,
    frozen,
    step_sizes,
    suspects,
)
from gsplat_core.ops.derivative import Derivative
from gsplat_core.render.variants import CAMERAS, RESPONSES
from gsplat_core.stochastic_gradients import Pixels

CASES = list(cases())
# Of these, each camera, each response, each way to draw.
FEW = [
    case
    for case in CASES
    if (case.drawn == "everything" and (case.camera == "pinhole" or case.response == "gaussian"))
    or (case.camera == "opencv" and case.response == "gaussian")
]
# Nobody writes the derivatives of the reference, but it lets none through in places, on purpose or not.
OF_REFERENCE = [Case(camera, "gaussian", "colours") for camera in CAMERAS]
OF_REFERENCE += [Case("pinhole", response, "everything") for response in RESPONSES]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def assert_right(checked: Checked) -> None:
    named = "; ".join(map(str, checked.suspects[:5]))
    worst = float(checked.directions.errors.max())
    assert checked.passed, f"wrong by {worst:.1e}; of fields alone {checked.fields}; {named}"
    # Nothing was checked by leaving it out.
    assert checked.directions.kept > 0.75


@pytest.mark.parametrize("case", CASES, ids=str)
def test_derivatives_of_the_cpus_kernels(case: Case) -> None:
    directions = 20 if case in FEW else 2
    assert_right(check(of_operators(case), parameters(case), whole=WHOLE, directions=directions, **FLOAT))


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.drawn == "everything" or case in FEW], ids=str
)
@pytest.mark.parametrize("kernels", marked(["cuda-on-cpu", "cuda"]))
def test_derivatives_of_the_cuda_kernels(kernels: str, case: Case) -> None:
    """Other tests look at each access to memory."""
    with on_gpu() if kernels == "cuda" else emulated(check=False):
        assert_right(check(of_operators(case), parameters(case), whole=WHOLE, directions=2, **FLOAT))


@pytest.mark.parametrize("case", OF_REFERENCE, ids=str)
def test_derivatives_of_the_reference(case: Case) -> None:
    given = parameters(case, torch.float64)
    assert_right(check(of_reference(case), given, whole=WHOLE, directions=20, **DOUBLE))


def test_cases_have_every_variant() -> None:
    assert {case.camera for case in FEW} == set(CAMERAS)
    assert {case.response for case in FEW} == set(RESPONSES)
    assert {(case.camera, case.response) for case in CASES} == {(c, r) for c in CAMERAS for r in RESPONSES}


def plant(monkeypatch: pytest.MonkeyPatch, operator: str, result: str) -> None:
    """The operator's derivative has the wrong sign in one of its results."""
    right = Derivative.__call__

    def wrong(self: Derivative, shared: tuple[Any, ...], **own: Any) -> Any:
        results = list(right(self, shared, **own))
        schema = self._operator._schema
        if schema.name == f"gsplat_core::{operator}":
            place = [one.name for one in schema.returns].index(result)
            results[place] = -results[place]
        return tuple(results)

    monkeypatch.setattr(Derivative, "__call__", wrong)


@pytest.mark.parametrize(
    ("operator", "result", "field"),
    [
        ("composite_backward", "v_opacities2d", "opacities"),
        ("project_backward", "v_scales", "scales"),
        ("project_backward", "v_lens", "lens"),
    ],
)
def test_a_wrong_sign_is_named(
    monkeypatch: pytest.MonkeyPatch, operator: str, result: str, field: str
) -> None:
    """Within 256 draws, with everything else right: nothing else is accused."""
    plant(monkeypatch, operator, result)
    case = Case("opencv", "generalized", "colours")
    checked = check(of_operators(case), parameters(case), whole=WHOLE, draws=256, **FLOAT)
    assert not checked.passed
    assert checked.suspects
    assert {suspect.field for suspect in checked.suspects} == {field}
    worst = checked.suspects[0]
    assert worst.derivative == pytest.approx(-worst.estimate, rel=0.5)
    assert str(worst).startswith(f"{field}[{worst.place[0]}")


def test_a_wrong_sign_in_one_of_two_terms_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours that depend on the direction hardly depend on the place, but directions see it."""
    plant(monkeypatch, "spherical_harmonics_backward", "v_means")
    case = Case("pinhole", "gaussian", "colours")
    checked = check(of_operators(case), parameters(case), whole=WHOLE, draws=16, **FLOAT)
    assert not checked.passed
    assert max(checked.fields, key=checked.fields.__getitem__) == "means"


class _OfOne(torch.autograd.Function):
    """What leaves one row as it is, and turns its gradient round."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, row: int) -> Tensor:
        ctx.row = row
        return rows.clone()

    @staticmethod
    def backward(ctx: Any, v_rows: Tensor) -> Any:  # type: ignore[override]
        wrong = v_rows.clone()
        wrong[ctx.row] = -wrong[ctx.row]
        return wrong, None


def test_the_one_wrong_gaussian_is_named() -> None:
    case = Case("pinhole", "gaussian", "colours")
    right = of_operators(case)

    def wrong(tensors: Mapping[str, Tensor]) -> Pixels:
        return right({**tensors, "means": _OfOne.apply(tensors["means"], 7)})

    checked = check(wrong, parameters(case), whole=WHOLE, draws=256, **FLOAT)
    assert {(suspect.field, suspect.place[0]) for suspect in checked.suspects} == {("means", 7)}


def jumping(slope: float) -> Callable[[Mapping[str, Tensor]], Pixels]:
    """Two pixels that list x; the second one's loss jumps where x is 1, with another list behind the jump."""

    def render(tensors: Mapping[str, Tensor]) -> Pixels:
        x = tensors["x"]
        beyond = x.detach() > 1
        lists = torch.stack([torch.zeros(1, dtype=torch.long), torch.where(beyond, 0, -1)])
        return Pixels(torch.cat([slope * x.square(), x + 100.0 * beyond]), lists)

    return render


def test_jumps_do_not_count() -> None:
    x = {"x": torch.ones(1).double()}
    found = along_directions(jumping(3.0), x, {"x": 1e-4})
    assert found.pixels.tolist() == [True, False]
    assert found.errors.max() < 1e-6


def test_a_renderer_without_lists_is_checked_with_all_pixels() -> None:
    def render(tensors: Mapping[str, Tensor]) -> Pixels:
        return Pixels(tensors["x"].sin())

    found = along_directions(render, {"x": torch.linspace(0, 1, 5).double()}, {"x": 1e-5})
    assert found.kept == 1
    assert found.errors.max() < 1e-8


def test_frozen_pixels_have_the_same_gaussians_in_the_same_order() -> None:
    before = torch.tensor([[0, 1, -1], [0, 1, -1], [2, -1, -1]])
    assert frozen([before, torch.tensor([[0, 1], [1, 0], [2, -1]])], 3).tolist() == [True, False, True]
    assert frozen([], 3).tolist() == [True, True, True]


def test_quiet_fields_move_as_far_as_it_takes_to_be_heard() -> None:
    def render(tensors: Mapping[str, Tensor]) -> Pixels:
        return Pixels(100 * tensors["loud"] + tensors["quiet"] + 0 * tensors["unused"])

    fields = {name: torch.ones(4) for name in ("loud", "quiet", "unused")}
    steps = step_sizes(render, fields, 1e-3)
    assert steps["quiet"] == pytest.approx(100 * steps["loud"])
    assert steps["quiet"] * steps["loud"] == pytest.approx(1e-6)
    assert steps["unused"] == pytest.approx(1e-3)


def test_an_exact_estimate_is_as_precise_as_renderings_are() -> None:
    exact = Estimate({"x": torch.tensor([1.0, 1.0])}, {"x": torch.zeros(2)}, 8)
    named = suspects({"x": torch.tensor([1.01, -1.0])}, exact, precision=1e-2)
    assert [suspect.place for suspect in named] == [(1,)]
