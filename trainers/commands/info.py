"""`gsplat-core info`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tyro.conf import Positional

from gsplat_core.errors import UsageError
from gsplat_core.shown import shown
from gsplat_core.strict_json import json_text
from trainers.options import OptionalDistortion, OptionalFolder, OptionalName
from trainers.paths import is_run, must_exist, splat_file

MOST_LABELS = 30
MAP_FOLDERS = {
    "depth": ("depth", "depths", "depth_maps", "stereo/depth_maps"),
    "normals": ("normals", "normal", "normal_maps", "stereo/normal_maps"),
}
"""What folders of maps are called; `train` uses the one that it is told."""
QUANTILES = {"smallest": 0.0, "median": 0.5, "largest": 1.0}


def info(
    path: Positional[Path],
    json: bool = False,
    sparse_model: OptionalName = None,
    images: OptionalFolder = None,
    masks: OptionalFolder = None,
    depth: OptionalFolder = None,
    normals: OptionalFolder = None,
    exif_rotate: bool = False,
    distortion: OptionalDistortion = None,
) -> None:
    """What is in a splat file, a run folder, a sequence or a folder of photographs, in one screen.

    Args:
        path: splat file, run folder, folder that stream wrote, or one with photographs and their cameras.
        json: print JSON for scripts instead.
        sparse_model: of photographs: which sparse model of the folder, for example 0.
        images: of photographs: their folder, inside PATH or anywhere.
        masks: of photographs: the folder of their masks, or none.
        depth, normals: of photographs: the folders of their depth and normal maps.
        exif_rotate: turn photographs as their EXIF data ask for, where they fit their camera that way.
        distortion: of photographs: undistort them, or use them as they are.
    """
    given = {
        "sparse_model": sparse_model, "images": images, "masks": masks, "exif_rotate": exif_rotate or None,
        "distortion": distortion, "depth": depth, "normals": normals,
    }  # fmt: skip
    facts = describe(path, {name: value for name, value in given.items() if value is not None})
    if json:
        print(json_text(facts))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 3))
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in _rows(facts):
        table.add_row(Text(shown(key)), Text(shown(value)))
    Console().print(table, highlight=False)


def describe(path: Path, loading: dict[str, Any] | None = None) -> dict[str, Any]:
    """The facts as JSON values; `kind` is `splats`, `run`, `sequence` or `photographs`.

    Args:
        loading: options of loading photographs, by the names of `TrainConfig`.

    Raises:
        DataError: nothing that this program can read.
        UsageError: such options for something else.
    """
    must_exist(path)
    file = None if path.suffix == ".json" and path.name != "meta.json" else splat_file(path)
    sequence = (path / "stream.json").is_file()
    if file is None and not is_run(path) and not sequence:
        return _describe_photographs(path, loading or {})
    if loading:
        option = next(iter(loading)).replace("_", "-")
        raise UsageError(f"--{option} is about photographs, and {path} is none of their folders.")
    if sequence:
        return _describe_sequence(path)
    return _describe_run(path) if file is None else _describe_splats(file)


def _describe_splats(path: Path) -> dict[str, Any]:
    from gsplat_core.io.content import must_be_splats, recognise

    must_be_splats(path, recognise(path))
    import gsplat_core.io
    from trainers.waiting import busy

    known = gsplat_core.io.format_of_file(path)
    with busy(f"reading {path.name}"):
        gaussians, unusable = _loaded(path)
    size = sum(file.stat().st_size for file in known.files(path))
    return {
        "kind": "splats",
        "path": str(path),
        "format": known.title,
        "bytes": size,
        "bytes_per_gaussian": size / max(1, gaussians.num),
        **_describe_gaussians(gaussians),
        **_describe_outliers(path, gaussians.baked(), unusable),
    }


def _loaded(path: Path) -> tuple[Any, int]:
    """The scene, and how many of the file's splats cannot be rendered, which are not in it or repaired."""
    import warnings

    import gsplat_core.io
    from gsplat_core.io.usable import UnusableWarning

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UnusableWarning)
        gaussians = gsplat_core.io.load(path)
    for warning in told:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return gaussians, sum(w.message.num for w in told if isinstance(w.message, UnusableWarning))


def _describe_outliers(path: Path, gaussians: Any, unusable: int) -> dict[str, Any]:
    """How many splats stand out, and what to do about them."""
    from gsplat_core.outliers import sampled, survey
    from trainers.next_steps import program, quoted

    counts = {"unusable": unusable} | survey(gaussians)
    facts: dict[str, Any] = {"outliers": counts}
    if sampled(gaussians) > 1:
        facts["isolated_counted_in_one_of"] = sampled(gaussians)
    if any(counts.values()):
        facts["remedy"] = f"{program()} clean {quoted(path)} -o {quoted(path.with_name('clean.ply'))}"
    return facts


def _describe_gaussians(gaussians: Any) -> dict[str, Any]:

    facts: dict[str, Any] = {
        "num_gaussians": gaussians.num,
        "primitive": gaussians.primitive,
        "further": {field.name: _values(gaussians, field) for field in gaussians.schema.further},
        "shared": {name: list(tensor.shape) for name, tensor in gaussians.shared.items()},
        "sh_degree": gaussians.sh_degree,
        "metadata": gaussians.metadata.known(),
        "extras": {name: list(value.shape[1:]) for name, value in gaussians.extras.items()},
        **_describe_labels(gaussians),
        "not_finite": sum(map(_num_not_finite, gaussians.params.values())),
    }
    if gaussians.num:
        facts["opacity"] = _quantiles(gaussians.opacities.sigmoid())
        facts["size"] = _quantiles(gaussians.baked().scales.amax(-1).exp())
        facts["bounds"] = {
            "low": gaussians.means.amin(0).tolist(),
            "median": gaussians.means.median(0).values.tolist(),
            "high": gaussians.means.amax(0).tolist(),
        }
    return facts


def _describe_labels(gaussians: Any) -> dict[str, Any]:
    """How many labels there are, and how many Gaussians have the most frequent ones; {} without labels."""
    from gsplat_core.labels import counts, labels_of

    labels = labels_of(gaussians)
    if labels is None:
        return {}
    numbers = counts(labels)
    frequent = sorted(sorted(numbers, key=lambda label: -numbers[label])[:MOST_LABELS])
    return {"num_labels": len(numbers), "labels": {str(label): numbers[label] for label in frequent}}


def _num_not_finite(values: Any) -> int:
    """How many numbers are infinite or none: one that is not finite makes the sum so, which is quick."""
    return 0 if bool(values.sum().isfinite()) else int((~values.isfinite()).sum())


def _values(gaussians: Any, field: Any) -> dict[str, float]:
    """Of the numbers that a field beyond the plain Gaussian's stands for; nothing where there are none."""
    values = field.value(gaussians.further[field.name]).flatten()
    return _quantiles(values) if len(values) else {}


def _quantiles(values: Any) -> dict[str, float]:
    last = len(values) - 1
    return {name: float(values.kthvalue(round(q * last) + 1).values) for name, q in QUANTILES.items()}


def _describe_run(path: Path) -> dict[str, Any]:
    from trainers.checkpoint import checkpoints
    from trainers.run_folder import RunFolder
    from trainers.sources import run_config

    run, config = RunFolder(path), run_config(path)
    metrics = run.read_metrics()
    metrics.pop("per_image", None)
    saved = checkpoints(run.checkpoints)
    return {
        "kind": "run",
        "path": str(path),
        "data": config.data,
        "primitive": config.primitive,
        "preset": config.preset,
        "steps": config.steps,
        "downscale": config.downscale,
        "seed": config.seed,
        "finished": run.result is not None,
        "last_checkpoint": saved[-1].stem if saved else None,
        "metrics": metrics,
    }


def _describe_sequence(path: Path) -> dict[str, Any]:
    """Of its finished frames, which of them are whole where others are not, and the bytes of each scene."""
    from trainers.run_folder import RunFolder
    from trainers.sequence.sequence import read_stream

    told = read_stream(path)
    runs = [RunFolder(path / name) for name in told["frames"]]
    finished = [(run, metrics) for run in runs if (metrics := run.read_metrics())]
    residual = told.get("residual") or {}
    sizes = [run.result.stat().st_size for run, _ in finished if run.result is not None]
    return {
        "kind": "sequence",
        "path": str(path),
        "frames": len(runs),
        "finished_frames": len(finished),
        **({"key_every": residual["key_every"]} if "key_every" in residual else {}),
        "num_gaussians": [metrics["num_gaussians"] for _, metrics in finished],
        "psnr": [round(metrics["psnr"], 2) for _, metrics in finished],
        "bytes": sum(sizes),
        "bytes_of_frames": sizes,
    }


def _describe_photographs(path: Path, loading: dict[str, Any]) -> dict[str, Any]:
    from collections import Counter
    from dataclasses import replace

    from trainers.config import TrainConfig
    from trainers.sources import folder_of, load_photographs

    folders: dict[str, Any] = {
        name: folder_of(path, loading[name]) for name in ("images", "masks") if name in loading
    }
    maps = {name: loading.pop(name) for name in MAP_FOLDERS if name in (loading := dict(loading))}
    config = replace(TrainConfig(data=str(path)), **{**loading, **folders})
    dataset = load_photographs(config, decode=False)
    views = [*dataset.train, *dataset.test]
    sizes = Counter(f"{view.camera.width}x{view.camera.height}" for view in views)
    return {
        "kind": "photographs",
        "path": str(path),
        "images": len(views),
        "training_images": len(dataset.train),
        "test_images": len(dataset.test),
        "masked_images": sum(view.is_masked for view in views),
        "sizes": dict(sizes),
        "cameras": dict(Counter(view.camera.model for view in views)),
        "points": len(dataset.points.xyz),
        "scene_extent": dataset.scene_extent,
        **({"offset": dataset.offset.tolist()} if dataset.offset.any() else {}),
        "scene_length": dataset.scale.length,
        **_describe_maps(path, dataset, maps),
        "warnings": dataset.warnings,
    }


def _describe_maps(path: Path, dataset: Any, given: dict[str, Path]) -> dict[str, Any]:
    """What the folders of maps hold: those that were named, and those that are called like one."""
    from gsplat_core.errors import GsplatError
    from gsplat_core.scene.known_depths import of_files
    from gsplat_core.scene.normal_maps import find_normal_maps
    from trainers.sources import folder_of

    base = path if path.is_dir() else path.parent
    facts: dict[str, Any] = {}
    for name, usual in MAP_FOLDERS.items():
        named = given.get(name)
        there = [named] if named is not None else [Path(f) for f in usual if (base / f).is_dir()]
        if not there:
            continue
        folder = base / folder_of(path, there[0])
        try:
            if name == "depth":
                facts[name] = of_files(folder, dataset).told
            else:
                found = len(find_normal_maps(folder, dataset.train))
                facts[name] = [
                    f"{found} of {len(dataset.train)} training photographs have a map in {folder}."
                ]
        except GsplatError as error:
            if named is not None:
                raise
            facts[name] = [str(error)]
        if named is None:
            facts[name].append(f"train uses them with --{name} {there[0]}.")
    return facts


def _rows(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as lines of name and value."""
    rows = []
    for key, value in facts.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict) and any(isinstance(v, (dict, str)) for v in value.values()):
            rows += _rows(value, f"{name}: ")
        elif isinstance(value, dict):
            rows.append((name, ", ".join(f"{k} {_text(v)}" for k, v in value.items()) or "none"))
        elif isinstance(value, list) and any(isinstance(v, str) for v in value):
            rows += [(name, str(v)) for v in value]
        else:
            rows.append((name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}" if abs(value) < 1e5 else f"{value:.10g}"  # coordinates of surveys
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return "(" + ", ".join(map(_text, value)) + ")" if value else "none"
    return "none" if value is None else str(value)
