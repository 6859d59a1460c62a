"""What should finish a run? Adam and variants of Levenberg-Marquardt from one checkpoint, over core-seconds.

    python tools/compare_optimizers.py measure DATA --output FOLDER [--downscale 4] [--variants adam lm ...]
    python tools/compare_optimizers.py page FOLDER ... [--output docs]

`measure` trains with Adam up to the step where `--optimizer lm` would take over and keeps that checkpoint.
From it every variant continues for as long as Adam needs to the end, and is measured on the way: the training
loss over all training views and the PSNR of the test views. Only optimization counts, in seconds of processor
time. Whatever is complete is not done again, so the command can be interrupted and repeated.

`page` makes the tables and plots of docs/optimizers.md from such folders: one line for each scene from all
seeds that it was measured with, and the details of its first seed.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from gsplat_core.io.atomic import write_text
from gsplat_core.losses import l1_dssim
from gsplat_core.optim import Adam
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.damping import Kinds
from gsplat_core.second_order.levenberg_marquardt import Options, mean_loss
from gsplat_core.second_order.linearization import Settings
from gsplat_core.second_order.objective import L1DSSIM
from gsplat_core.second_order.reach import Reach
from trainers.charts import Series, line_chart
from trainers.checkpoint import newest_checkpoint, write_checkpoint
from trainers.config import TrainConfig
from trainers.evaluation import evaluate, mean
from trainers.lm import FullConfig, LevenbergMarquardt, LMConfig
from trainers.presets import preset, scaled_to
from trainers.progress import peak_memory_bytes
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Target, ViewOrder

FAR = 1e9


# What 3DGS-LM (Höllein et al. 2025) does, as far as it can be said in our terms: its residuals, the diagonal
# as preconditioner, batches of about 25 images whose steps are averaged with the diagonal as weights, 8
# iterations of conjugate gradients, the damping of its trust region's radius 1, one for all parameters.
AS_PUBLISHED = LMConfig(
    method="full",
    determined=0.0,
    objective="huber_ssim",
    full=FullConfig(
        views=100,
        options=Options(
            batches=2,
            preconditioner="diagonal",
            cg_iterations=8,
            floor=1e-4,
            kinds=Kinds(shN=1.0),
            reach=Reach(FAR, FAR, FAR, FAR, FAR),
        ),
    ),
)
FULL = LMConfig(method="full", determined=0.0, full=FullConfig(views=100))
OURS = LMConfig()
ALWAYS = replace(OURS, determined=0.0)


def _stochastic(**options: Any) -> LMConfig:
    return replace(ALWAYS, stochastic=replace(OURS.stochastic, **options))


def _falling(step: int, first: int, last: int) -> float:
    """A factor on rates that falls to zero in equal parts."""
    return max(1 - (step - first) / (last - first + 1), 0.0)


VARIANTS: dict[str, tuple[str, LMConfig | None]] = {
    "adam": ("Adam to the end", None),
    "lm": ("**`--optimizer lm`**", OURS),
    "lm_always": ("Levenberg-Marquardt wherever it loses", ALWAYS),
    "adam_falling": ("Adam, all rates falling to zero", None),
    "3dgs_lm": ("settings of 3DGS-LM", AS_PUBLISHED),
    "full": ("full: conjugate gradients on all photographs", FULL),
    "lm_diagonal": ("stochastic, exact diagonal", _stochastic(preconditioner="diagonal")),
    "lm_probed": ("stochastic diagonal, as in 3DGS2-TR", _stochastic(preconditioner="probed")),
    "lm_one_damping": ("stochastic, one damping for all kinds", _stochastic(kinds=Kinds(shN=1.0))),
}

CURVES = ("adam", "adam_falling", "3dgs_lm", "full", "lm", "lm_always")
"""The variants that the plots show."""

Measured = dict[str, dict[str, Any]]
"""The facts and points of each variant."""

MEASURED = 8
"""How often what takes many steps is measured on its way."""


@dataclass(frozen=True)
class Measure:
    """Measure variants on one scene."""

    data: tyro.conf.Positional[Path]
    """COLMAP folder."""
    output: Path
    """Folder for checkpoint and measurements."""
    downscale: int = 4
    steps: int = 1500
    """Of Adam's run to the end."""
    seed: int = 0
    max_gaussians: int = 20_000
    variants: tuple[str, ...] = tuple(VARIANTS)

    def run(self) -> None:
        torch.set_num_threads(1)
        config = self._config()
        dataset = load_photographs(config)
        for view in dataset.train:
            view.image()
        self._train_to_switch(config, dataset)
        adam = self._points("adam") or self._measure("adam", config, dataset, FAR)
        for variant in self.variants:
            if variant != "adam" and not self._points(variant):
                self._measure(variant, config, dataset, adam[-1]["seconds"])
            if variant == "lm" and self._points(variant) == adam:  # it is left to Adam
                self._measure("lm_always", config, dataset, adam[-1]["seconds"])

    def _config(self) -> TrainConfig:
        config = replace(
            scaled_to(preset("fast"), self.steps),
            data=str(self.data.resolve()),
            downscale=self.downscale,
            seed=self.seed,
            device="cpu",
        )
        adc = replace(config.densify["adc"], max_gaussians=self.max_gaussians)
        return replace(config, densify={"adc": adc})

    def _train_to_switch(self, config: TrainConfig, dataset: Dataset) -> None:
        if newest_checkpoint(self.output, warn=print) is not None:
            return
        trainer = Trainer(config, initial_gaussians(config, dataset), dataset.scale)
        *_, seconds = _adam(trainer, dataset, replace(config, optimizer="lm").adam_steps)
        facts = {"scene": self.data.name, "images": len(dataset.train), "seconds": seconds}
        write_checkpoint(self.output, trainer.step, {"trainer": trainer.state_dict(), **facts})

    def _measure(
        self, variant: str, config: TrainConfig, dataset: Dataset, budget: float
    ) -> list[dict[str, Any]]:
        checkpoint = newest_checkpoint(self.output, warn=print)
        assert checkpoint is not None
        trainer = Trainer(config, initial_gaussians(config, dataset), dataset.scale)
        trainer.load_state_dict(checkpoint.state["trainer"])
        settings = VARIANTS[variant][1]
        measure = _Meter(trainer, dataset)
        points = [measure(0.0)]
        numbers = 3 * sum(view.camera.width * view.camera.height for view in dataset.train)
        if settings is not None:
            trainer.config = replace(config, optimizer="lm", lm=settings)
            trainer.lm = LevenbergMarquardt(
                settings, config.lambda_dssim, config.seed, settings.iterations(config.steps)
            )
        if settings is not None and not trainer.is_adams(len(dataset.train), numbers):
            steps = _levenberg_marquardt(trainer, dataset, numbers)
        else:
            steps = _adam(trainer, dataset, config.steps, variant == "adam_falling")
        few = settings is not None and settings.method == "full"
        every = 1 if few else max((trainer.last_step - checkpoint.step) // MEASURED, 1)
        if settings is not None and trainer.lm.handed_over and (adam := self._points("adam")):
            points, steps = adam, iter(())  # the same steps to the bit
        for seconds in steps:
            over = few and seconds > budget
            if (trainer.step - checkpoint.step) % every == 0 or trainer.step == trainer.last_step:
                points.append(measure(seconds))
            if over:
                break
        facts = {
            "scene": checkpoint.state["scene"],
            "images": checkpoint.state["images"],
            "size": [dataset.train[0].camera.width, dataset.train[0].camera.height],
            "gaussians": trainer.num_gaussians,
            "switch": checkpoint.step,
            "steps": config.steps,
            "seed": config.seed,
            "determined": numbers / sum(param.numel() for param in trainer.store.params.values()),
            "handed_over": trainer.lm.handed_over,
            "seconds_before": checkpoint.state["seconds"],
        }
        write_text(self.output / f"{variant}.json", json.dumps({"facts": facts, "points": points}))
        print(variant, json.dumps(points[-1]))
        return points

    def _points(self, variant: str) -> list[dict[str, Any]]:
        path = self.output / f"{variant}.json"
        points: list[dict[str, Any]] = json.loads(path.read_text())["points"] if path.exists() else []
        return points


class _Meter:
    """The loss of all training views and the quality of all test views."""

    def __init__(self, trainer: Trainer, dataset: Dataset) -> None:
        self._trainer, self._dataset = trainer, dataset
        self._targets = [Target.of(view, trainer.device) for view in dataset.train]

    def __call__(self, seconds: float) -> dict[str, Any]:
        gaussians = self._trainer.gaussians.detached()
        loss = mean_loss(gaussians, self._targets, Settings(gaussians.sh_degree), L1DSSIM())
        scored = list(evaluate(gaussians, self._dataset.test))
        return {
            "step": self._trainer.step,
            "seconds": round(seconds, 2),
            "loss": loss,
            "psnr": mean(view.psnr for view in scored),
            "ssim": mean(view.ssim for view in scored),
        }


def _adam(trainer: Trainer, dataset: Dataset, last: int, falling: bool = False) -> Iterator[float]:
    """Steps up to `last`; yields the processor time that they took so far.

    Args:
        falling: whether the learning rates fall to zero on the way, on top of their schedule.
    """
    targets = [Target.of(view, trainer.device, i) for i, view in enumerate(dataset.train)]
    order = ViewOrder(len(targets), trainer.config.seed)
    first = trainer.step

    def step() -> None:
        if falling:
            trainer.lr_factor = _falling(trainer.step, first, last)
        trainer.advance(targets[order(trainer.step + 1)])

    yield from _timed(step, lambda: trainer.step < last)


def _levenberg_marquardt(trainer: Trainer, dataset: Dataset, numbers: int) -> Iterator[float]:
    """As the loop of a run does it, Adam's steps included where it goes on."""
    targets = [Target.of(view, trainer.device, i) for i, view in enumerate(dataset.train)]
    order, first = ViewOrder(len(targets), trainer.config.seed), trainer.step

    def step() -> None:
        if trainer.is_adams(len(dataset.train), numbers):
            trainer.advance(targets[order(trainer.step + 1)])
        else:
            chosen = trainer.lm.choose(trainer.step - first, len(targets))
            trainer.refine([targets[number] for number in chosen])

    yield from _timed(step, lambda: trainer.step < trainer.last_step)


def _timed(step: Callable[[], None], more: Callable[[], bool]) -> Iterator[float]:
    seconds = 0.0
    while more():
        start = time.process_time()
        step()
        seconds += time.process_time() - start
        yield seconds


@dataclass(frozen=True)
class Memory:
    """Measure the memory of one step beyond scene and photographs, each in a process of its own."""

    output: Path
    """Folder of `measure`."""
    data: tyro.conf.Positional[Path]
    """COLMAP folder."""
    downscale: int = 4
    views: int = 16
    step: Literal["adam", "full", "survey", "adam_one", "lm", "all"] = "all"

    def run(self) -> None:
        if self.step == "all":
            taken = {}
            for step in ("adam", "full", "survey", "adam_one", "lm"):
                command = [sys.executable, __file__, "memory", str(self.data), "--output", str(self.output)]
                options = ["--downscale", str(self.downscale), "--views", str(self.views), "--step", step]
                done = subprocess.run([*command, *options], check=True, capture_output=True)
                taken[step] = int(done.stdout)
            write_text(self.output / "memory.json", json.dumps({"views": self.views, **taken}))
            print(taken)
            return
        config = replace(
            preset("fast"), data=str(self.data.resolve()), downscale=self.downscale, device="cpu"
        )
        dataset = load_photographs(config)
        targets = [Target.of(view, torch.device("cpu")) for view in dataset.train[: self.views]]
        checkpoint = newest_checkpoint(self.output, warn=print)
        assert checkpoint is not None
        gaussians = Gaussians.from_state_dict(checkpoint.state["trainer"]["gaussians"])
        self._adam(gaussians.subset(slice(8)), targets[:1])  # what every process needs once
        before = _resident()
        if self.step in ("survey", "lm"):
            self._stochastic(gaussians, targets)
        elif self.step == "full":
            self._full(gaussians, targets)
        else:
            self._adam(gaussians, targets if self.step == "adam" else targets[:1])
        print(peak_memory_bytes() - before)

    def _adam(self, gaussians: Gaussians, targets: list[Target]) -> None:
        """One step on the mean loss of all views."""
        params = {name: value.requires_grad_() for name, value in gaussians.detached().params.items()}
        adam = Adam(params.values())
        rendered = render(params, Cameras.together(targets, gaussians.device))
        l1_dssim(rendered.colors, torch.stack([target.image for target in targets])).backward()
        adam.step()

    def _stochastic(self, gaussians: Gaussians, targets: list[Target]) -> None:
        """The curvature of all views; and one step on one view, whose peak alone counts."""
        lm = LevenbergMarquardt(OURS, 0.2, 0, 2)
        settings = Settings(gaussians.sh_degree)
        gaussians = gaussians.detached()
        lm.iterate(gaussians, targets, settings, 0)
        if self.step == "lm":
            # What was freed goes back to the system, and the peak is forgotten (Linux, glibc).
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
            lm.iterate(gaussians, targets[:1], settings, 1)

    def _full(self, gaussians: Gaussians, targets: list[Target]) -> None:
        lm = LevenbergMarquardt(FULL, 0.2, 0, 1)
        lm.iterate(gaussians.detached(), targets, Settings(gaussians.sh_degree), 0)


def _resident() -> int:
    """The memory that this process has now, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Page:
    """Put tables and plots of measured scenes into optimizers.md."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    output: Path = Path("docs")

    def run(self) -> None:
        scenes: dict[str, list[tuple[Path, Measured]]] = {}
        for folder in self.folders:
            measured = {
                variant: json.loads((folder / f"{variant}.json").read_text())
                for variant in VARIANTS
                if (folder / f"{variant}.json").exists()
            }
            scenes.setdefault(measured["adam"]["facts"]["scene"], []).append((folder, measured))
        sections = [self._summary({scene: [m for _, m in seeds] for scene, seeds in scenes.items()})]
        for (folder, measured), *_ in scenes.values():
            facts = measured["adam"]["facts"]
            for key, title in (
                ("psnr", "PSNR of the test views, dB"),
                ("loss", "loss of the training views"),
            ):
                chart = self._chart(measured, key, f"{facts['scene']}: {title}, over core-seconds")
                write_text(self.output / f"optimizers_{facts['scene']}_{key}.svg", chart)
            memory = folder / "memory.json"
            sections.append(self._section(facts, measured))
            if memory.exists():
                sections.append(self._memory(json.loads(memory.read_text())))
        page = self.output / "optimizers.md"
        text = page.read_text(encoding="utf-8")
        begin, end = "<!-- measured -->\n", "<!-- end of measured -->"
        if begin not in text or end not in text:
            raise SystemExit(f"{page} has no place for the measurements: {begin.strip()} ... {end}")
        body = begin + "\n" + "\n".join(sections) + end
        write_text(page, re.sub(f"{begin}.*?{end}", lambda _: body, text, flags=re.DOTALL))

    def _summary(self, scenes: dict[str, list[Measured]]) -> str:
        lines = [
            "| scene | numbers per parameter | Adam: PSNR, SSIM, loss | `--optimizer lm` | time to the end | "
            "to Adam's PSNR | SSIM | loss |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for scene, seeds in scenes.items():
            seeds = [measured for measured in seeds if "lm" in measured]
            if not seeds:
                continue
            determined = mean(measured["lm"]["facts"]["determined"] for measured in seeds)
            took = [
                measured["lm"]["points"][-1]["seconds"] / _last(measured, "seconds") for measured in seeds
            ]
            handed_over = any(measured["lm"]["facts"]["handed_over"] for measured in seeds)
            lines.append(
                f"| {scene} | {determined:.1f} | {_ends(seeds, 'adam')} | "
                f"{'Adam goes on' if handed_over else _ends(seeds, 'lm')} | {mean(took):.2f} | "
                + " | ".join(_shares(seeds, key) for key in ("psnr", "ssim", "loss"))
                + " |"
            )
        return "\n".join(lines) + "\n"

    def _section(self, facts: dict[str, Any], measured: dict[str, Any]) -> str:
        adam = measured["adam"]["points"]
        width, height = facts["size"]
        lines = [
            f"### {facts['scene']}",
            "",
            f"{facts['images']} training images of {width} x {height}, {facts['gaussians']:,} Gaussians, the "
            f"checkpoint after {facts['switch']:,} of {facts['steps']:,} steps of Adam "
            f"({facts['seconds_before']:.0f} core-seconds; loss {adam[0]['loss']:.4f}, "
            f"{adam[0]['psnr']:.2f} dB).",
            "",
            "| finished by | core-s | steps | loss | PSNR | SSIM | as low a loss as Adam | as good a PSNR |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for variant, content in measured.items():
            points = content["points"]
            end = points[-1]
            loss_at = _reached(points, lambda p: p["loss"] <= adam[-1]["loss"])
            psnr_at = _reached(points, lambda p: p["psnr"] >= adam[-1]["psnr"])
            lines.append(
                f"| {VARIANTS[variant][0]} | {end['seconds']:.1f} | {end['step'] - facts['switch']} | "
                f"{end['loss']:.4f} | {end['psnr']:.2f} | {end['ssim']:.4f} | "
                f"{_share(loss_at, adam)} | {_share(psnr_at, adam)} |"
            )
        scene = facts["scene"]
        lines += [
            "",
            f"![PSNR over core-seconds](optimizers_{scene}_psnr.svg) "
            f"![Loss over core-seconds](optimizers_{scene}_loss.svg)",
            "",
        ]
        return "\n".join(lines)

    def _memory(self, taken: dict[str, int]) -> str:
        views = taken["views"]

        def compared(step: str, with_adam: str) -> str:
            return f"{taken[step] / 2**20:.0f} MiB ({taken[step] / taken[with_adam]:.2f} times)"

        return (
            "Memory beyond scene and photographs. A step on one view: "
            f"{taken['adam_one'] / 2**20:.0f} MiB with Adam, {compared('lm', 'adam_one')} with the "
            "stochastic method, what it keeps included. "
            f"On {views} views: {taken['adam'] / 2**20:.0f} MiB for a step of Adam, "
            f"{compared('survey', 'adam')} for the stochastic method's curvature, "
            f"{compared('full', 'adam')} for an iteration of the full method.\n"
        )

    def _chart(self, measured: dict[str, Any], key: str, title: str) -> str:
        shown = {variant: measured[variant] for variant in CURVES if variant in measured}
        series = [
            Series(
                VARIANTS[variant][0].strip("*").replace("`", ""),
                [(p["seconds"], p[key]) for p in content["points"]],
            )
            for variant, content in shown.items()
        ]
        return line_chart(title, series, x_label="core-seconds")


def _last(measured: Measured, key: str, variant: str = "adam") -> float:
    return float(measured[variant]["points"][-1][key])


def _ends(seeds: list[Measured], variant: str) -> str:
    """What the seeds end with in the mean."""
    psnr, ssim, loss = (
        mean(_last(measured, key, variant) for measured in seeds) for key in ("psnr", "ssim", "loss")
    )
    return f"{psnr:.2f} {ssim:.4f} {loss:.4f}"


def _shares(seeds: list[Measured], key: str) -> str:
    """After which share of Adam's time each seed is as good as Adam is at its end."""
    shares = []
    for measured in seeds:
        goal, sign = _last(measured, key), -1 if key == "loss" else 1
        at = _reached(measured["lm"]["points"], lambda p: sign * p[key] >= sign * goal)  # noqa: B023
        shares.append("not" if at is None else f"{at / _last(measured, 'seconds'):.2f}")
    return ", ".join(shares)


def _reached(points: list[dict[str, Any]], good: Callable[[dict[str, Any]], bool]) -> float | None:
    return next((point["seconds"] for point in points if good(point)), None)


def _share(seconds: float | None, adam: list[dict[str, Any]]) -> str:
    return "not" if seconds is None else f"{seconds:.1f} s ({seconds / adam[-1]['seconds']:.2f})"


if __name__ == "__main__":
    command = tyro.extras.subcommand_cli_from_dict({"measure": Measure, "memory": Memory, "page": Page})
    command.run()
