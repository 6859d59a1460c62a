"""`gsplat-core compose`"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import UsageError
from trainers.options import optional
from trainers.paths import must_be_scene, must_exist

if TYPE_CHECKING:
    from gsplat_core.io.pieces import Pieces


def compose(
    sources: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN|FILE ...", help_behavior_hint="")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE")],
    transform: Annotated[Path | None, optional("T.json")] = None,
    box: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="X0,Y0,Z0,X1,Y1,Z1")] = (),
    sphere: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="X,Y,Z,R")] = (),
    outside: bool = False,
    labels: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="RULE")] = (),
    offset_labels: bool = False,
    harmonize: bool = False,
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Put scenes together, move them, cut out parts, choose by labels: any number of files or runs, of any
    format that is read, into one file (docs/composing.md).

    A scene is moved first; then labels are kept apart, all scenes merged, and of the whole the regions and
    labels choose what stays. From and to .ply this goes piece by piece, so scenes need not fit into memory.

    Args:
        sources: run folders or splat files.
        output: file to write; its ending chooses the format. It is read back before it takes its name.
        transform: scale, rotation and translation of each scene.
        box: keep what lies between two corners, whose numbers may be inf; four more numbers w,x,y,z turn it
            about its middle (may be repeated).
        sphere: keep what lies in a ball (may be repeated; what is in any box or ball stays).
        outside: keep what lies in none of them instead.
        labels: keep=1,2 or drop=0 by label, or 1,2=5 to turn 1 and 2 into 5 (may be repeated, done in
            order).
        offset_labels: raise labels of objects by the largest of the scenes before, so that they stay apart. A
            scene without labels becomes one object.
        harmonize: fit the colours of each scene to those before it, which it has to touch; the first stays as
            it is, and nothing else changes. Scenes are read whole.
        read: an option of reading files, such as antialiased=true for all, or axes=ply for those that are
            .spz (may be repeated).
    """
    if not sources:
        raise UsageError("Name at least one scene.")
    for source in sources:
        must_be_scene(source)
    must_exist(transform)
    from dataclasses import replace

    from gsplat_core.apps.compose import Placed, Selection
    from gsplat_core.apps.compose import compose as composed
    from gsplat_core.io import export_pieces, format_of
    from gsplat_core.io.links import make_folder
    from gsplat_core.label_rules import rule_of
    from gsplat_core.scene.regions import Region, box_of, sphere_of
    from gsplat_core.scene.transform_file import read_transforms
    from trainers.messages import say
    from trainers.next_steps import next_steps, quoted
    from trainers.outputs import must_not_be_source
    from trainers.waiting import counted

    known = format_of(output)
    must_not_be_source(output, sources)
    regions: list[Region] = [*map(box_of, box), *map(sphere_of, sphere)]
    selection = Selection(regions, outside, [rule_of(text) for text in labels])
    transforms = read_transforms(transform, len(sources)) if transform else [None] * len(sources)
    scenes = [
        Placed(source, pieces, similarity)
        for source, pieces, similarity in zip(sources, _opened(sources, read), transforms, strict=True)
    ]
    fitted: list[str] = []
    pieces = composed(scenes, selection, offset_labels, _harmonized(sources, fitted) if harmonize else list)
    make_folder(output.parent)
    shown = replace(pieces, open=lambda: counted(pieces.open(), "composing, pieces", pieces.count))
    num = export_pieces(output, shown)
    size = sum(path.stat().st_size for path in known.files(output))
    degrees = sorted({scene.pieces.template.sh_degree for scene in scenes})
    lines = [
        *fitted,
        f"wrote {output}: {num:,} of {pieces.most:,} Gaussians, SH degree "
        f"{min(pieces.template.sh_degree, known.max_sh_degree)}, {size / 2**20:.2f} MiB",
    ]
    if len(degrees) > 1:
        lines.append(f"the coefficients that scenes of SH degree {degrees[0]} do not have are 0")
    lines.append("read back and compared: equal bit for bit" if known.lossless else "read back whole")
    say(*lines, *next_steps(("view", quoted(output), "look at it in the browser")))


def _harmonized(sources: tuple[Path, ...], told: list[str]) -> Callable[[Sequence[Pieces]], Sequence[Pieces]]:
    """Fits colours, and writes a line about each scene to `told`."""
    from gsplat_core.apps.harmonize import harmonized
    from trainers.waiting import busy

    def fit(parts: Sequence[Pieces]) -> Sequence[Pieces]:
        with busy("harmonizing colours"):
            done, results = harmonized(parts)
        for source, result in zip(sources[1:], results, strict=True):
            gains = ", ".join(f"{gain:.2f}" for gain in result.gains)
            told.append(
                f"harmonized {source.name}: red, green and blue times {gains}; mean colours at the seam of "
                f"{result.boundary:,} Gaussians were {result.seam[0]:.3f} apart, now {result.seam[1]:.3f}"
            )
        return done

    return fit


def _opened(sources: tuple[Path, ...], read: tuple[str, ...]) -> list[Pieces]:
    """The scenes, read with those options that all formats have, and those that are of their own."""
    from gsplat_core.io import format_of_file, load_pieces
    from gsplat_core.io.options import options_of, parse_options
    from gsplat_core.scene.gaussians import Gaussians
    from trainers.messages import warn
    from trainers.paths import splat_file
    from trainers.sources import load_scene_pieces

    def named(text: str) -> str:
        return text.partition("=")[0]

    common = options_of(load_pieces)
    told = parse_options(load_pieces, [text for text in read if named(text) in common], "reading")
    own = [text for text in read if named(text) not in common]
    unused, opened = set(own), []
    for source in sources:
        options, file = dict(told), splat_file(source)
        load = format_of_file(file).load if file is not None else None
        if load is not None:
            fitting = [text for text in own if named(text) in options_of(load)]
            options |= parse_options(load, fitting, f"reading {source.name}")
            unused -= set(fitting)
        # Rows that share their decoders could neither be turned nor come together with others.
        opened.append(load_scene_pieces(source, warn, options).mapped(Gaussians.baked))
    if unused:
        raise UsageError(f"--read {min(unused)}: none of these files has such an option.")
    return opened
