"""What a scene is beside its numbers comes back from every format that has a place for it."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from splat_files import typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import FORMATS, DataWarning, export_verified, load, save
from gsplat_core.io.format import Format
from gsplat_core.scene.metadata import Metadata

MARKED = Metadata(
    antialiased=True,
    eps2d=0.1,
    pixel_order=True,
    unscented=True,
    ray_step=0.02,
    offset=(4_512_345.25, -7e5, 1 / 3),
)
WRITABLE = [known for known in FORMATS if known.save is not None]


def name_of(known: Format) -> str:
    return known.ending if known.folder else f"scene{known.ending}"


@pytest.mark.parametrize("known", WRITABLE, ids=lambda known: known.ending)
def test_metadata_comes_back_or_its_loss_is_told(tmp_path: Path, known: Format) -> None:
    scene = typical_scene(40, 0)
    scene.metadata = MARKED
    lost = MARKED.known().keys() - known.metadata
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        returned = export_verified(tmp_path / name_of(known), scene)
    texts = " ".join(str(warning.message) for warning in told)
    assert ("antialiased" in texts) == ("antialiased" in lost)
    assert ("offset" in texts) == ("offset" in lost)
    assert ("screen filter" in texts) == ("eps2d" in lost)
    assert ("order of each pixel" in texts) == ("pixel_order" in lost)
    assert ("unscented transform" in texts) == ("unscented" in lost)
    assert ("samples of rays" in texts) == ("ray_step" in lost)
    assert load(tmp_path / name_of(known)).metadata == returned.metadata == MARKED.without(lost)


@pytest.mark.parametrize("known", WRITABLE, ids=lambda known: known.ending)
def test_a_usual_scene_stays_one(tmp_path: Path, known: Format) -> None:
    export_verified(tmp_path / name_of(known), typical_scene(4, 0))
    assert load(tmp_path / name_of(known)).metadata == Metadata()


@pytest.mark.parametrize("name", ["a.spz", "a.sog"])
def test_an_option_of_the_file_overrules_the_scene(tmp_path: Path, name: str) -> None:
    scene = typical_scene(4, 0)
    save(tmp_path / name, scene, antialiased=True)
    assert load(tmp_path / name).metadata.antialiased
    save(tmp_path / name, scene.with_metadata(antialiased=True), antialiased=False)
    assert not load(tmp_path / name).metadata.antialiased


def with_comments(path: Path, *comments: str) -> Path:
    """A PLY file with these lines in its header."""
    save(path, typical_scene(4, 0))
    lines = "".join(f"comment {comment}\n" for comment in comments).encode()
    path.write_bytes(path.read_bytes().replace(b"element vertex", lines + b"element vertex", 1))
    return path


@pytest.mark.parametrize(
    ("comments", "antialiased"),
    [
        (["SplatRenderMode: mip"], True),
        (["SPLATRENDERMODE: MIP"], True),
        (["SplatRenderMode: default"], False),
        (["antialiased 1"], True),
        (["antialiased 1", "SplatRenderMode: default"], False),
        (["SplatRenderMode: default", "Antialiased 1"], True),
        (["antialiased by hand"], False),
    ],
)
def test_comments_of_other_programs_count_the_last_one(
    tmp_path: Path, comments: list[str], antialiased: bool
) -> None:
    assert load(with_comments(tmp_path / "a.ply", *comments)).metadata.antialiased == antialiased


def test_comments_that_make_no_sense_are_told(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match="'offset 1 2' is ignored"):
        assert load(with_comments(tmp_path / "a.ply", "offset 1 2")).metadata == Metadata()
    for text in ("x", "-1", "nan"):
        with pytest.warns(DataWarning, match=f"'screen_filter {text}' is ignored"):
            assert load(with_comments(tmp_path / "a.ply", f"screen_filter {text}")).metadata == Metadata()
    with pytest.warns(DataWarning, match="flat discs"):
        load(with_comments(tmp_path / "a.ply", "SplatRenderMode: 2dgs"))


def test_entries_that_make_no_sense_are_bad_data(tmp_path: Path) -> None:
    scene = typical_scene(4, 0)
    scene.metadata = Metadata(offset=(1, 2, 3))
    save(tmp_path / "meta.json", scene)
    meta = json.loads((tmp_path / "meta.json").read_text())
    meta["asset"]["offset"] = [1, "x", 3]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="three finite numbers"):
        load(tmp_path / "meta.json")
    save(tmp_path / "a.glb", scene)
    content = (tmp_path / "a.glb").read_bytes()
    (tmp_path / "a.glb").write_bytes(content.replace(b'"offset"', b'"offbet"'))
    with pytest.raises(DataError, match="'offbet' is unknown"):
        load(tmp_path / "a.glb")


def mip_splatting_file(path: Path, scene, deviations: np.ndarray, *comments: str) -> None:
    """A PLY as Mip-Splatting writes it: with the filter beside the raw scales and opacities."""
    save(path, scene)
    header, _, body = path.read_bytes().partition(b"end_header\n")
    rows = np.frombuffer(body, np.uint8).reshape(scene.num, -1)
    column = deviations.astype("<f4").view(np.uint8).reshape(scene.num, 4)
    lines = "".join(f"comment {comment}\n" for comment in comments).encode()
    header = header.replace(b"element vertex", lines + b"element vertex")
    path.write_bytes(
        header + b"property float filter_3D\nend_header\n" + np.concatenate([rows, column], 1).tobytes()
    )


def test_the_filter_of_mip_splatting_is_applied(tmp_path: Path) -> None:
    scene = typical_scene(50, 1)
    deviations = torch.rand(50, generator=torch.Generator().manual_seed(1)) * 0.2
    deviations[:2] = 0
    mip_splatting_file(tmp_path / "a.ply", scene, deviations.numpy())
    read = load(tmp_path / "a.ply")
    squared = scene.scales.double().exp() ** 2
    filtered = squared + deviations.double()[:, None] ** 2
    opacity = scene.opacities.double().sigmoid() * (squared.prod(1) / filtered.prod(1)).sqrt()
    torch.testing.assert_close(read.scales.double(), filtered.log() / 2, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(read.opacities.double().sigmoid(), opacity, atol=1e-6, rtol=1e-5)
    assert torch.equal(read.scales[:2], scene.scales[:2])
    assert torch.equal(read.opacities[:2], scene.opacities[:2])
    assert read.metadata.antialiased
    assert read.extras == {}
    export_verified(tmp_path / "b.ply", read)
    assert torch.equal(load(tmp_path / "b.ply").scales, read.scales), "applied once"


def test_a_file_with_the_filter_may_say_that_it_is_drawn_as_usual(tmp_path: Path) -> None:
    mip_splatting_file(tmp_path / "a.ply", typical_scene(3, 0), np.full(3, 0.1), "SplatRenderMode: default")
    assert not load(tmp_path / "a.ply").metadata.antialiased


def test_splats_whose_filter_is_no_number_are_dropped(tmp_path: Path) -> None:
    mip_splatting_file(tmp_path / "a.ply", typical_scene(3, 0), np.array([0.1, np.nan, np.inf]))
    with pytest.warns(DataWarning, match="2 of 3 splats"):
        assert load(tmp_path / "a.ply").num == 1


def test_a_field_of_that_name_would_be_taken_for_the_filter(tmp_path: Path) -> None:
    scene = typical_scene(3, 0)
    scene.extras["filter_3D"] = torch.ones(3)
    with pytest.raises(ValueError, match=r"filter_3D.*taken"):
        save(tmp_path / "a.ply", scene)
