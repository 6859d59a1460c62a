"""Fuzzing itself: every reader is a target, its seeds reach it, and what a reader does wrong is noticed."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, Target, attempt
from gsplat_core.errors import DataError
from gsplat_core.io import FORMATS


def test_every_format_that_is_read_is_a_target() -> None:
    folders = {"meta.json"}  # whose files are those of the archive
    endings = {known.ending for known in FORMATS if known.load} - folders
    assert endings <= {
        f".{target.file.split('.', 1)[1]}" for target in TARGETS.values() if "." in target.file
    }


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read_or_refused_and_some_are_read(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = [attempt(TARGETS[name], seed, tmp_path) for seed in TARGETS[name].seeds()]
    assert any(read)


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.parts])
def test_parts_put_back_unchanged_are_the_file(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed = target.seeds()[0]
    parts = target.parts(seed) if target.parts else []
    assert parts
    for part, put_back in parts:
        assert attempt(target, put_back(part), tmp_path)


def test_an_error_of_another_kind_is_a_finding(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        if path.read_bytes() == b"bad":
            raise KeyError("count")
        raise DataError(path, "refused")

    target = Target("a", read, lambda: [])
    assert not attempt(target, b"good", tmp_path)
    with pytest.raises(KeyError):
        attempt(target, b"bad", tmp_path)
