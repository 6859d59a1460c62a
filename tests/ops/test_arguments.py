"""gsplat_core/ops: arguments are found by the names in the operators' schemas."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.errors import StaleLibraryError
from gsplat_core.ops import arguments, project  # noqa: F401  (loads the operators)
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.variants import PAYLOADS


def test_values_are_picked_by_name() -> None:
    names = arguments.argument_names("project")
    values = tuple(f"the value of {name}" for name in names)
    for wanted in ([], ["viewmats"], ["settings", "means", "width"]):
        assert arguments.pick("project", wanted)(values) == tuple(f"the value of {name}" for name in wanted)


def test_unknown_names_are_told_with_those_that_there_are() -> None:
    with pytest.raises(StaleLibraryError, match=r"\(knn has no argument 'settings'; it has points, k"):
        arguments.pick("knn", ["settings"])
    with pytest.raises(TypeError, match="no argument 'color'"):
        arguments.fake_kernel("composite")(lambda means2d, color: None)


def test_an_older_library_is_told_with_what_to_do() -> None:
    with pytest.raises(StaleLibraryError, match=r"there is no operator knm.*make build"):
        arguments.overload("knm")


def test_derivatives_take_over_the_arguments_they_share_first() -> None:
    with pytest.raises(TypeError, match="must begin with the arguments"):
        Derivative("gauss_newton_blocks", of="spherical_harmonics")


class Context:
    """What autograd lends to setup_context and backward."""

    def save_for_backward(self, *tensors: torch.Tensor) -> None:
        self.saved_tensors = tensors


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("project_backward", "project"),
        ("spherical_harmonics_backward", "spherical_harmonics"),
        ("composite_backward", "composite"),
    ],
)
def test_what_is_saved_comes_back_in_the_order_of_the_derivative(name: str, of: str) -> None:
    derivative = Derivative(name, of)
    inputs = tuple(f"the value of {argument}" for argument in arguments.argument_names(of))
    ctx, output = Context(), torch.zeros(1)
    derivative.save(ctx, inputs, output)
    shared, outputs = derivative.saved(ctx)
    assert shared == derivative.shared(inputs)
    expected = [value for value in arguments.argument_names(name) if f"the value of {value}" in inputs]
    assert shared == tuple(f"the value of {argument}" for argument in expected)
    assert outputs == (output,)


def test_gradients_stand_where_their_arguments_do() -> None:
    names = arguments.argument_names("composite")
    derivative = Derivative("composite_backward", of="composite")
    ctx = Context()
    ctx.needs_input_grad = [name != "colors" for name in names]
    results = [result.name for result in arguments.overload("composite_backward")._schema.returns]
    gradients = dict(zip(names, derivative.gradients(ctx, results, backgrounds="v_backgrounds"), strict=True))
    wanted = {
        "means2d",
        "shapes",
        "opacities2d",
        "backgrounds",
        "extras",
        "canonical",
        "rays",
        *(f"{name}_carrier" for name in PAYLOADS),
    }
    assert {name: value for name, value in gradients.items() if value is not None} == {
        name: f"v_{name}" for name in wanted
    }
    assert derivative.needs(ctx, "colors", "shapes")
    assert not derivative.needs(ctx, "colors")


def test_tangents_go_by_the_names_of_their_arguments() -> None:
    names = arguments.argument_names("project")
    tangents = Derivative("project_jvp", of="project").tangents(tuple(f"of {name}" for name in names))
    assert tangents["t_means"] == "of means"
    assert tangents == {name: f"of {name.removeprefix('t_')}" for name in tangents}
    assert set(tangents) <= set(arguments.argument_names("project_jvp"))
