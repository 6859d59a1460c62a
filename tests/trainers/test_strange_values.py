"""Values that no run writes, in each file of a run folder: an error that names the place, or an older one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_runs import Run

from gsplat_core.errors import DataError, UsageError
from gsplat_core.ranges import check_ranges
from trainers import checkpoint as module
from trainers.checkpoint import checkpoints
from trainers.config import TrainConfig, read_config
from trainers.history import read_history
from trainers.run_folder import RunFolder
from trainers.settings import with_settings

DIGITS = 10**400
TEXTS = {
    "nested deeply": b"[" * 100_000,
    "an integer of 5000 digits": b'{"steps": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'\xff\xfe{"steps": 3}',
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "cut short": b'{"steps": 3, "se',
}
ENTRIES: dict[str, list[Any]] = {
    "steps": [0, -1, 10**18, DIGITS, "3", 3.5, None, True],
    "sh_degree": [100, -1, "2"],
    "log_every": [0, -5],
    "seed": [10**30, -1],
    "downscale": [0, 10**18],
    "test_every": [-1, 1],
    "random_points": [0, DIGITS],
    "sh_degree_every": [-1],
    "lambda_dssim": [-1, 2.0, float("nan")],
    "rate_exponent": [-1e300],
    "reorder_every": [-1],
    "evaluations": [-1],
    "checkpoint_seconds": [-1.0, float("inf")],
    "data": [3, "a\0b"],
    "sparse_model": ["\0"],
    "learning_rates": [{"means": -1.0}, {"means": DIGITS}, {"sh0": "NaN"}, {"further": []}, 3],
    "densify": [{"adc": {"grow_scale": DIGITS}}, {"adc": {"seed": 10**30}}, {"adc": 3}, []],
    "resolution": [{"energy": DIGITS}, {"until": 0}],
    "lm": [{"start": 9.0}],
    "parts": [{"exposure": {"rate": -1}}, {"exposure": 3}],
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_configuration_that_is_none_is_an_error_of_its_file(tmp_path: Path, text: bytes) -> None:
    (path := tmp_path / "config.json").write_bytes(text)
    with pytest.raises(DataError, match=r"config\.json"):
        read_config(path)


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_outside_its_type_or_range_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "config.json"
    for value in ENTRIES[key]:
        path.write_text(json.dumps({**TrainConfig().to_json(), key: value}))
        with pytest.raises(DataError, match=key.removesuffix("s")) as error:
            read_config(path)
        assert len(str(error.value)) < 600


def test_ranges_hold_for_files_the_command_line_and_python_alike() -> None:
    with pytest.raises(ValueError, match="log_every = 0: expected a number from 1 to"):
        replace(TrainConfig(), log_every=0)
    with pytest.raises(UsageError, match=r"log_every must be from 1 to .*, got 0"):
        with_settings(TrainConfig(), ["log_every=0"])
    with pytest.raises(UsageError, match="sh_degree must be from 0 to 4, got 100"):
        with_settings(TrainConfig(), ["sh_degree=100"])
    check_ranges(TrainConfig())


@pytest.mark.parametrize(
    "value",
    [-3, "x", DIGITS, [], True, float("nan")],
    ids=["negative", "text", "digits", "list", "yes", "nan"],
)
def test_metrics_of_other_types_and_ranges_are_refused(tmp_path: Path, value: object) -> None:
    run = RunFolder(tmp_path)
    run.metrics.write_text(json.dumps({"psnr": 20.0, "train_seconds": value}))
    with pytest.raises(DataError, match=r"metrics\.json: not the metrics of a run: train_seconds"):
        run.read_metrics()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_metrics_that_are_none_are_an_error_of_their_file(tmp_path: Path, text: bytes) -> None:
    run = RunFolder(tmp_path)
    run.metrics.write_bytes(text)
    with pytest.raises(DataError, match=r"metrics\.json"):
        run.read_metrics()


@pytest.mark.parametrize(
    "line",
    [
        '{"step": "x", "loss": 1}',
        '{"step": NaN}',
        '{"step": 1, "loss": 1e999}',
        '{"step": 1, "psnr": ' + "9" * 400 + "}",
        '{"step": -1}',
        '{"step": 1e308}',
        "[" * 100_000,
        "3",
    ],
    ids=range(8),
)
def test_lines_of_history_that_no_run_writes_are_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"step": 1, "loss": 0.5}}\n{line}\n{{"step": 2, "loss": 0.25}}\n')
    assert [entry["loss"] for entry in read_history(path)] == [0.5, 0.25]


MISSING = object()
STATES: list[tuple[str, Any]] = [
    ("step", "x"),
    ("step", -1),
    ("step", 10**30),
    ("tensors_sha256", MISSING),
    ("tensors_sha256", 3),
    ("state", MISSING),
    ("state", 3),
    ("state/config", MISSING),
    ("state/config", []),
    ("state/views", 3),
    ("state/views", [1]),
    ("state/totals", {"x": 1}),
    ("state/totals/history_position", -5),
    ("state/totals/history_position", 10**30),
    ("state/totals/train_seconds", "x"),
    ("state/totals/rollbacks", "x"),
    ("state/losses", MISSING),
    ("state/losses", 3),
    ("state/trainer", MISSING),
    ("state/trainer/step", "x"),
    ("state/trainer/step", 1),
    ("state/trainer/lr_factor", "x"),
    ("state/trainer/lr_factor", DIGITS),
    ("state/trainer/adam", {}),
    ("state/trainer/adam/means/step", 3),
    ("state/trainer/adam/means/step", MISSING),
    ("state/trainer/adam/means/step", {"$tensor": "trainer/adam/means/exp_avg"}),
    ("state/trainer/adam/means/exp_avg", MISSING),
    ("state/trainer/adam/means/more", {"$tensor": "trainer/adam/means/exp_avg"}),
    ("state/trainer/adam/means/exp_avg", {"$tensor": "trainer/adam/quats/exp_avg"}),
    ("state/trainer/gaussians", {}),
    ("state/trainer/gaussians/means", {"$tensor": "nothing"}),
    ("state/trainer/gaussians/means", {"$tensor": []}),
    ("state/trainer/gaussians/means", {"$tensor": "trainer/gaussians/quats"}),
    ("state/trainer/parts", {}),
    ("state/trainer/parts", 3),
    ("state/trainer/lm", {}),
]


def resealed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a manifest and makes its hash fit."""
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    change(manifest)
    path.write_text(json.dumps({"sha256": module._manifest_sha256(manifest), **manifest}))


@pytest.fixture(scope="module")
def saved(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, Path]:
    """A run of three steps with a checkpoint after each."""
    config = TrainConfig(data=str(tiny_scene), steps=3, device="cpu", checkpoint_seconds=0.0, sky="never")
    folder = tmp_path_factory.mktemp("saved")
    Run(config, folder).fit()
    return config, folder


@pytest.mark.parametrize(("place", "value"), STATES, ids=[f"{place} {str(v)[:12]}" for place, v in STATES])
def test_a_checkpoint_of_strange_values_is_reported_and_the_one_before_used(
    saved: tuple[TrainConfig, Path], place: str, value: Any
) -> None:
    config, folder = saved
    newest = checkpoints(folder / "checkpoints")[-1]
    before = newest.read_bytes()

    def change(manifest: dict[str, Any]) -> None:
        *way, last = place.split("/")
        for key in way:
            manifest = manifest[key]
        if value is MISSING:
            del manifest[last]
        else:
            manifest[last] = value

    resealed(newest, change)
    try:
        run = Run(config, folder)
        assert run.loop().resume()
        assert run.trainer.step == 2
        assert "warning: " in run.output.getvalue()
        assert f"{newest.name}: its content " in run.output.getvalue()
    finally:
        newest.write_bytes(before)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_newest_checkpoint_that_is_none_is_reported_and_the_one_before_used(
    saved: tuple[TrainConfig, Path], text: bytes
) -> None:
    config, folder = saved
    newest = checkpoints(folder / "checkpoints")[-1]
    before = newest.read_bytes()
    newest.write_bytes(text)
    try:
        run = Run(config, folder)
        assert run.loop().resume()
        assert run.trainer.step == 2
        assert "this is not a checkpoint" in run.output.getvalue()
    finally:
        newest.write_bytes(before)
