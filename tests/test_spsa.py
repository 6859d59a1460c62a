"""gsplat_core/spsa.py: descent along stochastic estimates of the gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.optim import Adam
from gsplat_core.spsa import SPSA
from gsplat_core.stochastic_gradients import Pixels

TARGET = torch.linspace(-2, 2, 10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadratic(x: Tensor) -> Callable[[], Tensor]:
    return lambda: ((x - TARGET) * torch.linspace(1, 3, 10)).square().sum()


def test_finds_the_minimum_of_a_quadratic() -> None:
    x = torch.zeros(10)
    optimizer = SPSA([x], lr=0.02, probe=0.05, generator=generator())
    losses = [optimizer.step(quadratic(x)) for _ in range(400)]
    torch.testing.assert_close(x, TARGET, atol=0.02, rtol=0)
    assert losses[-1] < 1e-2 * losses[0]


def test_finds_the_minimum_of_a_loss_with_noise() -> None:
    """For which gains have to fall: constant ones remain as far away as the noise is large."""
    distances = []
    for decay in (0.602, 0.0):
        x, g = torch.zeros(10), generator(1)
        optimizer = SPSA([x], lr=0.05, probe=0.3, lr_decay=decay, delay=10.0, generator=generator())
        for _ in range(800):
            optimizer.step(lambda x=x, g=g: quadratic(x)() + 0.5 * torch.randn((), generator=g))
        distances.append(float((x - TARGET).norm()))
    assert distances[0] < 0.3
    assert distances[0] < 0.6 * distances[1]


class Column:
    """A few opaque Gaussians side by side, each at some depth, and what of them counts: their median depth at
    pixels. It jumps from one Gaussian to another, and no gradient tells of the others."""

    def __init__(self) -> None:
        g = generator(3)
        grid = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(3.0), indexing="ij"), -1)
        self.beside = (grid.reshape(-1, 2) - torch.tensor([1.5, 1.0])) * 0.55
        self.depths = 4 + torch.rand(12, 1, generator=g)
        self.target = self.render(self.depths)[0]

    def render(self, depths: Tensor) -> tuple[Tensor, Tensor]:
        means = torch.cat([self.beside * depths / 4, depths], dim=1)
        _, _, meta = rasterization(
            means,
            torch.tensor([[1.0, 0, 0, 0]]).expand(12, 4).contiguous(),
            torch.full((12, 3), 0.22),
            torch.full((12,), 0.95),
            torch.ones(12, 3),
            torch.eye(4)[None],
            torch.tensor([[[34.0, 0, 12], [0, 34, 9], [0, 0, 1]]]),
            width=24,
            height=18,
            outputs=["median_depth"],
            top=12,
        )
        return meta["median_depth"].flatten(), meta["top_ids"].reshape(-1, 12)

    def pixels(self, depths: Tensor) -> Pixels:
        found, lists = self.render(depths)
        return Pixels((found - self.target).square(), lists)


@pytest.mark.parametrize(("with_lists", "lr", "steps"), [(True, 2e-3, 150), (False, 4e-4, 400)])
def test_fits_a_scene_by_its_median_depth(with_lists: bool, lr: float, steps: int) -> None:
    """Without lists all parameters are noise to one another, and steps have to be shorter."""
    scene = Column()
    depths = torch.full((12, 1), 4.5)
    before = scene.pixels(depths).losses.sum()
    optimizer = SPSA([depths], lr=lr, probe=0.03, generator=generator())

    def closure() -> Pixels:
        pixels = scene.pixels(depths)
        return pixels if with_lists else Pixels(pixels.losses)

    for _ in range(steps):
        optimizer.step(closure)
    assert scene.pixels(depths).losses.sum() < 0.05 * before
    assert (depths - scene.depths).abs().max() < 0.1


def test_another_optimizer_goes_on_with_its_gradients() -> None:
    scene = Column()
    depths = torch.full((12, 1), 4.5)
    estimates, adam = SPSA([depths], probe=0.03, generator=generator()), Adam([depths], lr=0.02)
    for _ in range(100):
        estimates.estimate(lambda: scene.pixels(depths))
        adam.step()
    assert (depths - scene.depths).abs().max() < 0.1


def test_an_estimate_leaves_parameters_as_they_are() -> None:
    x = torch.linspace(0.1, 1, 10)
    before = x.clone()
    optimizer = SPSA([x], draws=3, generator=generator())
    optimizer.estimate(quadratic(x))
    assert torch.equal(x, before)

    def fails() -> float:
        raise RuntimeError("no such renderer")

    with pytest.raises(RuntimeError, match="no such renderer"):
        optimizer.step(fails)
    assert torch.equal(x, before)


def test_more_draws_are_a_mean_with_less_noise() -> None:
    x = torch.zeros(10)
    truth = 2 * (x - TARGET) * torch.linspace(1, 3, 10).square()

    def error(draws: int) -> float:
        optimizer = SPSA([x], draws=draws, generator=generator())
        squares = []
        for _ in range(20):
            optimizer.estimate(quadratic(x))
            assert x.grad is not None
            squares.append(float((x.grad - truth).square().sum()))
        return sum(squares) / len(squares)

    assert error(16) == pytest.approx(error(1) / 16, rel=0.4)


def test_groups_have_their_own_probes_gains_and_rows() -> None:
    """Losses of pixels concern the Gaussians they list, and whole parameters all of them."""
    rows, pose = torch.zeros(3, 2), torch.zeros(2)
    lists = torch.tensor([[0, -1], [1, 0]])

    def closure() -> Pixels:
        seen = torch.stack([rows[0].sum(), 2 * rows[1].sum()])
        return Pixels(seen + 5 * pose.sum(), lists)

    optimizer = SPSA(
        [
            {"params": [rows], "lr": 1.0, "probe": 0.5},
            {"params": [pose], "whole": True, "lr": 0.0, "probe": 0.25},
        ],
        draws=1000,
        generator=generator(),
    )
    optimizer.step(closure)
    assert rows.grad is not None
    assert pose.grad is not None
    torch.testing.assert_close(rows.grad, torch.tensor([[1.0, 1], [2, 2], [0, 0]]), atol=0.9, rtol=0)
    torch.testing.assert_close(pose.grad, torch.full((2,), 10.0), atol=0.9, rtol=0)
    assert torch.equal(rows, -rows.grad)
    assert not pose.any()


def test_a_saved_state_goes_on_to_the_bit() -> None:
    def made(x: Tensor, seed: int) -> SPSA:
        return SPSA([x], lr=0.02, probe=0.05, delay=3.0, generator=generator(seed))

    whole, parts = torch.zeros(10), torch.zeros(10)
    first = made(whole, 1)
    for _ in range(6):
        first.step(quadratic(whole))
    second = made(parts, 1)
    for _ in range(3):
        second.step(quadratic(parts))
    third = made(parts, 5)
    third.load_state_dict(second.state_dict())
    assert third.generator is not None
    assert second.generator is not None
    third.generator.set_state(second.generator.get_state())
    for _ in range(3):
        third.step(quadratic(parts))
    assert torch.equal(whole, parts)


@pytest.mark.parametrize(
    "options", [{"lr": -1.0}, {"probe": 0.0}, {"draws": 0}, {"delay": 0.0}, {"lr_decay": -0.1}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SPSA([torch.zeros(2)], **options)  # type: ignore[arg-type]


def test_a_loss_of_many_numbers_is_refused() -> None:
    x = torch.zeros(3)
    with pytest.raises(ValueError, match="one number"):
        SPSA([x]).step(lambda: x)
