"""Tensors as safetensors: what the library reads, byte for byte what it writes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
import torch

from trainers.tensor_file import write_tensors

TENSORS = {
    "b/large": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "ä": torch.tensor([True, False, True]),
    "z": torch.tensor(2.5, dtype=torch.float64),
    "empty": torch.zeros(5, 0, 3),
    "a": torch.arange(7, dtype=torch.uint8),
    "i": torch.arange(3),
    "h": torch.ones(3, dtype=torch.float16),
}


def test_the_library_reads_every_tensor(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = write_tensors(path, TENSORS)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    read = safetensors.torch.load_file(path)
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_the_file_is_the_one_that_the_library_writes(tmp_path: Path) -> None:
    write_tensors(tmp_path / "ours.safetensors", {k: v for k, v in TENSORS.items() if k.isascii()})
    safetensors.torch.save_file({k: v for k, v in TENSORS.items() if k.isascii()}, tmp_path / "theirs")
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_no_tensors_are_a_file_too(tmp_path: Path) -> None:
    write_tensors(tmp_path / "none.safetensors", {})
    assert safetensors.torch.load_file(tmp_path / "none.safetensors") == {}
