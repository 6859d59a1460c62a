"""Applications by name; `gsplat-core NAME` follows from it. To add one: write its file, and its line here."""

from __future__ import annotations

from typing import NamedTuple


class App(NamedTuple):
    """An application is a module with two names and a docstring, which is the command's help:

    - `Config`, a dataclass with a docstring for each field: they become options;
    - `run(scene, cameras, config)`, which takes `Gaussians`, the cameras of the photographs and a `Config`,
      and returns the changed `Gaussians` and one sentence on what was done. It raises
      `gsplat_core.errors.UsageError` for settings that make no sense.

    The module is imported when it is used.
    """

    module: str
    summary: str


APPS = {
    "clean": App("gsplat_core.apps.clean", "remove Gaussians that the photographs hardly show"),
}
