from __future__ import annotations

import dataclasses
from contextlib import closing

import pytest
import torch

from gsplat_core.errors import DataError
from gsplat_core.losses import l1_dssim
from gsplat_core.scene.view_order import ViewOrder
from trainers.sources import load_photographs
from trainers.views import Feed, Target


@pytest.mark.parametrize("count", [1, 2, 7, 43])
def test_every_view_comes_once_before_any_comes_again(count):
    order = ViewOrder(count, seed=3)
    for epoch in range(5):
        steps = range(epoch * count + 1, (epoch + 1) * count + 1)
        assert sorted(order(step) for step in steps) == list(range(count))


def test_epochs_and_seeds_are_shuffled_differently():
    def epoch(seed, number):
        order = ViewOrder(20, seed)
        return tuple(order(number * 20 + i) for i in range(1, 21))

    orders = {epoch(seed, number) for seed in range(4) for number in range(4)}
    assert len(orders) == 16


def test_the_order_depends_on_nothing_but_seed_and_step():
    forward = ViewOrder(9, seed=1)
    expected = {step: forward(step) for step in range(1, 60)}
    jumping = ViewOrder(9, seed=1)
    assert all(jumping(step) == expected[step] for step in (58, 3, 30, 4, 59, 1))


def target(height: int = 12, width: int = 16, **more: torch.Tensor) -> Target:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (height, width, 3), dtype=torch.uint8, generator=generator)
    return Target(image, torch.eye(4)[None], torch.eye(3)[None], width, height, 0, **more)


def test_transparent_photographs_are_composited_on_what_is_rendered_behind_the_scene():
    alpha = torch.zeros(12, 16, dtype=torch.uint8)
    alpha[:, 4:8], alpha[:, 8:] = 102, 255
    photograph = target(alpha=alpha)
    photograph.image[:, :4] = 0  # as it is on black
    background = torch.tensor([[0.25, 0.5, 1.0]])
    seen = photograph.on(background).image
    assert torch.equal(seen[:, :4], background.expand(12, 4, 3))
    torch.testing.assert_close(seen[:, 4:8], photograph.image[:, 4:8] / 255 + 0.6 * background)
    assert torch.equal(seen[:, 8:], photograph.image[:, 8:] / 255)
    assert photograph.on(None) is photograph
    opaque = target()
    assert opaque.on(background) is opaque


def test_renderings_are_black_where_the_photograph_is():
    mask = torch.zeros(12, 16, dtype=torch.bool)
    mask[:, :5] = True
    photograph = target(mask=mask)
    photograph.image[~mask] = 0
    rendering = torch.rand(1, 12, 16, 3, requires_grad=True)
    compared = photograph.compared(rendering)
    assert bool((compared[0, :, 5:] == 0).all())
    assert torch.equal(compared[0, :, :5], rendering[0, :, :5])
    l1_dssim(compared, photograph.image[None]).backward()
    assert bool((rendering.grad[0, :, 5:] == 0).all())
    assert bool((rendering.grad[0, :, :5] != 0).any(dim=-1).all())
    assert target().compared(rendering) is rendering


def test_what_was_too_bright_for_a_photograph_may_be_as_bright_as_it_likes():
    photograph = target()
    photograph.image[:] = 255
    photograph.image[:6, :, 0] = 200
    for known in (photograph, dataclasses.replace(photograph, image=photograph.image / 255)):
        image = torch.full((1, 12, 16, 3), 1.5, requires_grad=True)
        (known.overexposed(image) - 1).sum().backward()
        free = torch.ones(12, 16, 3, dtype=torch.bool)
        free[:6, :, 0] = False
        assert not image.grad[0][free].any()
        assert (image.grad[0][~free] == 1).all()
        darker = torch.full((1, 12, 16, 3), 0.5)
        assert torch.equal(known.overexposed(darker), darker)


def test_transparency_shrinks_with_its_photograph():
    half = torch.zeros(12, 16, dtype=torch.uint8)
    half[:, :8] = 255
    small = target(alpha=half).shrunk(2)
    assert small.alpha.shape == (6, 8)
    assert (small.alpha[:, :3].min(), small.alpha[:, 5:].max()) == (255, 0)


@pytest.mark.parametrize(("factor", "height", "width"), [(2, 12, 16), (3, 13, 20), (5, 4, 21)])
def test_smaller_photographs_show_the_same_field_of_view(factor: int, height: int, width: int):
    """What the camera sees at a corner of the photograph is at that corner of the smaller one."""
    K = torch.tensor([[[30.0, 0.0, 7.0], [0.0, 40.0, 5.5], [0.0, 0.0, 1.0]]])
    large = dataclasses.replace(target(height, width), K=K)
    small = large.shrunk(factor)
    assert (small.height, small.width) == (max(height // factor, 1), max(width // factor, 1))
    assert small.image.shape == (small.height, small.width, 3)
    corners = torch.tensor([[0, 0, 1.0], [width, 0, 1.0], [0, height, 1.0], [width, height, 1.0]])
    directions = corners @ torch.linalg.inv(large.K[0]).T
    scale = torch.tensor([small.width / width, small.height / height, 1.0])
    torch.testing.assert_close(directions @ small.K[0].T, corners * scale)
    assert torch.equal(large.K, K)
    assert large.shrunk(1) is large


@pytest.mark.parametrize("factor", [2, 3])
def test_what_is_masked_out_has_no_part_in_smaller_photographs(factor: int):
    mask = torch.rand(24, 36, generator=torch.Generator().manual_seed(1)) > 0.4
    grey = target(24, 36, mask=mask, alpha=torch.where(mask, 100, 255).to(torch.uint8))
    grey.image[:] = mask[..., None] * 90
    small = grey.shrunk(factor)
    assert bool(small.mask.any())
    assert not bool(small.mask.all())
    assert (small.image[small.mask].int() - 90).abs().max() <= 1
    assert (small.alpha[small.mask].int() - 100).abs().max() <= 1
    assert bool((small.image[~small.mask] == 0).all())


@pytest.fixture
def views(config):
    return load_photographs(config).train


def test_each_step_gets_the_target_of_its_view(views):
    cpu = torch.device("cpu")
    order = ViewOrder(len(views), seed=5)
    with closing(Feed(views, seed=5, device=cpu)) as feed:
        for step in [*range(1, 3 * len(views)), 4, 2]:
            target, expected = feed(step), Target.of(views[order(step)], cpu, order(step))
            for field in dataclasses.fields(Target):
                ours, wanted = getattr(target, field.name), getattr(expected, field.name)
                if ours is wanted is None:
                    continue
                if isinstance(wanted, str):
                    assert ours == wanted, field.name
                    continue
                assert torch.equal(torch.as_tensor(ours), torch.as_tensor(wanted))


def test_on_the_cpu_each_view_is_prepared_once_and_shares_its_memory(views, monkeypatch):
    prepared = []
    original = Target.of.__func__

    def recorded(cls, view, device, number):
        prepared.append(view.name)
        return original(cls, view, device, number)

    monkeypatch.setattr(Target, "of", classmethod(recorded))
    with closing(Feed(views, seed=0, device=torch.device("cpu"))) as feed:
        targets = [feed(step) for step in range(1, 4 * len(views) + 1)]
    assert sorted(prepared) == sorted(view.name for view in views)
    assert {t.image.data_ptr() for t in targets} == {view.image().data_ptr() for view in views}


def test_a_view_that_cannot_be_read_fails_at_its_step(views, monkeypatch):
    order = ViewOrder(len(views), seed=0)
    broken = views[order(3)]

    def unreadable():
        raise DataError("photo.jpg", "is damaged")

    monkeypatch.setattr(broken, "image", unreadable)
    with closing(Feed(views, seed=0, device=torch.device("cpu"))) as feed:
        feed(1)
        feed(2)
        with pytest.raises(DataError, match=r"photo\.jpg"):
            feed(3)
