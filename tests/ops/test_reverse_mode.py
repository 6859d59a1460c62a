"""The quick way to call an operator does what the operator does, in eager mode and traced."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import activations

OP = torch.ops.gsplat_core


def gradients(function: Any) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(*shape, generator=generator, requires_grad=True) for shape in ((7, 3), (7,))]
    outputs = function(*inputs)
    return list(torch.autograd.grad(sum(x.square().sum() for x in outputs), inputs))


def test_values_and_gradients_are_the_same_to_the_bit() -> None:
    for ours, theirs in zip(gradients(activations.activate), gradients(OP.activate), strict=True):
        assert torch.equal(ours, theirs)


def test_what_needs_no_gradient_gets_no_graph() -> None:
    scales, _ = activations.activate(torch.zeros(2, 3), torch.zeros(2))
    assert not scales.requires_grad
    with torch.no_grad():
        scales, _ = activations.activate(torch.zeros(2, 3, requires_grad=True), torch.zeros(2))
    assert not scales.requires_grad


def test_a_traced_call_is_one_of_the_operator() -> None:
    seen: list[str] = []

    def backend(graph: torch.fx.GraphModule, example: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch.compiler.reset()
    compiled = torch.compile(lambda x, y: activations.activate(x, y)[0], backend=backend, fullgraph=True)
    compiled(torch.zeros(2, 3, requires_grad=True), torch.zeros(2))
    torch.compiler.reset()
    assert any("gsplat_core.activate" in name for name in seen)
