"""A training loop on a small scene, with a hook after each step, and the comparison of its states."""

from __future__ import annotations

import os
import signal
from io import StringIO

import pytest
import torch
from rich.console import Console

from trainers.dilation import Dilation
from trainers.loop import Interrupted, Loop
from trainers.parts.registry import create
from trainers.progress import TrainingProgress
from trainers.run_folder import RunFolder
from trainers.session import rendered_views
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer


class Run:
    """A loop on the tiny scene, with a hook after each step."""

    def __init__(self, config, folder, after_step=lambda trainer: None, measure=dict):
        self.config = config
        self.folder = RunFolder(folder)
        self.after_step = after_step
        self.measure = measure
        self.output = StringIO()
        self.notes = []

    def loop(self):
        dataset = load_photographs(self.config)
        self.trainer = Trainer(
            self.config,
            initial_gaussians(self.config, dataset),
            dataset.scale,
            rendered_views(self.config, dataset),
            create(self.config, dataset.train),
        )
        self.trainer.parts.prepare(dataset, self.notes.append)
        self.trainer.advance = self._followed(self.trainer.advance)
        self.trainer.refine = self._followed(self.trainer.refine)
        progress = TrainingProgress(self.config.steps, Console(file=self.output, width=200))
        seen = Dilation(self.config)
        return Loop(self.trainer, dataset.train, self.folder, progress, self.measure, seen=seen)

    def _followed(self, step):
        def step_and_call(targets):
            result = step(targets)
            return self.after_step(self.trainer) or result

        return step_and_call

    def fit(self):
        loop = self.loop()
        loop.resume()
        return loop.fit()

    def state(self):
        return self.trainer.state_dict()


def interrupt_at(step):
    def after_step(trainer):
        if trainer.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return after_step


def interrupted_at(step, config, folder):
    """A run that was interrupted after a step, and continued to its end by another process."""
    with pytest.raises(Interrupted):
        Run(config, folder, interrupt_at(step)).fit()
    resumed = Run(config, folder)
    resumed.fit()
    return resumed


def tensors(tree, name=""):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from tensors(value, f"{name}/{key}")
    elif isinstance(tree, torch.Tensor):
        yield name, tree
    else:
        yield name, torch.tensor(tree)


def assert_same_bits(a, b):
    a, b = dict(tensors(a)), dict(tensors(b))
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
