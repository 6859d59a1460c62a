"""Applications by name; `gsplat-core NAME` follows from it. To add one: write its file, and its line here."""

from __future__ import annotations

from typing import NamedTuple


class App(NamedTuple):
    """An application is a module with two names and a docstring, which is the command's help:

    - `Config`, a dataclass with a docstring for each field: they become options;
    - `run(scene, cameras, config)`, which takes `Gaussians`, the cameras of the photographs and a `Config`,
      and returns the changed `Gaussians` and a sentence, or lines, on what was done. It raises
      `gsplat_core.errors.UsageError` for settings that make no sense.

    One that does not need photographs has a third, `unphotographed(config)`, which returns the settings that
    it then gets, with cameras that look at the scene from around it.

    The module is imported when it is used.
    """

    module: str
    summary: str


APPS = {
    "clean": App("gsplat_core.apps.clean", "remove Gaussians that do not belong"),
}
