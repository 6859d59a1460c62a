"""A folder of photographs, or a video, becomes a folder with `images/` and `sparse/0/`, stage by stage."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gsplat_core.errors import UsageError
from gsplat_core.io.atomic import temporary_folder
from gsplat_core.io.links import make_folder, remove
from gsplat_core.sfm import process
from gsplat_core.sfm.frames import choose, survey, write_frames
from gsplat_core.sfm.outcome import Model, Outcome, refuse_failure, without_place
from gsplat_core.sfm.packages import require_pycolmap
from gsplat_core.sfm.pairs import Plan, planned
from gsplat_core.sfm.photographs import Photograph, cameras_of, find_photographs, lay_out, positions
from gsplat_core.sfm.settings import Mapper, Settings
from gsplat_core.sfm.state import NAME, State, key_of
from gsplat_core.sfm.video import check_video

Told = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much (0: nobody knows)."""

DATABASE, LOG = "database.db", "reconstruction.log"
FILES = ("images", "masks", "sparse", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOG, NAME)
"""All that is written into the folder; what tells that it is a reconstruction's comes last."""
GLOBAL_FROM = 400
"""Photographs, from which on all are placed at once: one after the other takes ever longer."""


class Reconstruction:
    """Finds the poses of photographs and the points that they show. Writes nothing before it is run.

    Args:
        source: a folder of photographs, or a video. Nothing in it is changed.
        output: the folder to write.
        settings: how.
        overwrite: begin anew where an earlier reconstruction is.
        worker: the command of the process that COLMAP works in, if it is another one.

    Attributes:
        warnings: what of the photographs cannot be used, a sentence each.

    Raises:
        UsageError: pycolmap is not installed; the folder has something else in it; options that do not fit.
        DataError: there is nothing that can be read.
    """

    def __init__(
        self,
        source: Path,
        output: Path,
        settings: Settings,
        overwrite: bool = False,
        worker: Sequence[str] | None = None,
    ) -> None:
        if worker is None:
            require_pycolmap()
        self.source, self.output, self.settings = source, output, settings
        self.worker, self.overwrite = worker or process.WORKER, overwrite
        self.images, self.masks, self.sparse = (output / name for name in ("images", "masks", "sparse"))
        self.database, self.log = output / DATABASE, output / LOG
        self.warnings: list[str] = []
        self.state = _state(source, output, overwrite)
        self.told: Told = lambda what, done, total: None
        self.in_order = source.is_file()
        self.photographs: list[Photograph] = []
        if self.in_order:
            check_video(source)
        else:
            if settings.frames is not None:
                raise UsageError(f"--frames is for videos, and {source} is a folder of photographs.")
            self.photographs = find_photographs(source, self.warnings)
            if settings.matcher == "spatial" and positions(self.photographs) is None:
                raise UsageError(
                    "--matcher spatial: none of the photographs says where it was taken (GPS, in its EXIF "
                    "data). --matcher similar does without."
                )
            self.cameras = cameras_of(self.photographs, settings.single_camera)

    def run(self, told: Told) -> Outcome:
        """Goes through the stages, but for those that an earlier call with these settings has done.

        Raises:
            DataError: too few photographs could be placed, or COLMAP failed.
            ResourceError: memory, disk space or a permission is missing.
        """
        self.told = told
        if self.overwrite:
            self._begin_anew()
        key = self._frames() if self.in_order else self._photographs()
        names = sorted(name for camera in self.cameras for name in camera)
        places = positions(self.photographs) if self.photographs else None
        plan = planned(self.settings.matcher, len(names), self.in_order, places)
        mappers = mappers_for(self.settings.mapper, len(names))
        looks = {
            "model": self.settings.camera_model,
            "cameras": self.settings.single_camera,
            "effort": list(self.settings.effort),
        }
        features = key_of(key, **looks)
        matches = key_of(features, matcher=plan.matcher, seed=self.settings.seed)
        poses = key_of(matches, mappers=mappers, seed=self.settings.seed)
        done = self.state.result("poses", poses) if (self.sparse / "0").is_dir() else None
        if done is None:
            self._features(features, key_of("", **looks))
            self._matches(matches, names, plan)
            done = self._poses(poses, names, mappers)
        models = [Model(**model) for model in done["models"]]
        outcome = Outcome(self.output, len(names), models, done["left_out"])
        refuse_failure(outcome, self.source)
        return outcome

    def _frames(self) -> str:
        """Chooses and writes frames of a video."""
        status = self.source.stat()
        version = [status.st_size, status.st_mtime_ns]
        key = key_of("", video=version, frames=self.settings.frames)
        names = self.state.result("images", key) if self.images.is_dir() else None
        if names is None:
            looked = survey(self.source, lambda *far: self.told("looking at the video", *far))
            self._begin_anew()
            with temporary_folder(self.output) as temporary:
                chosen = choose(looked, self.settings.frames)
                names = write_frames(
                    self.source, chosen, temporary, lambda *far: self.told("writing frames", *far)
                )
                temporary.rename(self.images)
            self.state.photographs = {name: version for name in names}
            self.state.finish("images", key, names)
        # All are of one camera.
        self.cameras = [[name] for name in names] if self.settings.single_camera == "no" else [names]
        return key

    def _photographs(self) -> str:
        """Lays photographs out."""
        versions = {photograph.name: photograph.version for photograph in self.photographs}
        key = key_of("", photographs=versions)
        if self.state.result("images", key) is None or not self.images.is_dir():
            # More photographs join those that are there; others than these begin anew.
            if any(versions.get(name) != version for name, version in self.state.photographs.items()):
                self._begin_anew()
            make_folder(self.output)
            lay_out(self.photographs, self.images, self.masks)
            self.state.photographs = dict(versions)
            self.state.finish("images", key, True)
        return key

    def _begin_anew(self) -> None:
        """Removes what was made of other photographs."""
        make_folder(self.output)
        for name in FILES:
            remove(self.output / name)
        self.state = State(self.output, self.state.source)
        self.state.write()

    def _features(self, key: str, look: str) -> None:
        """
        Args:
            look: key of how photographs are looked at: where there are more than before, it is the same, and
                features that were found with another are of no use.
        """
        if self.state.result("look", look) is None:
            for suffix in ("", "-wal", "-shm"):
                remove(Path(f"{self.database}{suffix}"))
            self.state.finish("look", look, True)
        if self.state.result("features", key) is None or not self.database.exists():
            effort = self.settings.effort
            self._run(
                "features",
                images=self.images,
                cameras=self.cameras,
                camera_model=self.settings.camera_model,
                image_size=effort.image_size,
                features=effort.features,
                masks=self.masks if self.masks.is_dir() else None,
            )
            self.state.forget("matches")
            self.state.finish("features", key, True)

    def _matches(self, key: str, names: list[str], plan: Plan) -> None:
        if self.state.result("matches", key) is None:
            self._run(
                "matches",
                pairs=[(names[i], names[j]) for i, j in plan.pairs],
                alike=plan.alike,
                seed=self.settings.seed,
                listing=self.output / ".pairs.txt",
            )
            self.state.finish("matches", key, plan.matcher)

    def _poses(self, key: str, names: list[str], mappers: list[str]) -> dict[str, Any]:
        """The models, as `Model` has them, and the photographs that the first does not have."""
        with temporary_folder(self.output) as temporary:
            models = self._run(
                "poses", images=self.images, output=temporary, mappers=mappers, seed=self.settings.seed
            )
            facts = self._run("examine")
            remove(self.sparse)
            temporary.rename(self.sparse)
        left_out = without_place(names, [Model(**model) for model in models], facts)
        done = {"models": models, "left_out": left_out}
        self.state.finish("poses", key, done)
        return done

    def _run(self, stage: str, **arguments: Any) -> Any:
        def told(done: int, total: int) -> None:
            self.told(process.STAGES[stage], done, total)

        return process.run_stage(stage, self.log, told, self.worker, database=self.database, **arguments)


def mappers_for(mapper: Mapper, number: int) -> list[str]:
    """Which are tried, one after the other until one places anything.

    Where photographs are few and near each other, no two have the angle between them that the incremental one
    begins with, and the global one, which begins with all, often finds it.
    """
    if mapper != "auto":
        return [mapper]
    return ["global", "incremental"] if number >= GLOBAL_FROM else ["incremental", "global"]


def _state(source: Path, output: Path, overwrite: bool) -> State:
    """The state of the folder to be written; whatever must not be written to is refused."""
    place, inputs = output.resolve(), source.resolve()
    if place == inputs or inputs in place.parents:
        raise UsageError(
            f"{output} is in the folder of the photographs, which is never written to. Choose a folder "
            "beside it."
        )
    new = State(output, os.fspath(inputs))
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return new
    if overwrite and (output / NAME).is_file():
        return new
    state = State.read(output) if output.is_dir() else None
    if state is None:
        # A process that was killed at once has left a lock and nothing else.
        if output.is_dir() and all(path.name == ".lock" for path in output.iterdir()):
            return new
        raise UsageError(f"{output} has something else in it than a reconstruction. Choose another folder.")
    if state.source != new.source:
        raise UsageError(
            f"{output} has a reconstruction of {state.source} in it. Choose another folder, or add "
            "--overwrite."
        )
    return state
