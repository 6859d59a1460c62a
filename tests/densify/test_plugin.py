"""Plug-ins pass everything on to the strategy behind them, and their states stand beside its."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.densify import ADC, ADCConfig, RenderStats, SceneView
from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.plan import compile_edits
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.strategy import Initialization, ScaleRule, Strategy, Wants


class Behind(Strategy):
    """Answers everything in its own way and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, object]] = []
        self.numbers = {"count": 0.0}
        self.rows = {"seen": torch.zeros(0)}

    initialization = Initialization()

    def initialize(self, num: int, device: torch.device | str) -> None:
        self.rows = {"seen": torch.arange(float(num))}

    def wants(self, step: int) -> Wants:
        return Wants(absgrad=step == 3)

    def regularization(self, splats: object, view: SceneView) -> Tensor:
        return torch.tensor(7.0)

    def on_backward(self, step: int, stats: RenderStats) -> None:
        self.asked.append(("on_backward", step))

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        self.asked.append(("on_step", step))
        return [Prune(torch.tensor([step]))]

    @property
    def scale(self) -> ScaleRule:
        return "published"

    @property
    def most(self) -> int:
        return 11

    @property
    def ends(self) -> int:
        return 13

    def grows_at(self, step: int) -> bool:
        return step == 5

    def need(self, view: SceneView) -> Tensor:
        return torch.tensor([2.0])

    def divides(self, view: SceneView) -> Tensor:
        return torch.tensor([True])


class Counting(Plugin):
    """A plug-in with a state of its own."""

    def __init__(self, base: Strategy) -> None:
        super().__init__(base, seed=4)
        self.numbers = {"count": 2.5}
        self.rows = {"seen": torch.tensor([1.0, 2.0, 3.0])}


def test_everything_is_passed_on() -> None:
    behind = Behind()
    plugin = Plugin(behind)
    plugin.initialize(3, "cpu")
    view = SceneView({"means": torch.zeros(3, 3)}, 1.0)
    assert behind.rows["seen"].tolist() == [0, 1, 2]
    assert plugin.initialization is behind.initialization
    assert plugin.wants(3) == Wants(absgrad=True)
    assert plugin.wants(4) == Wants()
    assert plugin.regularization({}, view) == 7
    assert (plugin.scale, plugin.most, plugin.ends) == ("published", 11, 13)
    assert plugin.grows_at(5)
    assert not plugin.grows_at(6)
    assert plugin.need(view).tolist() == [2]  # type: ignore[union-attr]
    assert plugin.divides(view).tolist() == [True]  # type: ignore[union-attr]
    plugin.on_backward(8, None)  # type: ignore[arg-type]
    (edit,) = plugin.on_step(1, view)
    assert edit.rows.tolist() == [1]
    assert behind.asked == [("on_backward", 8), ("on_step", 1)]


def test_states_of_both_are_kept_although_they_have_the_same_names() -> None:
    plugin, other = Counting(Behind()), Counting(Behind())
    plugin.initialize(3, "cpu")
    plugin.base.numbers["count"] = 9.0
    plugin.random.manual_seed(17)
    other.load_state_dict(plugin.state_dict())
    assert other.numbers == {"count": 2.5}
    assert other.base.numbers == {"count": 9.0}
    assert other.rows["seen"].tolist() == [1, 2, 3]
    assert other.base.rows["seen"].tolist() == [0, 1, 2]
    assert torch.equal(other.random.get_state(), plugin.random.get_state())


def test_rows_of_both_follow_edits() -> None:
    plugin = Counting(Behind())
    plugin.initialize(3, "cpu")
    plugin.follow(compile_edits([Prune(torch.tensor([1]))], 3))
    assert plugin.rows["seen"].tolist() == [1, 3]
    assert plugin.base.rows["seen"].tolist() == [0, 2]


def test_a_state_whose_rows_do_not_fit_together_is_refused() -> None:
    strategy = ADC(ADCConfig())
    strategy.initialize(3, "cpu")
    state = strategy.state_dict()
    rows = [name for name in strategy.rows]
    assert len(rows) > 1
    for wrong in (torch.tensor(1.0), torch.zeros(4)):
        with pytest.raises(ValueError, match="one length"):
            strategy.load_state_dict({**state, rows[-1]: wrong})
        with pytest.raises(ValueError, match="one length"):
            strategy.load_state_dict({**state, rows[0]: wrong})
    with pytest.raises(ValueError, match="one length"):
        strategy.load_state_dict({**state, **{name: torch.tensor(1.0) for name in rows}})
    for wrong_keys in ({**state, "other": torch.zeros(3)}, {k: v for k, v in state.items() if k != rows[0]}):
        with pytest.raises(ValueError, match="expected"):
            strategy.load_state_dict(wrong_keys)
    strategy.check_rows(3)
    with pytest.raises(ValueError, match="3 Gaussians but there are 4"):
        strategy.check_rows(4)


def test_a_state_is_a_copy() -> None:
    strategy = ADC(ADCConfig())
    strategy.initialize(3, "cpu")
    state = strategy.state_dict()
    other = ADC(ADCConfig())
    other.initialize(3, "cpu")
    other.load_state_dict(state)
    for name in strategy.rows:
        strategy.rows[name] += 1
        assert not torch.equal(strategy.rows[name], state[name].to(strategy.rows[name].dtype))
        other.rows[name] += 2
        assert not torch.equal(other.rows[name], state[name].to(other.rows[name].dtype))


def test_wants_are_put_together() -> None:
    assert Wants(absgrad=True) | Wants(weights=True) == Wants(absgrad=True, weights=True)
    assert Wants(absgrad=True) | Wants() == Wants() | Wants(absgrad=True) == Wants(absgrad=True)
    assert Wants() | Wants() == Wants()
