"""What a program hands to its worker processes can be pickled: scenes, datasets, results, errors."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paths import ROOT
from PIL import Image
from tiny_scene import TinyScene

from gsplat_core import errors, rasterization
from gsplat_core.densify.registry import PLUGINS, STRATEGIES
from gsplat_core.io.format import DataWarning
from gsplat_core.optim import Adam
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.init import initialize
from gsplat_core.scene.similarity import Similarity
from trainers.config import TrainConfig
from trainers.crash import InternalError
from trainers.run_folder import RunFolder

WAYS = {
    **{f"protocol {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, n)) for n in range(2, 6)},
    "deepcopy": copy.deepcopy,
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
Way = Callable[[Any], Any]


def capture(folder: Path) -> Path:
    """A pinhole camera with masks and transparency, and a lens with distortion."""
    scene = TinyScene()
    scene.cameras[1] = (7, "OPENCV", 16, 20, (25.0, 25.0, 8.0, 10.0, 0.05, 0.01, 0.0, 0.001))
    scene.write(folder)
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 4), np.uint8)
    Image.fromarray(pixels).save(folder / "images" / "b.png")
    for name, (height, width) in {"b": (24, 32), "c": (20, 16)}.items():
        mask = np.zeros((height, width), np.uint8)
        mask[:, : width // 2] = 255
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def load(folder: Path, **options: Any) -> Dataset:
    return Dataset.load(capture(folder), test_every=0, alpha="keep", prefetch=False, **options)


def assert_same_view(found: View, expected: View) -> None:
    np.testing.assert_array_equal(found.camera.viewmat, expected.camera.viewmat)
    np.testing.assert_array_equal(found.camera.K, expected.camera.K)
    assert found.name == expected.name
    assert found.is_masked == expected.is_masked
    for name in ("image", "alpha", "mask"):
        one, other = getattr(found, name)(), getattr(expected, name)()
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


@ways
@pytest.mark.parametrize("decoded", [False, True])
def test_datasets(tmp_path: Path, way: Way, decoded: bool) -> None:
    data = load(tmp_path, downscale=2)
    if decoded:
        for view in data.train:
            view.image(), view.mask()
    found = way(data)
    assert found.scene_extent == data.scene_extent
    assert found.warnings == data.warnings
    np.testing.assert_array_equal(found.offset, data.offset)
    torch.testing.assert_close(found.points, data.points)
    assert all(torch.equal(a, b) for a, b in zip(found.sightings, data.sightings, strict=True))
    for one, other in zip(found.train, data.train, strict=True):
        assert_same_view(one, other)


def test_images_decoded_already_are_not_read_again(tmp_path: Path) -> None:
    data = load(tmp_path)
    view = data.train[0]
    expected = view.image()
    found = pickle.loads(pickle.dumps(view))
    (tmp_path / "images" / "b.png").unlink()
    assert torch.equal(found.image(), expected)


def test_a_dataset_whose_images_are_being_decoded(tmp_path: Path) -> None:
    started, finish = threading.Event(), threading.Event()
    view = load(tmp_path).train[0]
    pixels = view.image().numpy()

    def slowly() -> np.ndarray:
        started.set()
        finish.wait(10)
        return pixels

    slow = View(view.camera, slowly)
    thread = threading.Thread(target=slow.image)
    thread.start()
    started.wait(10)
    threading.Timer(0.05, finish.set).start()
    state = slow.__getstate__()  # waits rather than taking half of it
    thread.join()
    assert "_image" in state
    assert state["_image"] is not None


def test_views_in_other_processes(tmp_path: Path) -> None:
    data = load(tmp_path)
    context = multiprocessing.get_context("forkserver")  # "spawn" is that of the loader below
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        images = list(pool.map(View.image, data.train, timeout=120))
        lost = tmp_path / "images" / "b.png"
        lost.write_bytes(b"")
        with pytest.raises(errors.DataError) as caught:
            pool.submit(View.image, data.train[0]).result(timeout=120)
    assert caught.value.path == str(lost)
    for view, image in zip(data.train, images, strict=True):
        assert image.shape == (view.camera.height, view.camera.width, 3)


def test_a_data_loader_with_spawned_workers(tmp_path: Path) -> None:
    data = load(tmp_path)
    loader = torch.utils.data.DataLoader(
        data.train, batch_size=None, num_workers=1, multiprocessing_context="spawn", timeout=120
    )
    for found, expected in zip(loader, data.train, strict=True):
        assert_same_view(found, expected)


def things() -> dict[str, Callable[[], Any]]:
    xyz = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    scene = initialize(xyz, torch.rand(20, 3))
    return {
        "Gaussians": lambda: scene,
        "Gaussians with extras and metadata": lambda: scene.with_metadata(antialiased=True),
        "Similarity": lambda: Similarity(scale=2.0),
        "sparse model": lambda: read_model(ROOT / "data", None),
        "Adam": lambda: Adam([torch.ones(3, 3, requires_grad=True)]),
        "configuration": TrainConfig,
        "run folder": lambda: RunFolder("runs/a"),
        **{name: lambda entry=entry: entry for name, entry in {**STRATEGIES, **PLUGINS}.items()},
    }


@ways
@pytest.mark.parametrize("name", things())
def test_other_things(name: str, way: Way) -> None:
    thing = things()[name]()
    found = way(thing)
    assert type(found) is type(thing)
    if name.startswith("Gaussians"):
        assert found.metadata == thing.metadata
        assert all(torch.equal(value, found.params[key]) for key, value in thing.params.items())


@ways
def test_what_rasterization_returns(way: Way) -> None:
    """Entries that are computed when they are first read are computed for it."""
    means = torch.randn(6, 3) * 0.3 + torch.tensor([0.0, 0.0, 4.0])
    K = torch.tensor([[[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]])
    quats, scales = torch.ones(6, 4), torch.full((6, 3), 0.2)
    opacities, colors = torch.full((6,), 0.5), torch.rand(6, 3)
    meta = rasterization(means, quats, scales, opacities, colors, torch.eye(4)[None], K, 64, 48)[2]
    found = way(meta)
    assert list(found) == list(meta)
    assert torch.equal(found["tiles_per_gauss"], meta["tiles_per_gauss"])
    assert torch.equal(found["isect_ids"], meta["isect_ids"])


ERRORS = [
    errors.UsageError("wrong"),
    errors.DataError("a/b.ply", "is cut off", "byte 7", "Copy it again."),
    errors.DataError("c.ply", "is empty"),
    errors.ResourceError("no memory"),
    errors.NumericalError("not finite"),
    InternalError("a defect"),
    DataWarning("left out"),
]


@ways
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__}({str(error)[:8]})")
def test_errors(error: Exception, way: Way) -> None:
    """A worker's error arrives as it was raised; the command line needs its exit code."""
    found = way(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)
