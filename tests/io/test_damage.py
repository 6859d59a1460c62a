"""For the readers of all formats: whatever the bytes are, they load or are refused, in bounded memory."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from pathlib import Path

import pytest
from damage import CASES, at_most_more_memory, rezipped, unzipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from splat_files import trained_scene, typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import FORMATS, DataWarning, load
from gsplat_core.scene.gaussians import Gaussians

# Of a file of 300 Gaussians or fewer.
MOST_MEMORY = 600 << 20
cases = pytest.mark.parametrize("case", CASES)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of every format, of a few Gaussians."""
    folder = tmp_path_factory.mktemp("small")
    files = {}
    for name, case in CASES.items():
        case.write(folder / case.name, typical_scene(5, min(case.degree, 1)))
        files[name] = (folder / case.name).read_bytes()
    return files


def loads_or_explains(path: Path, content: bytes) -> Gaussians | None:
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        warnings.simplefilter("error", RuntimeWarning)
        with contextlib.suppress(DataError):
            return load(path)
    return None


def test_every_format_that_is_read_is_here() -> None:
    folders = {"meta.json"}  # whose files are those of the archive
    assert {f.ending for f in FORMATS} - folders == {
        f".{case.name.split('.', 1)[1]}" for case in CASES.values()
    }


@cases
def test_every_truncation_is_refused(tmp_path: Path, small: dict[str, bytes], case: str) -> None:
    path, content = tmp_path / CASES[case].name, small[case]
    ends = {*range(300), *range(len(content) - 300, len(content)), *range(0, len(content), 7)}
    for length in sorted(end for end in ends if 0 <= end < len(content)):
        if CASES[case].unit and length % CASES[case].unit == 0:
            continue  # fewer records are a smaller scene
        assert loads_or_explains(path, content[:length]) is None, length


def test_every_truncation_inside_an_archive_is_refused(tmp_path: Path, small: dict[str, bytes]) -> None:
    content = small["sog"]
    for name, data in unzipped(content).items():
        for length in range(0, len(data), 1 + len(data) // 10):
            assert loads_or_explains(tmp_path / "a.sog", rezipped(content, {name: data[:length]})) is None, (
                name
            )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@cases
def test_mutated_files_load_or_are_refused(
    tmp_path: Path, small: dict[str, bytes], case: str, data: st.DataObject
) -> None:
    content = bytearray(small[case])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(start + 8, len(content))))
        content[start:end] = data.draw(st.one_of(st.binary(max_size=8), st.just(b"\xff" * (end - start))))
    loads_or_explains(tmp_path / CASES[case].name, bytes(content))


TOKENS = [
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"99999999999",
    b"[]",
    b"{}",
    b"null",
    b'"a"',
    b"true",
    b"256",
    b"\xff\xff",
]


@cases
def test_fuzzing_inside_real_files(tmp_path: Path, case: str) -> None:
    """Seeded changes of bytes, runs and tokens in files of a trained scene, beneath their compression."""
    path = tmp_path / CASES[case].name
    CASES[case].write(path, trained_scene(300, CASES[case].degree))
    parts = CASES[case].parts(path.read_bytes())
    rng = random.Random(7)
    with at_most_more_memory(MOST_MEMORY):
        for _ in range(60 if case in ("sog", "html") else 150):
            part, put_back = rng.choice(parts)
            changed = bytearray(part)
            for _ in range(rng.choice([1, 1, 2, 8])):
                at = rng.randrange(min(len(changed), rng.choice([16, 64, 1024, 1 << 30])))
                piece = rng.choice([bytes([rng.randrange(256)]), b"\xff" * 4, b"\0" * 4, rng.choice(TOKENS)])
                changed[at : at + rng.choice([len(piece), 0, 1])] = piece
            loads_or_explains(path, put_back(bytes(changed)))
