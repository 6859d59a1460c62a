"""Types of options that need not be given: help shows what to write, and nothing of Python's None."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg


def optional(metavar: str, *aliases: str) -> Any:
    """For an option whose text says what happens without it.

    Args:
        metavar: what stands for its value in help.
        aliases: other names of the option, such as -o.
    """
    return arg(metavar=metavar, help_behavior_hint="", aliases=aliases)


OptionalFolder = Annotated[Path | None, optional("FOLDER")]
OptionalName = Annotated[str | None, optional("NAME")]
OptionalCount = Annotated[int | None, optional("N")]
OptionalNumber = Annotated[float | None, optional("X")]
OptionalDistortion = Annotated[Literal["undistort", "keep"] | None, optional("{undistort,keep}")]
OptionalAlpha = Annotated[
    Literal["auto", "black", "white", "mask", "ignore"] | None, optional("{auto,black,white,mask,ignore}")
]
OptionalBackground = Annotated[Literal["black", "white"] | None, optional("{black,white}")]
OptionalDevice = Annotated[Literal["cpu", "cuda", "auto"] | None, optional("{cpu,cuda,auto}")]
OptionalFootprint = Annotated[Literal["ewa", "unscented"] | None, optional("{ewa,unscented}")]
OptionalRenderer = Annotated[Literal["rasterizer", "raygauss"] | None, optional("{rasterizer,raygauss}")]
OptionalOrder = Annotated[Literal["global", "pixel"] | None, optional("{global,pixel}")]
