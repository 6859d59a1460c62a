"""gsplat_core/sequence/flow_files.py: optical flow from files, and which of it can be relied on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gsplat_core.errors import DataError
from gsplat_core.sequence.flow_files import agree, find_flow, read_flow, sampled


def write_flo(path: Path, flow: np.ndarray) -> None:
    size = np.array([flow.shape[1], flow.shape[0]], "<i4").tobytes()
    path.write_bytes(b"PIEH" + size + flow.astype("<f4").tobytes())


def test_both_kinds_of_files_are_read(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).standard_normal((5, 7, 2)).astype(np.float32)
    (tmp_path / "left").mkdir()
    write_flo(tmp_path / "left" / "a.backward.flo", flow)
    np.save(tmp_path / "b.forward.npy", flow.astype(np.float64))
    for photograph, way in (("left/a.jpg", "backward"), ("b.png", "forward")):
        file = find_flow(tmp_path, photograph, way)  # type: ignore[arg-type]
        assert file is not None
        np.testing.assert_array_equal(read_flow(file, 7, 5).numpy(), flow)
    assert find_flow(tmp_path, "b.png", "backward") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin as a .flo"),
        (b"PIEH" + np.array([7, 5], "<i4").tobytes() + b"\0" * 8, "not those of 7 x 5 pixels"),
        (b"PIEH" + np.array([-7, 5], "<i4").tobytes(), "not those of"),
        (b"PIEH" + np.array([1, 1, 0, 0], "<i4").tobytes(), r"the shape \[1, 1, 2\]"),
        (b"PIEH" + np.array([7, 5], "<i4").tobytes() + b"\xff" * 280, "not finite"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.flo"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_flow(path, 7, 5)
    assert str(path) in str(error.value)


def test_arrays_that_are_no_flow_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for wrong in (np.array([{}]), np.zeros((5, 7, 2), complex)):
        np.save(path, wrong, allow_pickle=True)
        with pytest.raises(DataError, match=r"a\.npy"):
            read_flow(path, 7, 5)


def test_what_is_hidden_or_leaves_the_image_does_not_agree() -> None:
    """A block moves two pixels to the right over a ground that stays."""
    backward, forward = torch.zeros(6, 12, 2), torch.zeros(6, 12, 2)
    backward[1:5, 5:8, 0] = -8.0
    forward[1:5, 3:6, 0] = 8.0
    kept = agree(backward, forward)
    assert not kept[1:5, 5:8].any()  # they come from outside or from where the ground was
    backward[1:5, 5:8, 0] = -2.0
    forward[1:5, 3:6, 0] = 2.0
    kept = agree(backward, forward)
    assert kept[1:5, 5:8].all()
    forward[1:5, 3:6, 0] = 9.0
    assert not agree(backward, forward)[1:5, 5:8].any()


def test_the_nearest_pixel_is_taken() -> None:
    image = torch.arange(12.0).reshape(3, 4)
    flow = torch.zeros(3, 4, 2)
    flow[..., 0] = 1.4
    flow[..., 1] = -0.6
    found, inside = sampled(image, flow)
    assert found[2, 1] == image[1, 2]
    assert inside.tolist() == [[False] * 4, [True, True, True, False], [True, True, True, False]]
