"""Pickles of numbers are read; whatever else a pickle is, nothing of it runs."""

from __future__ import annotations

import datetime
import os
import pickle
import pickletools
import random
import sys
from collections import Counter
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gsplat_core.errors import DataError
from gsplat_core.tomography.plain_pickle import read_plain_pickle

CONTENT: dict[str, Any] = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(5, dtype=">i4"),
    "scalar": np.float64(1.5),
    "list": [1, 2.5, "text", None, True, (b"bytes", np.int64(3))],
    "nested": {"empty": np.zeros((0, 3)), "bool": np.array([True, False])},
}


def written(path: Path, value: Any, protocol: int = 4) -> Path:
    (file := path / "a.pickle").write_bytes(pickle.dumps(value, protocol=protocol))
    return file


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        assert ours == theirs


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numbers_and_containers_are_read(tmp_path: Path, protocol: int) -> None:
    assert_same(read_plain_pickle(written(tmp_path, CONTENT, protocol)), CONTENT)


def test_older_numpy_had_other_names(tmp_path: Path) -> None:
    file = written(tmp_path, CONTENT, 2)
    file.write_bytes(file.read_bytes().replace(b"cnumpy._core.", b"cnumpy.core."))
    assert_same(read_plain_pickle(file), CONTENT)


class Hostile:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        Hostile(os.system, "touch HARM"),
        {"a": [Hostile(eval, "open('HARM', 'w')")]},
        np.array([Hostile(os.system, "touch HARM")], dtype=object),
        Hostile(getattr, "text", "join"),
        Hostile(np.ndarray, (1 << 50,)),
        Hostile(bytearray, 1 << 50),
        Counter("a"),
        Fraction(1, 2),
        datetime.date(2020, 1, 1),
        np.array(["text"]),
        np.datetime64("2020"),
        np.zeros(2, dtype=[("a", "f4")]),
        np.zeros(2, dtype=np.complex64),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, value)
    with pytest.raises(DataError, match=r"a\.pickle: "):
        read_plain_pickle(file)
    assert os.listdir(tmp_path) == ["a.pickle"]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (b"cnumpy\nndarray\n(I1000000000\ntR.", "no pickle"),  # called
        (b"cnumpy\nndarray\n)\x81.", "no pickle"),  # made anew
        (b"cnumpy\ndtype\n}U\x01aK\x01sb.", "no pickle"),  # given attributes
        (b"cnumpy._core.numeric\n_frombuffer\n(J\xff\xff\xff\x7fcnumpy\ndtype\n(U\x02f4tR)U\x01CtR.",
         "no content"),
        (b"cnumpy\ndtype\n(U\x02f4tR.", "something else"),
        (b"cnumpy\nndarray\n.", "something else"),
        (b"cbuiltins\neval\n.", "names builtins.eval"),
        (b"]" + b"]a" * 20 + b".", ""),
    ],
)  # fmt: skip
def test_opcodes_that_no_program_writes_are_refused(tmp_path: Path, code: bytes, problem: str) -> None:
    (file := tmp_path / "a.pickle").write_bytes(code)
    if not problem:
        assert isinstance(read_plain_pickle(file), list)
        return
    with pytest.raises(DataError, match=problem):
        read_plain_pickle(file)


def test_damaged_pickles_are_refused_or_read(tmp_path: Path) -> None:
    """Whatever comes of it, it is nothing but numbers, and nothing was looked up."""
    looked_up = []

    def watch(event: str, arguments: Any) -> None:
        if event == "pickle.find_class":
            looked_up.append(arguments)

    sys.addaudithook(watch)
    content = pickle.dumps(CONTENT, protocol=4)
    generator = random.Random(0)
    opcodes = [ord(code.code) for code in pickletools.opcodes]
    file = tmp_path / "a.pickle"
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(generator.randint(1, 3)):
            changed[generator.randrange(len(changed))] = generator.choice(opcodes)
        file.write_bytes(changed[: generator.choice([None, generator.randrange(len(changed))])])
        with suppress(DataError):
            read_plain_pickle(file)
    assert looked_up == []
