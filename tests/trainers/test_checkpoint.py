from __future__ import annotations

import errno
import json
import os
import pickle
import shutil

import pytest
import torch

from gsplat_core.errors import DataError, ResourceError
from trainers.checkpoint import checkpoints, newest_checkpoint, read_checkpoint, write_checkpoint


def state(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        "gaussians": {"means": torch.randn(5, 3, generator=generator), "empty": torch.zeros(5, 0, 3)},
        "adam": {"means": {"step": torch.tensor(3.0), "list": [torch.arange(4), "text", None]}},
        "generator": generator.get_state(),
        "numbers": {"lr": 0.1 + seed, "step": 7, "flag": True},
    }


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


def fail(message):
    raise AssertionError(message)


def test_the_state_comes_back_exactly(tmp_path):
    read = read_checkpoint(write_checkpoint(tmp_path, 7, state()))
    assert read.step == 7
    assert equal(read.state, state())


def test_the_newest_two_are_kept(tmp_path):
    for step in (10, 20, 100, 9000):
        write_checkpoint(tmp_path, step, state(step))
    assert [path.stem for path in checkpoints(tmp_path)] == ["step_00000100", "step_00009000"]
    assert len(list(tmp_path.iterdir())) == 4
    assert newest_checkpoint(tmp_path, warn=fail).step == 9000


def test_no_checkpoint_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "absent", warn=fail) is None


def flip_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit_number(path):
    path.write_text(path.read_text().replace('"step": 7', '"step": 8'))


def claim_newer_format(path):
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "format": 99, "version": "9.9"}))


def claim_older_format(path):
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "format": 2, "version": "0.1"}))


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


DAMAGES = {
    "flipped byte in the tensors": (".safetensors", flip_byte, "does not match its hash"),
    "flipped byte in the manifest": (".json", flip_byte, ""),
    "edited number": (".json", edit_number, "does not match its hash"),
    "newer version": (".json", claim_newer_format, "version 9.9 in format 99"),
    "older version": (".json", claim_older_format, "version 0.1 in format 2"),
    "pickle instead of tensors": (
        ".safetensors",
        lambda p: p.write_bytes(pickle.dumps(Bomb())),
        "match its hash",
    ),
    "pickle instead of the manifest": (
        ".json",
        lambda p: p.write_bytes(pickle.dumps(Bomb())),
        "not a checkpoint",
    ),
    "other JSON": (".json", lambda p: p.write_text('{"sha256": 3}'), "not a checkpoint"),
    "a JSON list": (".json", lambda p: p.write_text("[]"), "not a checkpoint"),
    "cut tensors": (".safetensors", lambda p: p.write_bytes(p.read_bytes()[:-9]), "does not match its hash"),
    "empty tensors": (".safetensors", lambda p: p.write_bytes(b""), "does not match its hash"),
    "missing tensors": (".safetensors", lambda p: p.unlink(), "missing"),
}


@pytest.mark.parametrize(("ending", "damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_and_foreign_checkpoints_are_refused(tmp_path, monkeypatch, ending, damage, message):
    monkeypatch.chdir(tmp_path)
    path = write_checkpoint(tmp_path, 7, state())
    damage(path.with_suffix(ending))
    with pytest.raises(DataError) as error:
        read_checkpoint(path)
    assert message in str(error.value)
    assert "step_00000007" in str(error.value)
    assert not (tmp_path / "exploded").exists()


def test_tensors_of_another_checkpoint_are_refused(tmp_path):
    first, second = write_checkpoint(tmp_path, 1, state(1)), write_checkpoint(tmp_path, 2, state(2))
    shutil.copy(first.with_suffix(".safetensors"), second.with_suffix(".safetensors"))
    with pytest.raises(DataError, match="hash"):
        read_checkpoint(second)


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_used(tmp_path):
    write_checkpoint(tmp_path, 1, state(1))
    flip_byte(write_checkpoint(tmp_path, 2, state(2)).with_suffix(".safetensors"))
    warnings = []
    assert newest_checkpoint(tmp_path, warnings.append).step == 1
    assert "step_00000002" in warnings[0]


def test_when_none_is_usable_that_is_an_error_and_not_a_fresh_start(tmp_path):
    flip_byte(write_checkpoint(tmp_path, 2, state(2)))
    with pytest.raises(DataError):
        newest_checkpoint(tmp_path, lambda text: None)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_whichever_write_fails_the_checkpoint_before_stays_usable(tmp_path, monkeypatch, call, code):
    """Fails the 1st, 2nd, 3rd ... system call until the checkpoint gets written."""
    write_checkpoint(tmp_path, 1, state(1))
    real = getattr(os, call)
    failures = 0
    while True:
        calls = iter(range(100))
        failed = []

        def failing(*arguments, calls=calls, failed=failed, failures=failures):
            if next(calls) == failures:
                failed.append(True)
                raise OSError(code, os.strerror(code))
            return real(*arguments)

        monkeypatch.setattr(os, call, failing)
        try:
            write_checkpoint(tmp_path, 2, state(2))
        except ResourceError as error:
            message = str(error)
        else:
            message = os.strerror(code)  # nothing failed, or nothing that matters
        finally:
            monkeypatch.undo()
        assert os.strerror(code) in message
        assert newest_checkpoint(tmp_path, warn=fail).step in (1, 2)
        assert not list(tmp_path.glob(".tmp-*"))
        if not failed:
            break
        failures += 1
    assert failures >= 2
    assert newest_checkpoint(tmp_path, warn=fail).step == 2


def test_equal_states_make_equal_files(tmp_path):
    """So a checkpoint may be written again over itself: no moment at which the pair does not fit."""
    first = write_checkpoint(tmp_path, 3, state()).with_suffix(".safetensors").read_bytes()
    assert write_checkpoint(tmp_path, 3, state()).with_suffix(".safetensors").read_bytes() == first
