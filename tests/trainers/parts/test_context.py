"""The context model of anchors in training: what is shown when, whose rows follow, and the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from strategy_runs import Run, tensors

from gsplat_core.compress.anchors import COLUMNS, STEPS, numbers_of
from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import decode, encode
from gsplat_core.errors import UsageError
from gsplat_core.models.scaffold import DROPPED, as_dropped, kept_of
from gsplat_core.render.scene import render
from trainers.parts.context import Context, ContextConfig
from trainers.parts.registry import LEARNT_CODECS, refuse_second_order, with_codec
from trainers.presets import with_primitive
from trainers.primitives import refuse_codec, refuse_primitive

STEP_OF_ALL = {"features": 0.1, "scales": 0.1, "offsets": 0.1}


@pytest.fixture
def anchored(config):
    return with_primitive(config, "scaffold")


def run(config, **settings) -> Run:
    settings = {"log2_rows": 6, "hidden": 8, "share": 0.5, **STEP_OF_ALL, **settings}
    return Run(replace(config, parts={"context": ContextConfig(**settings)}), "scaffold")


def part_of(a_run: Run) -> Context:
    part = a_run.trainer.parts.find(Context)
    assert part is not None
    return part


def test_it_grows_and_goes_on_to_the_bit(anchored) -> None:
    """Interrupted while anchors come and go and masks are trained."""
    settings = {"noise": 0.1, "start": 0.3, "mask_rate": 0.3, "masks": 1.0}
    whole, first = run(anchored, **settings), run(anchored, **settings)
    start = whole.trainer.num_gaussians
    whole.advance(40)
    assert start < whole.trainer.num_gaussians
    first.advance(22)
    second = run(anchored, **settings)
    second.trainer.load_state_dict(first.trainer.state_dict())
    second.advance(18)
    ours, theirs = dict(tensors(second.trainer.state_dict())), dict(tensors(whole.trainer.state_dict()))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_shown_is_first_as_it_is_then_noisy_and_then_what_will_be_decoded(anchored) -> None:
    a_run = run(anchored, noise=0.1, start=0.2, rounded=0.3)
    steps, part = a_run.trainer.config.steps, part_of(a_run)
    shown = {}
    usual = part.shown

    def noticed(step, params, target):
        result = usual(step, params, target)
        shown[step] = (numbers_of(params).detach().clone(), numbers_of(result).detach().clone())
        return result

    part.shown = noticed
    a_run.advance(round(0.3 * steps) + 3)
    away = {step: (after - before).abs() for step, (before, after) in shown.items()}
    assert all(not bool(gap.any()) for step, gap in away.items() if step <= round(0.1 * steps))
    noisy = away[round(0.1 * steps) + 2]
    assert 0.04 < float(noisy.max()) <= 0.0501
    assert 0.02 < float(noisy.mean()) < 0.03
    # The codec's whole numbers are those of the network as it was in the step.
    last = a_run.trainer.step
    with torch.no_grad():
        scene = a_run.trainer.gaussians.detached()
        rounded = part.shown(last + 1, scene.params, None)
    decoded = decode(Container.from_bytes(encode(part.codec, scene).to_bytes(), Path("a.gsz")))
    order = torch.cdist(decoded.means.double(), scene.means.double()).argmin(dim=1)
    kept = kept_of(decoded.extras[DROPPED]).repeat_interleave(3, dim=1)
    gap = (numbers_of(rounded)[order] - numbers_of(decoded.params)).abs()
    gap[:, -30:] *= kept
    assert float((gap < 0.02).double().mean()) > 0.98  # some are rounded the other way


def test_bits_that_cost_more_make_files_smaller_and_masks_drop_splats(anchored) -> None:
    sizes, dropped = [], []
    for rate, mask in ((0.0, 0.0), (0.3, 0.3)):
        a_run = run(anchored, rate=rate, masks=mask, noise=0.05, start=0.1, mask_rate=1.0, model_rate=0.02)
        a_run.advance(45)
        scene = a_run.trainer.gaussians.detached()
        streams = encode(part_of(a_run).codec, scene).streams
        sizes.append(sum(len(streams[name]) for name in COLUMNS) / scene.num)
        dropped.append(float((~kept_of(scene.extras[DROPPED])).double().mean()))
    assert sizes[1] < 0.8 * sizes[0]
    assert dropped[1] > max(dropped[0], 0.05)


def test_the_trained_scene_is_drawn_without_what_was_dropped(anchored) -> None:
    a_run = run(anchored)
    scene = a_run.trainer.gaussians.detached()
    none = torch.zeros(scene.num, 10, dtype=torch.bool)
    camera = a_run.views[0].camera
    some = render(scene, camera)
    scene.extras[DROPPED] = as_dropped(none)
    assert float(some.alphas.max()) > 0
    assert not bool(render(scene, camera).alphas.any())


def test_other_rows_and_settings_that_contradict_are_refused(config, anchored) -> None:
    plain = with_codec(config, "anchors")
    assert plain.compress == "anchors"
    assert LEARNT_CODECS["anchors"] in plain.parts
    with pytest.raises(UsageError, match="knows the primitive 'scaffold' only; add --model scaffold"):
        refuse_primitive(plain.primitive, plain)
    with pytest.raises(UsageError, match="trains scenes of anchors; add --model scaffold"):
        Context(ContextConfig(), plain, ())
    with pytest.raises(UsageError, match="train with --compress anchors"):
        refuse_codec("scaffold", "scalar")
    with pytest.raises(UsageError, match="leave out --compress anchors"):
        refuse_second_order(replace(with_codec(anchored, "anchors"), optimizer="lm"))
    with pytest.raises(ValueError, match="none is smaller than the one before"):
        ContextConfig(noise=0.5, start=0.4)
    assert ContextConfig().kinds.steps["offset_scales"] == STEPS["scales"]
