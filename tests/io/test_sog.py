"""PlayCanvas' SOG: layout of images and tables, version 1, the palette, and archives that claim too much."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from splat_files import assert_within, matched, typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import load, save, webp
from gsplat_core.io.codebook import codebook, nearest
from gsplat_core.io.sog import texture_size
from gsplat_core.morton import morton_order


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        return {name: archive.read(name) for name in archive.namelist()}


def write_files(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA"))


def test_layout(tmp_path: Path) -> None:
    """An independent decoding of the images, texel by texel."""
    scene = typical_scene(41, 2)
    save(tmp_path / "a.sog", scene, palette=8, antialiased=True)
    files = files_of(tmp_path / "a.sog")
    meta = json.loads(files["meta.json"])
    read = load(tmp_path / "a.sog")
    assert (meta["version"], meta["count"], meta["model"]) == (2, 41, "antialiased")
    assert {len(meta[name]["codebook"]) for name in ("scales", "sh0", "shN")} == {256}
    assert (meta["shN"]["count"], meta["shN"]["bands"]) == (8, 2)
    images = {name.removesuffix(".webp"): pixels(data) for name, data in files.items() if name != "meta.json"}
    assert {image.shape for name, image in images.items() if name != "shN_centroids"} == {(8, 8, 4)}
    assert images["shN_centroids"].shape == (1, 64 * 8, 4)
    for i in (0, 17, 40):
        texel = {
            name: image[divmod(i, 8)].astype(float)
            for name, image in images.items()
            if name != "shN_centroids"
        }
        low, high = np.array(meta["means"]["mins"]), np.array(meta["means"]["maxs"])
        t = low + (texel["means_u"][:3] * 256 + texel["means_l"][:3]) / 65535 * (high - low)
        assert np.allclose(read.means[i], np.sign(t) * (np.exp(np.abs(t)) - 1), atol=1e-5)
        assert np.allclose(read.scales[i], [meta["scales"]["codebook"][int(c)] for c in texel["scales"][:3]])
        assert np.allclose(read.sh0[i, 0], [meta["sh0"]["codebook"][int(c)] for c in texel["sh0"][:3]])
        assert float(read.opacities[i].sigmoid()) == pytest.approx(texel["sh0"][3] / 255, abs=2e-6)
        largest = int(texel["quats"][3]) - 252
        three = (texel["quats"][:3] / 255 - 0.5) * np.sqrt(2)
        expected = np.insert(three, largest, np.sqrt(max(0, 1 - (three**2).sum())))
        assert np.allclose(read.quats[i], expected, atol=1e-6)
        label = int(texel["shN_labels"][0] + 256 * texel["shN_labels"][1])
        row = images["shN_centroids"][0, label * 8 : label * 8 + 8, :3]
        assert np.allclose(read.shN[i], np.array(meta["shN"]["codebook"])[row])


@pytest.mark.parametrize(("count", "size"), [(1, (4, 4)), (16, (4, 4)), (17, (8, 4)), (100_000, (320, 316))])
def test_images_have_sides_that_are_multiples_of_four(count: int, size: tuple[int, int]) -> None:
    assert texture_size(count) == size


def test_invisible_splats_keep_their_colour(tmp_path: Path) -> None:
    """Image programs like to clear what no one sees; these images are numbers."""
    scene = typical_scene(64, 0)
    scene.opacities[:] = -20
    save(tmp_path / "a.sog", scene)
    read = matched(scene, load(tmp_path / "a.sog"))
    assert_within(scene, read, {"means": 1, "scales": 1, "degrees": 2, "sh0": 0.05})


def test_a_larger_palette_is_better_and_larger(tmp_path: Path) -> None:
    scene = typical_scene(400, 1)
    errors, sizes = [], []
    for rows in (1, 16, 400):
        save(tmp_path / "a.sog", scene, palette=rows)
        read = matched(scene, load(tmp_path / "a.sog"))
        errors.append(float((read.shN - scene.shN).square().mean()))
        sizes.append((tmp_path / "a.sog").stat().st_size)
    assert errors == sorted(errors, reverse=True)
    assert sizes[-1] > max(sizes[:-1])
    assert errors[-1] < 1e-4


def version_1(folder: Path) -> tuple[torch.Tensor, Path]:
    """Two Gaussians as version 1 stores them: ranges for everything, logits in alpha."""
    texels = {
        name: np.zeros((4, 4, 4), np.uint8)
        for name in ("means_l", "means_u", "quats", "scales", "sh0", "shN_labels")
    }
    texels["means_l"][0, 1, :3] = texels["means_u"][0, 1, :3] = 255
    texels["quats"][0, :2] = [128, 128, 128, 252]
    texels["scales"][0, 1] = texels["sh0"][0, 1] = 255
    texels["shN_labels"][0, 1, 0] = 1
    texels["shN_centroids"] = np.zeros((1, 192, 4), np.uint8)
    texels["shN_centroids"][0, 3:6] = 255
    for name, image in texels.items():
        (folder / f"{name}.webp").write_bytes(webp.encode(image))
    meta: dict[str, Any] = {
        "means": {
            "shape": [2, 3],
            "mins": [0, 0, 0],
            "maxs": [1, 1, 1],
            "files": ["means_l.webp", "means_u.webp"],
        },
        "scales": {"mins": [-3, -2, -1], "maxs": [0, 1, 2], "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"mins": [-1, -1, -1, -5], "maxs": [1, 2, 3, 5], "files": ["sh0.webp"]},
        "shN": {"mins": -0.5, "maxs": 0.5, "files": ["shN_centroids.webp", "shN_labels.webp"]},
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    return torch.tensor([[0.0] * 3, [np.e - 1] * 3]), folder / "meta.json"


def test_version_1(tmp_path: Path) -> None:
    means, path = version_1(tmp_path)
    read = load(path)
    assert torch.allclose(read.means, means)
    assert read.scales.tolist() == [[-3, -2, -1], [0, 1, 2]]
    assert read.sh0[:, 0].tolist() == [[-1, -1, -1], [1, 2, 3]]
    assert read.opacities.tolist() == [-5, 5]
    assert read.sh_degree == 1
    assert read.shN[:, :, 0].tolist() == [[-0.5] * 3, [0.5] * 3]


def test_splats_stand_in_the_order_of_a_curve_through_space(tmp_path: Path) -> None:
    """Neighbours in space are neighbours in the images, which makes these small."""
    save(tmp_path / "a.sog", typical_scene(200, 0))
    means = load(tmp_path / "a.sog").means
    # Positions are rounded, so that a few may have changed their places.
    assert (morton_order(means).diff() == 1).double().mean() > 0.9


@pytest.mark.parametrize("bands", [1, 2])
def test_bands_that_the_palette_does_not_have_are_refused(tmp_path: Path, bands: int) -> None:
    save(tmp_path / "a.sog", typical_scene(10, 3), palette=4)
    files = files_of(tmp_path / "a.sog")
    meta = json.loads(files["meta.json"])
    meta["shN"]["bands"] = bands
    write_files(tmp_path / "a.sog", files | {"meta.json": json.dumps(meta).encode()})
    with pytest.raises(DataError, match="texels wide"):
        load(tmp_path / "a.sog")


def test_labels_beyond_the_palette_are_grey(tmp_path: Path) -> None:
    save(tmp_path / "a.sog", typical_scene(10, 1), palette=4)
    files = files_of(tmp_path / "a.sog")
    labels = pixels(files["shN_labels.webp"]).copy()
    labels[0, 0, 1] = 200
    write_files(tmp_path / "a.sog", files | {"shN_labels.webp": webp.encode(labels)})
    read = load(tmp_path / "a.sog")
    assert read.shN[0].abs().max() == 0
    assert read.shN[1].abs().max() > 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"count": 10**9}, "expected an integer from 0"),
        ({"count": 17}, "means_l has 16 texels for 17 Gaussians"),
        ({"count": -1}, "expected an integer"),
        ({"count": True}, "expected an integer"),
        ({"version": 3}, "version 3; this program knows 1 and 2"),
        (
            {"means": {"mins": [0, 0], "maxs": [1, 1, 1], "files": ["means_l.webp", "means_u.webp"]}},
            "means.mins: expected 3",
        ),
        ({"scales": {"codebook": [0.0] * 255, "files": ["scales.webp"]}}, "scales.codebook: expected 256"),
        ({"quats": {"files": ["absent.webp"]}}, "no file 'absent.webp'"),
        ({"quats": {"files": []}}, "quats.files: expected 1 names"),
        ({"sh0": None}, "the object 'sh0' is missing"),
    ],
)
def test_a_meta_file_that_contradicts_the_images_is_refused(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    save(tmp_path / "a.sog", typical_scene(10, 1))
    files = files_of(tmp_path / "a.sog")
    meta = json.dumps(json.loads(files["meta.json"]) | change).encode()
    write_files(tmp_path / "a.sog", files | {"meta.json": meta})
    with pytest.raises(DataError, match=problem):
        load(tmp_path / "a.sog")


def test_lossy_images_and_huge_images_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.sog", typical_scene(10, 0))
    files = files_of(tmp_path / "a.sog")
    lossy = io.BytesIO()
    Image.fromarray(pixels(files["scales.webp"])[:, :, :3]).save(lossy, "WEBP", quality=90)
    write_files(tmp_path / "a.sog", files | {"scales.webp": lossy.getvalue()})
    with pytest.raises(DataError, match=r"scales.webp is a lossy WebP image"):
        load(tmp_path / "a.sog")
    huge = bytearray(files["scales.webp"])
    at = huge.index(b"VP8L") + 9
    huge[at : at + 4] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    write_files(tmp_path / "a.sog", files | {"scales.webp": bytes(huge)})
    with pytest.raises(DataError, match="16,384 x 16,384 texels; for 10 Gaussians at most 16,424"):
        load(tmp_path / "a.sog")


def test_an_archive_that_expands_too_much_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.sog", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", bytes(10 << 20))
    with pytest.raises(DataError, match=r"bytes claim to hold 10,485,760; at most"):
        load(tmp_path / "a.sog")


def test_an_interrupted_folder_has_no_meta_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mixture of two scenes can be taken for one."""
    save(tmp_path / "meta.json", typical_scene(10, 0))
    import os

    real = os.replace

    def fail(source: str, target: str) -> None:
        if str(target).endswith("scales.webp"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Exception, match="No space left"):
        save(tmp_path / "meta.json", typical_scene(20, 0))
    assert not (tmp_path / "meta.json").exists()
    assert not list(tmp_path.glob(".tmp-*"))


# The tables


def test_few_values_are_kept_exactly() -> None:
    values = np.repeat(np.float32([-3, 0.1, 0.2, 7]), [1, 500, 3, 20])
    table = codebook(values)
    assert np.abs(table[nearest(values, table)] - values).max() < 1e-6
    assert (codebook(np.full(5, 2.5, np.float32)) == 2.5).all()


@pytest.mark.parametrize("kind", ["normal", "laplace", "uniform", "outliers"])
def test_tables_are_about_as_good_as_the_best(kind: str) -> None:
    """Panter and Dite: the least mean squared error of 256 levels is (integral of p^(1/3))^3 / (12 256^2)."""
    rng = np.random.default_rng(1)
    values = {
        "normal": rng.normal(size=100_000),
        "laplace": rng.laplace(size=100_000),
        "uniform": rng.uniform(size=100_000),
        "outliers": np.concatenate([rng.normal(size=100_000), rng.uniform(-200, 200, 20)]),
    }[kind].astype(np.float32)
    table = codebook(values)
    error = np.square(table[nearest(values, table)] - values).mean()
    integral = {"normal": 6 * np.sqrt(3) * np.pi, "laplace": 108.0, "uniform": 1.0}.get(
        kind, 6 * np.sqrt(3) * np.pi
    )
    levels = 256 - (20 if kind == "outliers" else 0)  # each may take an entry of its own
    assert error < 1.1 * integral / (12 * levels**2)


def test_weights_say_what_matters() -> None:
    rng = np.random.default_rng(2)
    values = rng.uniform(0, 2, 20_000).astype(np.float32)
    weights = np.where(values > 1, 100.0, 0.01)
    table = codebook(values, weights)
    assert (table > 1).sum() > 200


@pytest.mark.parametrize("entry", ["means", "scales", "asset", "count"])
def test_numbers_of_400_digits_are_refused_with_their_place(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "a.sog"
    save(path, typical_scene(50, 0))
    files = files_of(path)
    meta = json.loads(files["meta.json"])
    digits = 10**400
    meta["asset"]["offset"] = [digits, 0, 0] if entry == "asset" else [0, 0, 0]
    if entry == "means":
        meta["means"]["mins"][0] = digits
    elif entry == "scales":
        meta["scales"]["codebook"][0] = digits
    elif entry == "count":
        meta["count"] = digits
    write_files(path, files | {"meta.json": json.dumps(meta).encode()})
    with pytest.raises(DataError, match=r"meta\.json"):
        load(path)
