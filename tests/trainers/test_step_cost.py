"""What a training step costs beside the kernels: Python's calls and PyTorch's operators, which are counted.

Time would tell little on a busy machine. What is constant during a run is found out before the first step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from paths import ROOT
from torch.utils._python_dispatch import TorchDispatchMode

from gsplat_core.scene.scale import SceneScale
from trainers.benchmark.scene import training_scene
from trainers.benchmark.step import resting_config
from trainers.trainer import Trainer

PACKAGES = (f"{ROOT}/gsplat_core/", f"{ROOT}/trainers/")

# A step of the default density control, which watches. Python 3.10 and 3.11 count most: later ones inline
# comprehensions.
MOST_CALLS = 259
"""Of functions of this project."""
MOST_OPERATORS = 139
"""That reach PyTorch's dispatcher, this project's among them; three are about the depths of surfels, an empty
result of compositing where there are none."""


@pytest.fixture
def step() -> Callable[[], Any]:
    """A step like all others."""
    gaussians, target = training_scene(100, 64, 48, 1.5, 0)
    trainer = Trainer(resting_config(), gaussians, SceneScale.of_extent(1.0))
    for _ in range(2):
        trainer.advance(target)
    return lambda: trainer.advance(target)


class Operators(TorchDispatchMode):
    """Counts the operators that are dispatched within it."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.count += 1
        return function(*arguments, **(options or {}))


def calls_of(function: Callable[[], Any]) -> int:
    """How often functions of this project are called, generators resumed."""
    count = 0

    def watch(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(PACKAGES)

    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        function()
    finally:
        sys.setprofile(previous)
    return count


def test_python_is_called_no_more_often_than_it_has_to_be(step: Callable[[], Any]) -> None:
    counts = [calls_of(step) for _ in range(3)]
    assert len(set(counts)) == 1
    assert counts[0] <= MOST_CALLS


def test_no_more_operators_are_dispatched_than_have_to_be(step: Callable[[], Any]) -> None:
    with Operators() as operators:
        step()
    assert operators.count <= MOST_OPERATORS


def test_a_call_more_is_counted(step: Callable[[], Any]) -> None:
    counted = calls_of(step)
    assert calls_of(lambda: (step(), SceneScale.of_extent(1.0))) > counted
