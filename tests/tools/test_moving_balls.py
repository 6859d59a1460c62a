"""The room of tools/make_sequence.py: what moves keeps its colours, and the rest stays."""

from __future__ import annotations

from pathlib import Path

import make_sequence
import numpy as np
from moving_balls import scene

from gsplat_core.scene.dataset import Dataset
from trainers.sequence.frames import Frames


def test_a_place_of_a_ball_keeps_its_colour_wherever_it_goes() -> None:
    random = np.random.default_rng(0)
    for number in scene.MOVING:
        before, now = scene.balls(0.2)[number], scene.balls(0.7)[number]
        own = random.normal(size=(20, 3))
        own *= before.radius / np.linalg.norm(own, axis=1, keepdims=True)
        then, later = own @ before.turn + before.centre, own @ now.turn + now.centre
        which = np.full(20, number)
        assert np.abs(then - later).max() > 0.1
        np.testing.assert_allclose(
            scene.colours(then, which, 0.2), scene.colours(later, which, 0.7), atol=1e-12
        )
        assert scene.moves(later, 0.7, 0.01).all()
    assert all(
        np.array_equal(a.centre, b.centre)
        for a, b in zip(scene.balls(0)[:5], scene.balls(1)[:5], strict=True)
    )


def test_rays_meet_what_they_should() -> None:
    view = make_sequence.cameras_before(3)[0]
    rays = scene.MIDDLE + np.random.default_rng(1).normal(size=(200, 3)) - view.centre
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    places, which = scene.met(view.centre, rays, 0.5)
    np.testing.assert_allclose(np.linalg.norm(np.cross(places - view.centre, rays), axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(places[which == scene.FLOOR][:, 2], 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(places[which == scene.WALL][:, :2], axis=1), scene.ROOM)
    for number, ball in enumerate(scene.balls(0.5)):
        there = places[which == number]
        np.testing.assert_allclose(np.linalg.norm(there - ball.centre, axis=1), ball.radius)
    assert len(set(which.tolist())) >= 5


def test_the_folder_is_a_sequence_in_which_little_changes(tmp_path: Path) -> None:
    make_sequence.make_room(tmp_path, frames=2, cameras=3, size=16)
    found = Frames.find(tmp_path)
    images = [
        np.stack([view.image().numpy() for view in Dataset.load(tmp_path, images=images, test_every=0).train])
        for images in found.folders.values()
    ]
    changed = (images[0].astype(int) != images[1].astype(int)).any(axis=-1).mean()
    assert 0.05 < changed < 0.7
