"""What writes files, and what has to hold when it was disturbed."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import gsplat_core.io
from gsplat_core.errors import GsplatError
from gsplat_core.io.registry import FORMATS
from gsplat_core.scene.gaussians import Gaussians
from trainers import rate_search
from trainers.checkpoint import newest_checkpoint, write_checkpoint
from trainers.cli import main
from trainers.config import TrainConfig
from trainers.history import read_history
from trainers.run_folder import RunFolder


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was told, on standard error or by the exception."""

    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.message.split())[:300]}"


@dataclass(frozen=True)
class Operation:
    """Args:
    prepare: fills an empty folder with what was there before.
    attempt: does it, with files in this folder only.
    check: fails where the folder is not as it was before or as it should be afterwards; also does what a
        user does next.
    """

    name: str
    prepare: Callable[[Path], None]
    attempt: Callable[[Path], Outcome]
    check: Callable[[Path, Outcome], None]


def called(function: Callable[[], object]) -> Outcome:
    """A call of the library, with the exit code that the command line would have."""
    told: list[str] = []
    try:
        function()
    except GsplatError as error:
        return Outcome(error.exit_code, str(error))
    except Exception as error:
        return Outcome(1, f"{type(error).__name__}: {error}")
    return Outcome(0, "\n".join(told))


def command(*arguments: object) -> Outcome:
    """`gsplat-core ARGUMENTS`."""
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = main([*map(str, arguments)])
    return Outcome(code, told.getvalue() or out.getvalue())


def scene(count: int = 40, seed: int = 0) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.randn(count, 3, generator=random),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=random)),
        scales=torch.full((count, 3), -3.0),
        opacities=torch.zeros(count),
        sh0=torch.rand(count, 1, 3, generator=random),
        shN=torch.zeros(count, 0, 3),
    )


def no_warning(text: str) -> None:
    raise AssertionError(text)


# A checkpoint beside three older ones, so that there is one to be removed.


def state(step: int) -> dict[str, object]:
    return {"gaussians": scene(seed=step).state_dict(), "step": step}


def prepare_checkpoints(folder: Path) -> None:
    for step in (1, 2):
        write_checkpoint(folder / "checkpoints", step, state(step))


def check_checkpoints(folder: Path, outcome: Outcome) -> None:
    newest = newest_checkpoint(folder / "checkpoints", no_warning)
    assert newest is not None
    assert newest.step in ((3,) if outcome.code == 0 else (2, 3))
    assert torch.equal(newest.state["gaussians"]["means"], scene(seed=newest.step).means)
    write_checkpoint(folder / "checkpoints", 4, state(4), no_warning)
    assert len(list((folder / "checkpoints").glob("step_*"))) == 4


CHECKPOINT = Operation(
    "checkpoint",
    prepare_checkpoints,
    lambda folder: called(lambda: write_checkpoint(folder / "checkpoints", 3, state(3), lambda text: None)),
    check_checkpoints,
)


# Exports over an older file of the same name.


def export_to(name: str) -> Operation:
    def files(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}

    def prepare(folder: Path) -> None:
        gsplat_core.io.save(folder / "scene.ply", scene())
        (folder / "out").mkdir()
        gsplat_core.io.export_verified(folder / "out" / name, scene(30, seed=1))

    def check(folder: Path, outcome: Outcome) -> None:
        target = folder / "out" / name
        if target.exists() or outcome.code == 0:
            assert gsplat_core.io.load(target).num in ((40,) if outcome.code == 0 else (30, 40))
        else:
            # Files of several parts are taken away before they are replaced, so that none is of two scenes.
            assert name == "meta.json"
        assert command("export", folder / "scene.ply", "-o", target).code == 0
        assert gsplat_core.io.load(target).num == 40

    return Operation(
        f"export {name}",
        prepare,
        lambda folder: command(
            "export", folder / "scene.ply", "-o", folder / "out" / name, "--measure", "no"
        ),
        check,
    )


def check_composition(folder: Path, outcome: Outcome) -> None:
    whole = gsplat_core.io.load(folder / "both.ply").num
    assert whole == 70 if outcome.code == 0 else whole in (30, 70)
    assert compose(folder).code == 0
    assert gsplat_core.io.load(folder / "both.ply").num == 70


def prepare_composition(folder: Path) -> None:
    for name, count in {"a.ply": 40, "b.ply": 30, "both.ply": 30}.items():
        gsplat_core.io.save(folder / name, scene(count))


def compose(folder: Path) -> Outcome:
    return command("compose", folder / "a.ply", folder / "b.ply", "-o", folder / "both.ply")


COMPOSITION = Operation("compose", prepare_composition, compose, check_composition)


# Trainings of a few steps with checkpoints after each.


@dataclass(frozen=True)
class Training:
    """Operations on runs with the photographs in a folder."""

    data: Path

    def config(self) -> TrainConfig:
        return TrainConfig(
            data=str(self.data),
            steps=4,
            device="cpu",
            test_every=4,
            sh_degree=1,
            log_every=1,
            evaluations=1,
            checkpoint_seconds=0.0,
            sky="never",
            gaps="never",
            background="black",
        )

    def prepare(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps(self.config().to_json()))

    def prepare_run(self, folder: Path) -> None:
        """A finished run."""
        self.prepare(folder)
        assert self.train(folder).code == 0

    def train(self, folder: Path, *more: str) -> Outcome:
        start = () if "--resume" in more else ("--config", folder / "config.json")
        return command("train", self.data, "-o", folder / "run", *start, *more)

    @functools.cached_property
    def result(self) -> bytes:
        """What an undisturbed run makes."""
        with tempfile.TemporaryDirectory() as folder:
            self.prepare_run(Path(folder))
            return (Path(folder) / "run" / "point_cloud.ply").read_bytes()

    def check_run(self, folder: Path, outcome: Outcome) -> None:
        """Whatever happened, the run can be continued, and becomes what it would have become."""
        run = RunFolder(folder / "run")
        assert not run.crash_report.exists(), run.crash_report.read_text()
        if outcome.code == 0:
            assert run.read_metrics()["steps"] == 4
        else:
            newest_checkpoint(run.checkpoints, no_warning)
        again = self.train(folder, "--resume") if run.exists else self.train(folder)
        assert again.code == 0, again
        assert run.point_cloud.read_bytes() == self.result
        assert not list(folder.rglob(".tmp*"))
        for tensors in run.checkpoints.glob("*.safetensors"):
            assert tensors.with_suffix(".json").exists(), "tensors without their manifest"
        assert [entry["step"] for entry in read_history(run.history) if "loss" in entry] == [1, 2, 3, 4]

    @property
    def training(self) -> Operation:
        return Operation("train", self.prepare, self.train, self.check_run)

    @property
    def report(self) -> Operation:
        """Test pictures, metrics and report of a finished run, made again."""

        def check(folder: Path, outcome: Outcome) -> None:
            run = RunFolder(folder / "run")
            assert run.read_metrics()["steps"] == 4
            assert run.report.read_text().endswith("</html>\n")
            assert run.point_cloud.read_bytes() == self.result
            assert command("eval", run.path).code == 0
            assert len(list(run.test.iterdir())) == 3

        return Operation("report", self.prepare_run, lambda folder: command("eval", folder / "run"), check)

    @property
    def compress(self) -> Operation:
        """Into the folder of an earlier result, which is replaced."""
        search = rate_search.search
        found: list[rate_search.Search] = []

        def once(*arguments: object, **options: object) -> object:
            if not found:
                found.append(search(*arguments, **options))
            return found[0]

        def attempt(folder: Path, *more: str) -> Outcome:
            rate_search.search = once
            try:
                arguments = ("compress", folder / "run", "-o", folder / "small", "--steps", 2)
                return command(*arguments, "--overwrite", *more)
            finally:
                rate_search.search = search

        def prepare(folder: Path) -> None:
            self.prepare_run(folder)
            assert attempt(folder).code == 0

        def check(folder: Path, outcome: Outcome) -> None:
            source, small = RunFolder(folder / "run"), RunFolder(folder / "small")
            assert source.point_cloud.read_bytes() == self.result
            if small.compressed.exists():
                assert gsplat_core.io.load(small.compressed).num
            if outcome.code == 0:
                assert small.read_metrics()["psnr"]
            assert attempt(folder).code == 0
            assert small.read_metrics()["psnr"]

        return Operation("compress", prepare, attempt, check)


def operations(data: Path) -> list[Operation]:
    """All of them.

    Args:
        data: a small folder of photographs.
    """
    training = Training(data)
    names = ["meta.json" if known.folder else f"scene{known.ending}" for known in FORMATS if known.save]
    return [
        CHECKPOINT,
        *(export_to(name) for name in names),
        COMPOSITION,
        training.report,
        training.compress,
        training.training,
    ]
