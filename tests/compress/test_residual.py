"""compress/residual.py: frames as what changed since the one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from residual_files import made_up, saved_after_another, write_after
from splat_files import typical_scene

from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import decode
from gsplat_core.compress.residual import Residual, encoded
from gsplat_core.errors import DataError
from gsplat_core.io import gsz, load
from gsplat_core.labels import LABEL, labelled
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.gaussians import Gaussians


def assert_same(found: Gaussians, expected: Gaussians) -> None:
    assert found.primitive == expected.primitive
    for name, tensor in expected.params.items():
        assert torch.equal(found.params[name], tensor), name


@pytest.mark.parametrize("degree", [0, 2])
def test_a_chain_of_files_decodes_to_what_was_applied_frame_by_frame(tmp_path: Path, degree: int) -> None:
    (tmp_path / "key").mkdir()
    before = tmp_path / "key" / "a.gsz"
    gsz.save(before, labelled(typical_scene(60, degree), torch.arange(60)).with_metadata(antialiased=True))
    scene = gsz.load(before)
    for number in range(1, 4):
        residual = made_up(scene, number)
        scene = residual.applied(scene)
        (tmp_path / f"t{number}").mkdir()
        name = f"../{before.parent.name}/a.gsz"
        before = write_after(tmp_path / f"t{number}" / "a.gsz", before, residual, name)
        found = load(before)
        assert_same(found, scene)
        assert found.metadata == scene.metadata
        assert torch.equal(found.extras[LABEL], scene.extras[LABEL])
    assert Container.from_bytes(before.read_bytes(), before).header["after_key"] == 3


def test_what_changes_is_what_the_numbers_say() -> None:
    scene = typical_scene(5, 1)
    none = torch.zeros(0, dtype=torch.int64)
    latents, decoder = torch.zeros(5, 3, dtype=torch.int32), torch.tensor([[0.5], [2.0], [0.25]]).half()
    shifts = torch.zeros(5, 3, dtype=torch.int32)
    latents[1], shifts[2] = torch.tensor([1, -1, 2]), torch.tensor([10, 0, -3])
    now = Residual(none, none, shifts, {"opacities": latents}, {"opacities": decoder}, 0.1).applied(scene)
    assert float(now.opacities[1] - scene.opacities[1]) == pytest.approx(-1.0, abs=1e-6)
    torch.testing.assert_close(now.means[2] - scene.means[2], torch.tensor([1.0, 0.0, -0.3]))
    others = torch.tensor([0, 3, 4])
    for name in ("means", "scales", "opacities", "sh0", "shN"):
        assert torch.equal(now.params[name][others], scene.params[name][others])
    torch.testing.assert_close(rotation_matrices(now.quats), rotation_matrices(scene.quats))


def test_who_goes_and_who_comes(tmp_path: Path) -> None:
    scene = typical_scene(6, 0)
    shifts = torch.zeros(7, 3, dtype=torch.int32)
    shifts[6, 0] = 5
    removed, ancestors = torch.tensor([1, 4]), torch.tensor([0, 4, 4])
    now = Residual(removed, ancestors, shifts, {}, {}, 2.0).applied(scene)
    rows = torch.tensor([0, 2, 3, 5, 0, 4, 4])  # one that goes may leave some behind
    assert torch.equal(now.scales, scene.scales[rows])
    assert torch.equal(now.means[:6], scene.means[rows][:6])
    assert float(now.means[6, 0] - scene.means[4, 0]) == pytest.approx(10.0, rel=1e-5)


def test_what_does_not_change_costs_next_to_nothing(tmp_path: Path) -> None:
    gsz.save(tmp_path / "a.gsz", typical_scene(2000, 1))
    residual = made_up(gsz.load(tmp_path / "a.gsz"))
    still = replace(
        residual,
        removed=residual.removed[:0], ancestors=residual.ancestors[:0], shifts=torch.zeros(2000, 3).int(),
        latents={name: torch.zeros(2000, table.shape[1]).int() for name, table in residual.latents.items()},
    )  # fmt: skip
    assert write_after(tmp_path / "b.gsz", tmp_path / "a.gsz", still).stat().st_size < 500


def test_a_frame_without_the_one_before_is_explained(tmp_path: Path) -> None:
    saved_after_another(tmp_path / "b.gsz", typical_scene(30, 1))
    content = (tmp_path / "b.gsz").read_bytes()
    with pytest.raises(DataError, match="it follows another file"):
        decode(Container.from_bytes(content, tmp_path / "b.gsz"))
    gsz.save(tmp_path / "before.gsz", typical_scene(30, 1, seed=2))
    with pytest.raises(DataError, match=r"not the frame that .*b\.gsz was coded after"):
        load(tmp_path / "b.gsz")
    (tmp_path / "before.gsz").unlink()
    with pytest.raises(DataError, match=r"which is not there.*export"):
        load(tmp_path / "b.gsz")


def altered(path: Path, **changes: object) -> Path:
    """A copy of a file with other entries of its header."""
    container = Container.from_bytes(path.read_bytes(), path)
    other = path.with_name("other.gsz")
    other.write_bytes(Container({**container.header, **changes}, container.streams).to_bytes())
    return other


@pytest.mark.parametrize(
    "changes",
    [
        {"before": name}
        for name in (
            "/etc/passwd",
            "../../a/before.gsz",
            "../../before.gsz",
            ".././before.gsz",
            "a/b/c.gsz",
            "x",
        )
    ]
    + [{"after_key": 2}, {"after_key": 0}, {"rows": 31}, {"removed": 31}, {"moved": 10**9}, {"quantum": 0}]
    + [{"sh_degree": 2}, {"changed": {"sh0": 99}}, {"count": 4}],
)
def test_headers_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    saved_after_another(tmp_path / "b.gsz", typical_scene(30, 1))
    with pytest.raises(DataError):
        load(altered(tmp_path / "b.gsz", **changes))


def test_a_file_that_follows_itself_is_refused(tmp_path: Path) -> None:
    saved_after_another(tmp_path / "b.gsz", typical_scene(30, 1))
    with pytest.raises(DataError):
        load(altered(tmp_path / "b.gsz", before="other.gsz", after_key=10_000))


def test_only_names_that_can_be_read_are_written() -> None:
    scene = typical_scene(10, 0)
    for name, after_key in (("a.gsz", 0), ("a.gsz", 10_001), ("/a.gsz", 1), ("../../b/a.gsz", 1)):
        with pytest.raises(ValueError, match="nothing that a residual can follow"):
            encoded(made_up(scene), scene, name, 0, after_key)
